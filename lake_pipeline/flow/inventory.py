"""Inventory: which objects a partition consists of, frozen in an input manifest.

All later stages read the manifest, never the listing. An unchanged partition gets no new manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import misfit
from lake_pipeline.errors import Terminal
from lake_pipeline.flow.state import Entry, Manifest, Memory, object_id
from lake_pipeline.storage import Lake, ObjectMeta

PRODUCER_MANIFEST = "_MANIFEST.json"
MARKERS = ("_SUCCESS", PRODUCER_MANIFEST)


class ManifestError(Terminal):
    """The producer's manifest cannot be read, or lists what is not there."""


@dataclass(frozen=True)
class Landed:
    """An object in the raw zone that belongs to a partition of a dataset."""

    meta: ObjectMeta
    partition: str
    mismatch: str | None = None


def landed(lake: Lake, dataset: Dataset, partitions: Iterable[str] | None = None) -> Iterator[Landed]:
    """The dataset's objects in the raw zone, of some partitions or of all; markers are no objects."""
    wanted = None if partitions is None else set(partitions)
    prefix = dataset.template.prefix
    if wanted is not None and len(wanted) == 1:
        prefix = dataset.template.fill(next(iter(wanted)), "").rpartition("/")[0]
        prefix = prefix if "*" not in prefix else dataset.template.prefix
    for meta in lake.zone("raw").list(prefix):
        name = meta.key.rpartition("/")[2]
        placement = dataset.template.place(meta.key)
        if placement is None or name in MARKERS or not name:
            continue
        if wanted is None or placement.partition in wanted:
            yield Landed(meta, placement.partition, placement.mismatch)


def landed_partitions(lake: Lake, dataset: Dataset) -> list[str]:
    """Every partition that has landed objects and can be run, sorted."""
    found = {o.partition for o in landed(lake, dataset)}
    return sorted(p for p in found if not misfit(dataset.config.partitions, p))


def take_inventory(lake: Lake, dataset: Dataset, partitions: list[str]) -> dict[str, Manifest]:
    """Write the input manifest of each partition whose objects changed; returns the newest of all.

    A partition in which nothing ever landed has no manifest.
    """
    memory = Memory(lake, dataset)
    before = memory.manifests(partitions)
    objects: dict[str, list[Landed]] = {p: [] for p in partitions}
    for item in landed(lake, dataset, partitions):
        objects[item.partition].append(item)
    found = {}
    for partition in partitions:
        previous = before.get(partition)
        manifest = merge(lake, dataset, partition, previous, objects[partition])
        if previous and manifest.entries == previous.entries:
            found[partition] = previous
        elif manifest.entries:
            found[partition] = memory.write_manifest(manifest)
    return found


def merge(
    lake: Lake, dataset: Dataset, partition: str, previous: Manifest | None, objects: list[Landed]
) -> Manifest:
    """The manifest that follows from the previous one and what is there now."""
    zone = lake.zone("raw").root
    old = {e.id: e for e in previous.entries} if previous else {}
    current = {e.key: e for e in old.values() if e.counts}
    present = {object_id(zone, o.meta): o for o in objects}
    promised = producer_manifest(lake, dataset, partition, objects)
    entries = dict(old)
    for id_, item in present.items():
        if id_ in old and old[id_].status in ("live", "refused"):
            continue  # one that is gone or superseded is there again: its key went back to what it was
        entry = judged(Entry(id_, **described(item.meta)), item, promised)
        entries[id_] = entry
        replaced = current.get(item.meta.key)
        if replaced and replaced.id != id_:
            entries.update(overwritten(dataset, replaced, entry))
    for id_, entry in entries.items():
        deleted = (
            entry.status == "live" and id_ not in present and entry.key not in {o.meta.key for o in objects}
        )
        if deleted:
            entries[id_] = replace(entry, status="gone")
    ordered = sorted(entries.values(), key=lambda e: (e.modified, e.key, e.id))
    return Manifest(dataset.name, partition, tuple(ordered), previous.number if previous else 0)


def described(meta: ObjectMeta) -> dict[str, Any]:
    """A listed object as a manifest entry has it."""
    return {
        "key": meta.key,
        "size": meta.size,
        "etag": meta.etag,
        "version": meta.version,
        "modified": meta.modified.isoformat(),
    }


def overwritten(dataset: Dataset, old: Entry, new: Entry) -> dict[str, Entry]:
    """What the policy makes of a key whose object was replaced."""
    if dataset.config.overwritten_keys == "reprocess" or old.status == "refused":
        return {old.id: replace(old, status="superseded")}
    if dataset.config.overwritten_keys == "ignore":
        return {new.id: replace(new, status="superseded"), old.id: replace(old, status="gone")}
    message = f'"{new.key}" was overwritten after it had been taken; the dataset\'s policy keeps the first.'
    refused = replace(new, status="refused", reason="CHECKSUM_MISMATCH", message=message)
    return {new.id: refused, old.id: replace(old, status="gone")}


def judged(entry: Entry, item: Landed, promised: Mapping[str, str] | None) -> Entry:
    """The entry, refused where its name or the producer's manifest says so."""
    name = entry.key.rpartition("/")[2]
    if item.mismatch:
        return replace(entry, status="refused", reason="PARTITION_MISMATCH", message=item.mismatch)
    if promised is not None and name not in promised:
        message = f'"{name}" is not listed in the producer\'s {PRODUCER_MANIFEST}.'
        return replace(entry, status="refused", reason="NOT_IN_MANIFEST", message=message)
    if promised is not None and promised[name]:
        return replace(entry, message=f"sha256:{promised[name]}")
    return entry


def producer_manifest(
    lake: Lake, dataset: Dataset, partition: str, objects: list[Landed]
) -> dict[str, str] | None:
    """What the producer promised: file name → sha256 (or ``""``); None when the dataset asks for none.

    The form: ``{"files": [{"name": "a.csv", "size": 12, "sha256": "…"}]}``; size and sha256 are optional.
    Raises `ManifestError` when it is missing, malformed, or lists a file that is not there.
    """
    if dataset.config.producer_manifest == "none":
        return None
    key = dataset.template.fill(partition, PRODUCER_MANIFEST).rpartition("/")[0] + "/" + PRODUCER_MANIFEST
    store = lake.zone("raw")
    if not store.exists(key):
        raise ManifestError(f'{dataset.name} {partition} waits for the producer\'s manifest "{key}".')
    try:
        listed = json.loads(store.read(key))["files"]
        promised = {str(f["name"]): str(f.get("sha256") or "") for f in listed}
        sizes = {str(f["name"]): f.get("size") for f in listed}
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        example = '{"files": [{"name": "a.csv", "sha256": "…"}]}'
        raise ManifestError(f'"{key}" is no manifest ({e}); it should look like {example}.') from e
    present = {o.meta.key.rpartition("/")[2]: o.meta.size for o in objects}
    missing = sorted(set(promised) - set(present))
    if missing:
        raise ManifestError(f'"{key}" lists files that are not there: {", ".join(missing)}.')
    wrong = [n for n, size in sizes.items() if size is not None and int(size) != present[n]]
    return {
        n: (sha or "") if n not in wrong else hashlib.sha256(b"").hexdigest() for n, sha in promised.items()
    }
