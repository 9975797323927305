"""What the lake remembers of a partition, as documents in the zone ops.

Three logs: **manifests** (which objects a partition consists of), **receipts** (what became of each
object when it was validated) and **outcomes** (what became of each attempt to publish). All are
append-only chains, in which each document was written knowing the one before. They decide: the state of a
partition is what their newest documents say together, and its tables follow them (`settle`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from functools import cache, cached_property
from typing import Any, Literal

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.loading import digest
from lake_pipeline.errors import Terminal
from lake_pipeline.storage import Lake
from lake_pipeline.storage.lake import last_documents, partition_folder
from lake_pipeline.storage.objects import ObjectMeta

State = Literal["published", "refused", "failed", "pending"]
READERS = 16
DEFAULT_PROFILE = "default"


class ListedTwice(Terminal):
    """A document names an object or a data file twice."""


@dataclass(frozen=True)
class Entry:
    """One landed object in a manifest.

    status: ``live`` (its rows count), ``gone`` (deleted after its rows were taken; they still count),
    ``superseded`` (its key was overwritten, its rows no longer count), ``refused`` (by a policy that
    looks at no content; `reason` is the code, `message` the sentence), ``missing`` (promised, never landed).
    """

    id: str
    key: str
    size: int
    etag: str
    version: str | None
    modified: str
    status: str = "live"
    reason: str = ""
    message: str = ""

    @property
    def counts(self) -> bool:
        """Whether the object is part of the partition, readable or not."""
        return self.status not in ("superseded", "missing")

    @property
    def promise(self) -> str:
        """``sha256:…`` that the producer's manifest promises of its content; ``""`` where it promises none."""
        return self.message if self.message.startswith("sha256:") else ""

    @property
    def meta(self) -> ObjectMeta:
        """The entry as a listed object, to be read pinned to its identity."""
        modified = datetime.fromisoformat(self.modified)
        return ObjectMeta(self.key, self.size, self.etag, self.version, modified)


@dataclass(frozen=True)
class Manifest:
    """The objects of one partition, sorted by landing time and key."""

    dataset: str
    partition: str
    entries: tuple[Entry, ...]
    number: int = 0

    @cached_property
    def hash(self) -> str:
        """The identity of the input: what data version the raw asset has."""
        return digest([(e.id, e.reason or e.promise) for e in self.entries if e.counts])

    @property
    def sources(self) -> tuple[Entry, ...]:
        """The entries whose rows or files count."""
        return tuple(e for e in self.entries if e.counts)


@dataclass(frozen=True)
class ObjectReceipt:
    """What became of one object: its rows in, and where they went; or why the whole file was refused.

    rows: records landed. valid + quarantined = rows. reason: the code of a refused file, else ``""``.
    """

    id: str
    uri: str
    sha256: str = ""
    rows: int = 0
    valid: int = 0
    quarantined: int = 0
    reason: str = ""
    message: str = ""
    drift: tuple[Mapping[str, Any], ...] = ()
    coerced: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Receipt:
    """One validated batch of a partition: its objects, and the data files that hold their rows."""

    dataset: str
    partition: str
    batch: str
    rules: str
    run_id: str
    at: str
    objects: tuple[ObjectReceipt, ...]
    validated_files: tuple[str, ...] = ()
    quarantine_files: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    number: int = 0
    threshold_profile: str = DEFAULT_PROFILE
    replay_id: str = ""


@dataclass(frozen=True)
class Balance:
    """The law: every landed row is in exactly one place. Each number is counted where the rows are."""

    landed: int = 0
    curated: int = 0
    quarantined: int = 0
    deduplicated: int = 0
    filtered: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing is missing and nothing is there twice."""
        return self.landed == self.curated + self.quarantined + self.deduplicated + self.filtered

    def __str__(self) -> str:
        return (
            f"{self.landed} landed {'=' if self.holds else '≠'} {self.curated} curated + {self.quarantined} "
            f"quarantined + {self.deduplicated} deduplicated + {self.filtered} filtered"
        )


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt to publish a partition.

    fingerprint: hash of (manifest, contract, transform), which tells whether there is anything to do.
    inputs: the state of the tables that rules compare with. balance: where the rows are after it. files:
    the curated data files that are visible. receipts: the numbers of those it judged; None where it does not
    say. reasons: why it was refused or failed. snapshot: of the curated table, as a run saw it; not stored.
    """

    dataset: str
    partition: str
    state: State
    fingerprint: str
    inputs: str
    manifest: int
    run_id: str
    at: str
    contract_version: str
    balance: Balance
    files: tuple[str, ...] = ()
    quarantine_files: tuple[str, ...] = ()
    receipts: tuple[int, ...] | None = None
    reasons: tuple[str, ...] = ()
    snapshot: int = 0
    number: int = 0
    threshold_profile: str = DEFAULT_PROFILE
    replay_id: str = ""


