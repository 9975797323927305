"""Batches: the objects of partitions that are validated together, and what comes of them.

The computing of validation, which can be done elsewhere: it puts data files in place, and commits nothing.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from lake_pipeline.datasets.loading import digest
from lake_pipeline.engines.parts import OutputFile
from lake_pipeline.flow import quarantine, rejects
from lake_pipeline.flow.candidates import Candidate, Look, refuse_duplicates, with_columns
from lake_pipeline.flow.context import Step, Work
from lake_pipeline.flow.files import keep_files, place_all, schema_of
from lake_pipeline.flow.scan import Scan, Scanned, malformed, scan
from lake_pipeline.flow.state import Entry, ObjectReceipt, Receipt
from lake_pipeline.storage.lake import partition_folder

VERSION = "1"  # of what validation means: a new one validates everything again


@dataclass(frozen=True)
class Todo:
    """One partition's objects that are to be validated together."""

    partition: str
    id: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Request:
    """What is to be validated. known: (partition + sha256) → key, of content that must not come again.

    columns: of the table so far, with their types.
    """

    batches: tuple[Todo, ...]
    known: Mapping[str, str]
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Batch:
    """What comes of a batch: its settled candidates, and their data files."""

    partition: str
    id: str
    candidates: list[Candidate] = field(default_factory=list)
    good: list[OutputFile] = field(default_factory=list)
    rejected: OutputFile | None = None
    more_rejected: list[OutputFile] = field(default_factory=list)
    coerced: dict[str, Counter[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Computed:
    """What validating batches has made: receipts, whose data files are in place; nothing is committed.

    columns: of the good rows, an Arrow schema as base64 of its IPC form.
    """

    receipts: tuple[Receipt, ...] = ()
    columns: str = ""

    @property
    def schema(self) -> pa.Schema | None:
        """The columns as an Arrow schema; None where there is no good row."""
        return pa.ipc.read_schema(pa.py_buffer(b64decode(self.columns))) if self.columns else None


def rules_hash(work: Work) -> str:
    """What decides how an object is validated: the contract, the dataset's policies, the code."""
    return digest(VERSION, work.dataset.validation_hash)[:16]


def compute(work: Work, request: Request) -> Computed:
    """Validate batches, and put their data files in place."""
    candidates = candidates_of(work, request)
    batches = fill(work, request.batches, scan(work, candidates))
    schema, rules = schema_of(work, [f for b in batches for f in b.good]), rules_hash(work)
    columns = b64encode(schema.serialize().to_pybytes()).decode() if schema else ""
    return Computed(tuple(receipt_of(work, batch, rules) for batch in batches), columns)


STEP = Step("validate", compute, Request, Computed)


def candidates_of(work: Work, request: Request) -> list[Candidate]:
    """Every object of the batches where the engine reads it, judged as a file, its columns known."""
    entries = [(entry, batch.partition) for batch in request.batches for entry in batch.entries]
    candidates = work.engine.near(Look(work.lake.zone("raw"), work.dataset), entries)
    if work.dataset.config.duplicate_content == "quarantine":
        candidates = refuse_duplicates(candidates, request.known)
    return with_columns(candidates, work.dataset, request.columns)


def fill(work: Work, todo: Iterable[Todo], scanned: Scanned) -> list[Batch]:
    """Give each batch its settled candidates, its files of good rows, and its files of rejects."""
    batches = [Batch(t.partition, t.id) for t in todo]
    by_partition = {batch.partition: batch for batch in batches}
    writers = {
        b.partition: rejects.RejectWriter(work.folder / "rejects" / f"{b.id}.parquet") for b in batches
    }
    origin = rejects.Origin.of(work)
    for candidate in scanned.candidates.values():
        by_partition[candidate.partition].candidates.append(candidate)
        writer = writers[candidate.partition]
        if candidate.refused:
            writer.write([rejects.file_entry(origin, candidate)])
        else:
            writer.write(rejects.malformed_entries(origin, candidate))
    for item in scanned.scans:
        for file in item.result.good:
            by_partition[file.partition].good.append(file)
        for id_, counts in item.result.coerced.items():
            batch = by_partition[scanned.candidates[id_].partition]
            batch.coerced.setdefault(id_, Counter()).update(counts)
    for file in explained(work, scanned, writers):
        by_partition[file.partition].more_rejected.append(file)
    for batch in batches:
        batch.rejected = writers[batch.partition].close(batch.partition)
    return batches


def explained(
    work: Work, scanned: Scanned, writers: Mapping[str, rejects.RejectWriter]
) -> Iterator[OutputFile]:
    """Explain the rejected rows, to the writers of their partitions or to the files that come out.

    Scans that are alike share a query.
    """
    alike: dict[Any, list[Scan]] = {}
    for item in scanned.scans:
        if item.result.rejected:
            alike.setdefault((item.part.columns, item.rules), []).append(item)
    origin = rejects.Origin.of(work)
    for items in alike.values():
        paths = [path for item in items for path in item.result.rejected]
        sources = {s for item in items for s in item.sources}
        make = rejects.RowEntries(origin, {id_: scanned.candidates[id_] for id_ in sources})
        part, rules = items[0].part, items[0].rules
        for found in work.engine.rejects(part, rules, paths, make, quarantine.SCHEMA):
            if isinstance(found, OutputFile):
                yield found
                continue
            for partition in dict.fromkeys(e["_partition"] for e in found):
                writers[partition].write([e for e in found if e["_partition"] == partition])


def receipt_of(work: Work, batch: Batch, rules: str) -> Receipt:
    """Upload the batch's data files, and the untouched files it refuses; returns its receipt."""
    keep_files(work, batch.partition, [c.entry for c in batch.candidates if c.refused])
    stem = f"{work.dataset.name}/data/{partition_folder(batch.partition)}/{batch.id}"
    good = place_all(work, "validated", stem, batch.good)
    bad = place_all(work, "quarantine", stem, batch.more_rejected)
    if batch.rejected:
        bad += place_all(work, "quarantine", stem, [batch.rejected])
    ordered = sorted(batch.candidates, key=lambda c: (c.entry.modified, c.entry.key))
    return Receipt(
        dataset=work.dataset.name,
        partition=batch.partition,
        batch=batch.id,
        rules=rules,
        run_id=work.run_id,
        at=work.at.isoformat(),
        objects=tuple(object_receipt(work, c, batch.coerced.get(c.entry.id, {})) for c in ordered),
        validated_files=tuple(good),
        quarantine_files=tuple(bad),
        **work.tags,
    )


def object_receipt(work: Work, candidate: Candidate, coerced: Mapping[str, int]) -> ObjectReceipt:
    """What became of one object."""
    uri = work.lake.zone("raw").uri(candidate.entry.key)
    common: dict[str, Any] = {
        "id": candidate.entry.id,
        "uri": uri,
        "sha256": candidate.spooled.sha256 if candidate.spooled else "",
        "drift": tuple(asdict(e) for e in candidate.drift),
    }
    if candidate.refused:
        rows = candidate.records
        reason, message = candidate.refused.code, candidate.refused.message
        return ObjectReceipt(**common, rows=rows, quarantined=rows, reason=reason, message=message)
    rows = candidate.records + malformed(candidate)
    quarantined = rows - candidate.valid
    return ObjectReceipt(
        **common, rows=rows, valid=candidate.valid, quarantined=quarantined, coerced=dict(coerced)
    )
