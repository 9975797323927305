"""Validate: the landed objects of a partition that have no receipt yet become typed rows, or quarantine.

Incremental: an object is validated once under one contract. Many partitions share scans and commits;
each keeps its own receipt. The order of effects is data files, Iceberg commits, receipts: a crash
anywhere leaves a state from which the same call finishes the job.
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
from lake_pipeline.flow.choice import Ran, Size
from lake_pipeline.flow.context import Step, Work
from lake_pipeline.flow.files import keep_files, merged, only, place_all, put, schema_of
from lake_pipeline.flow.scan import Scan, Scanned, malformed, scan
from lake_pipeline.flow.state import Entry, Manifest, Memory, ObjectReceipt, Receipt
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
    """What is to be validated. known: (partition + sha256) → key, of content that must not come again."""

    batches: tuple[Todo, ...]
    known: Mapping[str, str]


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


@dataclass(frozen=True)
class Validated:
    """What is known of a validated partition.

    receipts: of all its objects; fresh: of those validated just now; ran: what did that.
    """

    partition: str
    receipts: tuple[ObjectReceipt, ...]
    fresh: tuple[ObjectReceipt, ...] = ()
    ran: Ran | None = None

    @property
    def rows(self) -> int:
        """Landed rows of all objects."""
        return sum(r.rows for r in self.receipts)

    @property
    def valid(self) -> int:
        """Rows in validated."""
        return sum(r.valid for r in self.receipts)

    @property
    def quarantined(self) -> int:
        """Rejected rows, those of refused files included."""
        return sum(r.quarantined for r in self.receipts)

    @property
    def refused_files(self) -> tuple[ObjectReceipt, ...]:
        """Files refused as a whole."""
        return tuple(r for r in self.receipts if r.reason)


def rules_hash(work: Work) -> str:
    """What decides how an object is validated: the contract, the dataset's policies, the code."""
    return digest(VERSION, work.dataset.validation_hash)[:16]


def validate(work: Work, manifests: Mapping[str, Manifest], force: bool = False) -> dict[str, Validated]:
    """Validate what has no receipt yet in each partition; with `force`, everything again."""
    memory = Memory(work.lake, work.dataset)
    rules = rules_hash(work)
    receipts = memory.receipts(manifests)
    done = {p: known_objects(receipts.get(p, []), rules, m) for p, m in manifests.items()}
    batches = plan(manifests, done, rules, force or work.force)
    computed, ran = Computed(), None
    if batches:
        request = Request(tuple(batches), taken(work, batches, done))
        computed, ran = work.do(STEP, request, Size.of(e for b in batches for e in b.entries))
    fresh = commit(work, memory, computed, receipts, manifests, rules)
    return {
        p: Validated(
            p,
            tuple({**done[p], **{o.id: o for o in fresh.get(p, ())}}.values()),
            fresh.get(p, ()),
            ran if p in fresh else None,
        )
        for p in manifests
    }


def compute(work: Work, request: Request) -> Computed:
    """Validate batches, and put their data files in place."""
    candidates = candidates_of(work, request.batches, request.known)
    batches = fill(work, request.batches, scan(work, candidates))
    schema, rules = schema_of(work, [f for b in batches for f in b.good]), rules_hash(work)
    columns = b64encode(schema.serialize().to_pybytes()).decode() if schema else ""
    return Computed(tuple(receipt_of(work, batch, rules) for batch in batches), columns)


STEP = Step("validate", compute, Request, Computed)


def taken(
    work: Work, batches: Iterable[Todo], done: Mapping[str, Mapping[str, ObjectReceipt]]
) -> dict[str, str]:
    """(partition + sha256) → key, of content validated before that must not come again."""
    if work.dataset.config.duplicate_content != "quarantine":
        return {}
    raw = work.lake.zone("raw")
    again = {entry.id for batch in batches for entry in batch.entries}
    return {
        f"{batch.partition}/{o.sha256}": raw.key(o.uri)
        for batch in batches
        for o in done[batch.partition].values()
        if o.sha256 and not o.reason and o.id not in again
    }


def known_objects(receipts: Iterable[Receipt], rules: str, manifest: Manifest) -> dict[str, ObjectReceipt]:
    """The manifest's objects that need no validation: under the rules in force, or gone since."""
    status = {e.id: e.status for e in manifest.sources}
    return {
        o.id: o
        for receipt in sorted(receipts, key=lambda r: r.at)
        for o in receipt.objects
        if o.id in status and (receipt.rules == rules or status[o.id] == "gone")
    }


def plan(
    manifests: Mapping[str, Manifest],
    done: Mapping[str, Mapping[str, ObjectReceipt]],
    rules: str,
    force: bool,
) -> list[Todo]:
    """One batch for each partition that has objects to validate."""
    batches = []
    for partition, manifest in manifests.items():
        known = {} if force else done[partition]
        todo = tuple(e for e in manifest.sources if e.status != "gone" and e.id not in known)
        if todo:
            batches.append(Todo(partition, digest([e.id for e in todo], rules)[:16], todo))
    return batches


def candidates_of(work: Work, batches: Iterable[Todo], known: Mapping[str, str]) -> list[Candidate]:
    """Every object of the batches where the engine reads it, judged as a file, its columns known."""
    entries = [(entry, batch.partition) for batch in batches for entry in batch.entries]
    candidates = work.engine.near(Look(work.lake.zone("raw"), work.dataset), entries)
    if work.dataset.config.duplicate_content == "quarantine":
        candidates = refuse_duplicates(candidates, known)
    return with_columns(candidates, work.dataset)


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