def object_id(zone_url: str, meta: ObjectMeta) -> str:
    """The identity of an object: of its version where there are versions, else of its etag and size.

    A file's etag is inode, time and size; the inode is left out, so that a lake can be copied and restored.
    """
    etag = meta.etag if zone_url.startswith("s3://") else meta.etag.strip('"').partition("-")[2]
    version = meta.version or f"{etag}:{meta.size}"
    return digest(zone_url, meta.key, version)[:20]


class Memory:
    """The logs of one dataset, read for many partitions at once."""

    def __init__(self, lake: Lake, dataset: Dataset) -> None:
        self.lake, self.dataset = lake, dataset
        self.ops = lake.zone("ops")

    def folder(self, kind: str, partition: str = "") -> str:
        """Where a log's documents are."""
        base = f"{kind}/{self.dataset.name}"
        return f"{base}/{partition_folder(partition)}" if partition else base

    def manifests(self, partitions: Iterable[str] | None = None) -> dict[str, Manifest]:
        """The newest manifest of each partition."""
        return {
            p: manifest_of(document, number)
            for p, (number, document) in self._newest("manifests", partitions).items()
        }

    def outcomes(self, partitions: Iterable[str] | None = None) -> dict[str, Outcome]:
        """The newest outcome of each partition."""
        return {
            p: outcome_of(document, number)
            for p, (number, document) in self._newest("outcomes", partitions).items()
        }

    def published(self, partition: str, newest: Outcome | None) -> Outcome | None:
        """The outcome whose rows are visible in curated: the last that published."""
        if newest is None or newest.state == "published":
            return newest
        for number in range(newest.number - 1, 0, -1):
            document = json.loads(self.ops.read(f"{self.folder('outcomes', partition)}/{number:06}.json"))
            if document["state"] == "published":
                return outcome_of(document, number)
        return None

    def manifest(self, partition: str, number: int) -> Manifest:
        """An earlier manifest."""
        key = f"{self.folder('manifests', partition)}/{number:06}.json"
        return manifest_of(json.loads(self.ops.read(key)), number)

    def receipts(self, partitions: Iterable[str] | None = None) -> dict[str, list[Receipt]]:
        """The receipts by partition, oldest first, without those that a later one replaces."""
        wanted = None if partitions is None else {partition_folder(p) for p in partitions}
        base = self.folder("receipts")
        prefix = f"{base}/{next(iter(wanted))}" if wanted and len(wanted) == 1 else base
        keys = [
            entry.key
            for entry in self.ops.list(prefix)
            if wanted is None or entry.key.split("/")[-2] in wanted
        ]
        found: dict[str, list[Receipt]] = {}
        for key, document in zip(keys, self._read(keys), strict=True):
            receipt = receipt_of(document, receipt_number(key))
            found.setdefault(receipt.partition, []).append(receipt)
        return {partition: active(receipts) for partition, receipts in found.items()}

    def write_manifest(self, manifest: Manifest) -> Manifest:
        """Append the manifest after the one it follows from; returns it with its number. Raises `Overtaken`."""
        log = self.lake.log("ops", self.folder("manifests", manifest.partition))
        number = log.append(document_of(manifest), after=manifest.number)
        return replace(manifest, number=number)

    def write_receipt(self, receipt: Receipt) -> Receipt:
        """Append the receipt after the newest that its run knew; returns it with its number. Raises `Overtaken`."""
        once(f"{receipt.dataset} {receipt.partition}", [o.id for o in receipt.objects])
        once(f"{receipt.dataset} {receipt.partition}", receipt.validated_files, receipt.quarantine_files)
        log = self.lake.log("ops", self.folder("receipts", receipt.partition))
        return replace(receipt, number=log.append(document_of(receipt), after=receipt.number))

    def write_outcome(self, outcome: Outcome) -> Outcome:
        """Append the outcome after the newest that its run knew; returns it with its number. Raises `Overtaken`."""
        once(f"{outcome.dataset} {outcome.partition}", outcome.files, outcome.quarantine_files)
        log = self.lake.log("ops", self.folder("outcomes", outcome.partition))
        return replace(outcome, number=log.append(document_of(outcome), after=outcome.number))

    def _newest(self, kind: str, partitions: Iterable[str] | None) -> dict[str, tuple[int, Any]]:
        names = None if partitions is None else {partition_folder(p): p for p in partitions}
        base = self.folder(kind)
        if names is not None and len(names) == 1:
            name = next(iter(names))
            found = {name: last_documents(self.ops, f"{base}/{name}").get("", (0, ""))}
            found = {n: (number, key) for n, (number, key) in found.items() if number}
        else:
            found = {n: v for n, v in last_documents(self.ops, base).items() if names is None or n in names}
        documents = self._read([key for _, key in found.values()])
        return {d["partition"]: (number, d) for (number, _), d in zip(found.values(), documents, strict=True)}

    def _read(self, keys: list[str]) -> list[Any]:
        if len(keys) < READERS or self.ops.local:
            return [json.loads(self.ops.read(key)) for key in keys]
        with ThreadPoolExecutor(READERS) as pool:
            return [json.loads(body) for body in pool.map(self.ops.read, keys)]


