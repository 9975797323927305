"""Inventory: which objects a partition consists of, frozen in an input manifest.

All later stages read the manifest, never the listing. An unchanged partition gets no new manifest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import Template, misfit, now
from lake_pipeline.errors import Terminal
from lake_pipeline.flow.identity import identified, refreshed
from lake_pipeline.flow.state import Balance, Entry, Manifest, Memory, Outcome
from lake_pipeline.storage import Lake, ObjectMeta
from lake_pipeline.storage.objects import ObjectMissing

PRODUCER_MANIFEST = "_MANIFEST.json"
MARKERS = ("_SUCCESS", PRODUCER_MANIFEST)
MOST_FOLDERS = 200  # of partitions that are listed one by one; more are found in one listing of the dataset
KEEPS_FIRST = "the dataset's policy keeps the first."
BY_MANIFEST = ("NOT_IN_MANIFEST", "CHECKSUM_MISMATCH")


class ManifestError(Terminal):
    """The producer's manifest is missing, cannot be read, or lists what is not there."""


@dataclass(frozen=True)
class Promise:
    """What a producer's manifest says of one file; an empty digest or a size of None promises nothing."""

    sha256: str = ""
    size: int | None = None


@dataclass(frozen=True)
class Landed:
    """An object in the raw zone that belongs to a partition of a dataset."""

    meta: ObjectMeta
    partition: str
    mismatch: str | None = None


def landed(lake: Lake, dataset: Dataset, partitions: Iterable[str] | None = None) -> Iterator[Landed]:
    """The dataset's objects in the raw zone, of some partitions or of all; markers are no objects."""
    wanted = None if partitions is None else set(partitions)
    folders = {dataset.template.prefix}
    if wanted is not None and len(wanted) <= MOST_FOLDERS:
        folders = {folder_of(dataset, partition) for partition in wanted}
    for meta in chain.from_iterable(lake.zone("raw").list(folder) for folder in sorted(folders)):
        name = meta.key.rpartition("/")[2]
        placement = dataset.template.place(meta.key)
        if placement is None or name in MARKERS or not name:
            continue
        if wanted is None or placement.partition in wanted:
            yield Landed(meta, placement.partition, placement.mismatch)


def folder_of(dataset: Dataset, partition: str) -> str:
    """The folder that holds every object of a partition; the dataset's, where the template has a `*` in it."""
    folder = dataset.template.fill(partition, "").rpartition("/")[0]
    return dataset.template.prefix if "*" in folder else folder


def landed_partitions(lake: Lake, dataset: Dataset) -> list[str]:
    """Every partition that has landed objects and can be run, sorted."""
    found = {o.partition for o in landed(lake, dataset)}
    return sorted(p for p in found if not misfit(dataset.config.partitions, p))


@dataclass(frozen=True)
class Inventory:
    """The newest input manifest of each partition that can be worked on.

    unready: why another one cannot: its producer's manifest is missing, unreadable, or promises more.
    """

    manifests: Mapping[str, Manifest]
    unready: Mapping[str, str] = field(default_factory=dict)


def take_inventory(lake: Lake, dataset: Dataset, partitions: list[str]) -> dict[str, Manifest]:
    """As `inventory`, for those who need every partition; raises `ManifestError` where one is not ready."""
    taken = inventory(lake, dataset, partitions, "local")
    if taken.unready:
        raise ManifestError("\n".join(taken.unready.values()))
    return dict(taken.manifests)


