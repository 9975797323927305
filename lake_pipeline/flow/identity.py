"""Which landed objects are those that a partition has already.

On S3 an object has a version or an etag. A file has its time and its size: what a copy keeps, and what rsync goes
by. A file that is another one by its inode alone was copied, or replaced by one that was made to look the same:
its content tells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from lake_pipeline.datasets.loading import digest
from lake_pipeline.flow.state import Entry, Memory, object_id
from lake_pipeline.storage import ObjectMeta
from lake_pipeline.storage.objects import ObjectStore


def identified(
    raw: ObjectStore, memory: Memory, partition: str, entries: Iterable[Entry], listed: Iterable[ObjectMeta]
) -> Mapping[str, str]:
    """The identity of each listed object, by its key; `entries` are those of the partition's manifest."""
    taken = {e.key: e for e in entries if e.status in ("live", "refused")}
    found: dict[str, str] = {}
    moved: dict[str, ObjectMeta] = {}
    for meta in listed:
        entry = taken.get(meta.key)
        if entry and (entry.etag, entry.version, entry.size) == (meta.etag, meta.version, meta.size):
            found[meta.key] = entry.id
            continue
        found[meta.key] = object_id(raw.root, meta)
        if entry and raw.local and object_id(raw.root, entry.meta) == found[meta.key]:
            moved[meta.key] = meta
    if moved:
        found |= by_content(raw, memory, partition, taken, moved)
    return found


def by_content(
    raw: ObjectStore,
    memory: Memory,
    partition: str,
    taken: Mapping[str, Entry],
    moved: Mapping[str, ObjectMeta],
) -> dict[str, str]:
    """The identities of files with other inodes than they had: another one where the content is another."""
    receipts = memory.receipts([partition]).get(partition, [])
    known = {o.id: o.sha256 for r in receipts for o in r.objects if o.sha256}
    found = {}
    for key, meta in moved.items():
        before = taken[key].id
        now = sha256(raw, meta)
        found[key] = before if known.get(before, now) == now else digest(before, now)[:20]
    return found


def refreshed(entry: Entry, meta: ObjectMeta) -> Entry:
    """The entry, to be read as it is listed now: a file that was copied has another inode."""
    return entry if entry.etag == meta.etag else replace(entry, etag=meta.etag)


def sha256(raw: ObjectStore, meta: ObjectMeta) -> str:
    """The digest of an object's bytes, in hex."""
    found = hashlib.sha256()
    for chunk in raw.stream(meta):
        found.update(chunk)
    return found.hexdigest()