def active(receipts: Iterable[Receipt]) -> list[Receipt]:
    """The receipts that no later one replaces, oldest first."""
    kept: dict[str, Receipt] = {}
    for receipt in sorted(receipts, key=lambda r: (r.number, r.at, r.batch)):
        for batch in (*receipt.replaces, receipt.batch):
            kept.pop(batch, None)
        kept[receipt.batch] = receipt
    return list(kept.values())


def once(what: str, *listed: Iterable[str]) -> None:
    """Raise `ListedTwice` where a list names something twice: its rows would count twice."""
    for names in listed:
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ListedTwice(f'{what}: "{twice[0]}" is listed twice. This is a defect: please report it.')


def receipt_number(key: str) -> int:
    """The number of a receipt; 0 of those that were named by their batch, before receipts had numbers."""
    name = key.rpartition("/")[2].removesuffix(".json")
    return int(name) if len(name) == 6 else 0


def document_of(value: Any) -> dict[str, Any]:
    """A state document as JSON; its number is its name, and a snapshot is what was seen, not what is so."""
    document: dict[str, Any] = _plain(value)
    document.pop("number", None)
    document.pop("snapshot", None)
    return document


def _plain(value: Any) -> Any:
    """What `dataclasses.asdict` makes of state documents, which nobody changes: nothing is copied."""
    if names := _field_names(value.__class__):
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple):
        return [_plain(v) for v in value] if value and not isinstance(value[0], str) else value
    return value


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind)) if is_dataclass(kind) else ()


def manifest_of(document: Mapping[str, Any], number: int) -> Manifest:
    """A manifest from JSON."""
    entries = tuple(Entry(**entry) for entry in document["entries"])
    return Manifest(document["dataset"], document["partition"], entries, number)


def receipt_of(document: Mapping[str, Any], number: int) -> Receipt:
    """A receipt from JSON."""
    objects = tuple(ObjectReceipt(**{**o, "drift": tuple(o["drift"])}) for o in document["objects"])
    files = {k: tuple(document[k]) for k in ("validated_files", "quarantine_files", "replaces")}
    return Receipt(**{**document, **files, "objects": objects, "number": number})


def outcome_of(document: Mapping[str, Any], number: int) -> Outcome:
    """An outcome from JSON."""
    lists = {k: tuple(document[k]) for k in ("files", "quarantine_files", "reasons")}
    judged = document.get("receipts")
    more = {"receipts": None if judged is None else tuple(judged), "balance": Balance(**document["balance"])}
    return Outcome(**{**document, **lists, **more, "number": number})