def inventory(lake: Lake, dataset: Dataset, partitions: list[str], run_id: str) -> Inventory:
    """Write the input manifest of each partition whose objects changed.

    A partition in which nothing ever landed has no manifest. One that lacks promised files is refused:
    its outcome names them, and what was published before stays as it was.
    """
    memory = Memory(lake, dataset)
    before = memory.manifests(partitions)
    objects: dict[str, list[Landed]] = {p: [] for p in partitions}
    for item in landed(lake, dataset, partitions):
        objects[item.partition].append(item)
    found: dict[str, Manifest] = {}
    unready: dict[str, str] = {}
    for partition in partitions:
        previous = before.get(partition)
        try:
            manifest = merge(memory, partition, previous, objects[partition])
        except ManifestError as e:
            unready[partition] = str(e)
            continue
        if previous and manifest.entries == previous.entries:
            found[partition] = previous
        elif manifest.entries:
            found[partition] = memory.write_manifest(manifest)
    return incomplete(memory, found, unready, run_id)


def earlier(memory: Memory, partitions: list[str], run_id: str) -> Inventory:
    """The inventory as an earlier run took it."""
    return incomplete(memory, memory.manifests(partitions), {}, run_id)


def incomplete(
    memory: Memory, manifests: dict[str, Manifest], unready: dict[str, str], run_id: str
) -> Inventory:
    """The inventory without the partitions that lack promised files, which are refused here."""
    lacking = {p: m for p, m in manifests.items() if any(e.status == "missing" for e in m.entries)}
    outcomes = memory.outcomes(lacking) if lacking else {}
    for partition, manifest in lacking.items():
        reasons = tuple(f"{e.reason}: {e.message}" for e in manifest.entries if e.status == "missing")
        unready[partition] = f"{manifest.dataset} {partition} is refused. " + " ".join(reasons)
        previous = outcomes.get(partition)
        if previous is None or (previous.manifest, previous.reasons) != (manifest.number, reasons):
            memory.write_outcome(refusal(memory.dataset, manifest, previous, reasons, run_id))
    return Inventory({p: m for p, m in manifests.items() if p not in lacking}, unready)


def refusal(
    dataset: Dataset, manifest: Manifest, previous: Outcome | None, reasons: tuple[str, ...], run_id: str
) -> Outcome:
    """The outcome of a partition that was refused before anything of it was read."""
    nothing = Outcome(
        dataset.name, manifest.partition, "refused", "", "", 0, "", "", "", Balance(), receipts=()
    )
    where = previous or nothing
    return replace(
        where,
        state="refused",
        fingerprint="",  # of no candidate: the next one is to be looked at
        manifest=manifest.number,
        run_id=run_id,
        at=now().isoformat(),
        contract_version=dataset.contract.version,
        reasons=reasons,
    )


def merge(memory: Memory, partition: str, previous: Manifest | None, objects: list[Landed]) -> Manifest:
    """The manifest that follows from the previous one and what is there now."""
    lake, dataset = memory.lake, memory.dataset
    old = {e.id: e for e in previous.entries if e.status != "missing"} if previous else {}
    current = {e.key: e for e in old.values() if e.counts}
    ids = identified(lake.zone("raw"), memory, partition, old.values(), (o.meta for o in objects))
    present = {ids[o.meta.key]: o for o in objects}
    promised = producer_manifest(lake, dataset, partition)
    entries = {
        id_: rejudged(refreshed(e, present[id_].meta), present[id_], promised) if id_ in present else e
        for id_, e in old.items()
    }
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
    for entry in missing(dataset, partition, promised or {}, objects):
        entries[entry.id] = entry
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
    message = f'"{new.key}" was overwritten after it had been taken; {KEEPS_FIRST}'
    refused = replace(new, status="refused", reason="CHECKSUM_MISMATCH", message=message)
    return {new.id: refused, old.id: replace(old, status="gone")}


def judged(entry: Entry, item: Landed, promised: Mapping[str, Promise] | None) -> Entry:
    """The entry, refused where its name or the producer's manifest says so."""
    name = entry.key.rpartition("/")[2]
    if item.mismatch:
        return replace(entry, status="refused", reason="PARTITION_MISMATCH", message=item.mismatch)
    if promised is None:
        return entry
    promise = promised.get(name)
    if promise is None:
        message = f'"{name}" is not listed in the producer\'s {PRODUCER_MANIFEST}.'
        return replace(entry, status="refused", reason="NOT_IN_MANIFEST", message=message)
    if promise.size not in (None, entry.size):
        message = f'"{name}" has {entry.size} bytes; the producer\'s manifest promises {promise.size}.'
        return replace(entry, status="refused", reason="CHECKSUM_MISMATCH", message=message)
    return replace(entry, message=f"sha256:{promise.sha256}") if promise.sha256 else entry