def commit(
    work: Work,
    memory: Memory,
    computed: Computed,
    receipts: Mapping[str, list[Receipt]],
    manifests: Mapping[str, Manifest],
    rules: str,
) -> dict[str, tuple[ObjectReceipt, ...]]:
    """One commit per table, and the receipts. Returns the new objects' receipts by partition.

    The quarantine of a partition that is published changes with its next publish: until then, the rows
    that readers see are not to be in quarantine, too.
    """
    written = {receipt.partition: receipt for receipt in computed.receipts}
    new: list[Receipt] = list(written.values())
    retired: list[Receipt] = []
    for partition, manifest in manifests.items():
        again = {o.id for o in written[partition].objects} if partition in written else set()
        old = retired_of(receipts.get(partition, []), rules, manifest, again)
        retired += [receipt for receipt, _ in old]
        new += survivors(work, partition, old, rules)
    touched = {r.partition for r in (*new, *retired)}
    if touched:
        stay = {
            f for p in touched for r in receipts.get(p, []) if r not in retired for f in r.validated_files
        }
        add = stay | {f for r in new for f in r.validated_files}
        # all else: what is retired, and what a run that was killed before its receipt has left
        drop = {f.uri for f in work.lake.tables.files(f"validated.{work.dataset.name}", touched)} - add
        if add or drop:
            work.commit("validated", merged_schema(work, computed.schema), drop, add)
    settle_quarantine(work, memory, new, retired)
    for receipt in new:
        memory.write_receipt(receipt)
    return {partition: receipt.objects for partition, receipt in written.items()}


def retired_of(
    receipts: list[Receipt], rules: str, manifest: Manifest, again: set[str]
) -> list[tuple[Receipt, set[str]]]:
    """The receipts whose rows count no longer, all or some, each with the objects that are to stay.

    They are of other rules; or hold an object that is superseded, or validated again: now, or by a run
    beside the one that wrote them.
    """
    counting = {e.id for e in manifest.sources}
    taken, found = set(again), []
    for receipt in reversed(receipts):
        mine = {o.id for o in receipt.objects}
        stay = (mine & counting) - taken
        if receipt.rules != rules or stay != mine:
            found.append((receipt, stay))
        taken |= mine
    return found[::-1]


def settle_quarantine(work: Work, memory: Memory, new: list[Receipt], retired: list[Receipt]) -> None:
    """Put the rejects of new receipts in, and those of retired ones out.

    Where rows are published that are to be replaced, the quarantine is what it was with the newest
    outcome: their rejects go, and the new ones come, with the next.
    """
    replaced = {r.partition for r in retired}
    outcomes = memory.outcomes(replaced) if replaced else {}
    held = {p: o for p, o in outcomes.items() if memory.published(p, o)}
    there = (
        {f.uri for f in work.lake.tables.files(f"quarantine.{work.dataset.name}", held)} if held else set()
    )
    add = {f for r in new if r.partition not in held for f in r.quarantine_files}
    add |= {f for o in held.values() for f in o.quarantine_files}
    drop = there | {f for r in retired if r.partition not in held for f in r.quarantine_files}
    if add or drop - add:
        work.commit("quarantine", quarantine.SCHEMA, drop - add, add)


def receipt_of(work: Work, batch: Batch, rules: str) -> Receipt:
    """Upload the batch's data files, and the untouched files it refuses; returns its receipt."""
    keep_files(work, batch.partition, [c.entry for c in batch.candidates if c.refused])
    stem = f"{work.dataset.name}/data/{partition_folder(batch.partition)}/{batch.id}"
    good = place_all(work, "validated", stem, batch.good)
    bad = place_all(work, "quarantine", stem, batch.more_rejected)
    if (
        batch.rejected
    ):  # its entries name their run: a run that is repeated is to find the file of the one before
        bad.append(put(work.lake.zone("quarantine"), f"{stem}.parquet", batch.rejected))
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


def survivors(
    work: Work, partition: str, retired: list[tuple[Receipt, set[str]]], rules: str
) -> list[Receipt]:
    """What stays of retired receipts, as one receipt that replaces them.

    These are objects that are not validated again: their rows are as they should be, or they are gone.
    """
    if not retired:
        return []
    objects = tuple(o for r, stay in retired for o in r.objects if o.id in stay)
    batch = digest([r.batch for r, _ in retired], [o.id for o in objects], rules)[:16]
    good = [only(work, "validated", r.validated_files, stay, batch) for r, stay in retired]
    bad = [only(work, "quarantine", r.quarantine_files, stay, batch) for r, stay in retired]
    return [
        Receipt(
            dataset=work.dataset.name,
            partition=partition,
            batch=batch,
            rules=rules,
            run_id=work.run_id,
            at=work.at.isoformat(),
            objects=objects,
            validated_files=tuple(dict.fromkeys(f for files in good for f in files)),
            quarantine_files=tuple(dict.fromkeys(f for files in bad for f in files)),
            replaces=tuple(r.batch for r, _ in retired if r.batch != batch),
        )
    ]


def merged_schema(work: Work, new: pa.Schema | None) -> pa.Schema:
    """The columns of the table so far and of new files; new columns come last."""
    known = work.lake.tables.arrow_schema(f"validated.{work.dataset.name}")
    return merged([schema for schema in (known, new) if schema is not None])