def rejudged(entry: Entry, item: Landed, promised: Mapping[str, Promise] | None) -> Entry:
    """An entry that is there still, by what the producer's manifest says now."""
    if promised is None or not (entry.status == "live" or entry.reason in BY_MANIFEST):
        return entry
    if entry.message.endswith(KEEPS_FIRST):
        return entry
    return judged(replace(entry, status="live", reason="", message=""), item, promised)


def outdated(entry: Entry, reason: str, message: str) -> bool:
    """Whether an object was validated by a promise that its producer has changed since."""
    if entry.reason != reason and (entry.reason in BY_MANIFEST or reason == "NOT_IN_MANIFEST"):
        return True
    return (
        bool(entry.promise) and reason == "CHECKSUM_MISMATCH" and f"promises {entry.promise};" not in message
    )


def missing(
    dataset: Dataset, partition: str, promised: Mapping[str, Promise], objects: list[Landed]
) -> list[Entry]:
    """An entry for each promised file that has not landed."""
    there = {o.meta.key.rpartition("/")[2] for o in objects}
    found = []
    for name in sorted(promised.keys() - there):
        key = dataset.template.fill(partition, name)
        message = f'"{name}" is listed in the producer\'s {PRODUCER_MANIFEST}, and has not landed.'
        found.append(
            Entry(f"missing:{name}", key, 0, "", None, "", "missing", reason="MISSING_FILE", message=message)
        )
    return found


def manifest_key(dataset: Dataset, partition: str) -> str:
    """Where the producer's manifest of a partition lands: beside its files."""
    return f"{dataset.template.fill(partition, PRODUCER_MANIFEST).rpartition('/')[0]}/{PRODUCER_MANIFEST}"


def manifest_partition(dataset: Dataset, key: str) -> str | None:
    """The partition whose producer's manifest this key is, where the dataset asks for one."""
    if dataset.config.producer_manifest == "none" or key.rpartition("/")[2] != PRODUCER_MANIFEST:
        return None
    beside = Template(f"{dataset.template.text.rpartition('/')[0]}/", dataset.config.partitions.by)
    placement = beside.place(key)
    if placement is None or placement.mismatch or manifest_key(dataset, placement.partition) != key:
        return None
    return placement.partition


def producer_manifest(lake: Lake, dataset: Dataset, partition: str) -> dict[str, Promise] | None:
    """What the producer promised, by file name; None when the dataset asks for none.

    The form: ``{"files": [{"name": "a.csv", "size": 12, "sha256": "…"}]}``; size and sha256 are optional.
    Raises `ManifestError` when it is missing or malformed.
    """
    if dataset.config.producer_manifest == "none":
        return None
    key = manifest_key(dataset, partition)
    try:
        body = lake.zone("raw").read(key)
    except ObjectMissing as e:
        raise ManifestError(f'{dataset.name} {partition} waits for the producer\'s manifest "{key}".') from e
    try:
        promises = [promise_of(listed) for listed in json.loads(body)["files"]]
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        example = '{"files": [{"name": "a.csv", "sha256": "…"}]}'
        raise ManifestError(f'"{key}" is no manifest ({e}); it should look like {example}.') from e
    return dict(promises)


def promise_of(listed: Mapping[str, Any]) -> tuple[str, Promise]:
    """One file of a manifest: (name, promise). A digest may be in capitals."""
    size, sha256 = listed.get("size"), str(listed.get("sha256") or "").lower()
    if sha256 and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(f'"{sha256}" is no hex sha256')
    return str(listed["name"]), Promise(sha256, None if size is None else int(size))
