"""Validate: the landed objects of a partition that have no receipt yet become typed rows, or quarantine.

Incremental: an object is validated once under one contract. Many partitions share scans and commits;
each keeps its own receipt. The order of effects is data files, Iceberg commits, receipts: a crash
anywhere leaves a state from which the same call finishes the job.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake_pipeline.datasets.loading import digest
from lake_pipeline.flow import quarantine, rejects
from lake_pipeline.flow.candidates import Candidate, refuse_duplicates, spool_all, with_columns
from lake_pipeline.flow.context import Work, tell
from lake_pipeline.flow.inventory import outdated
from lake_pipeline.flow.scan import Scan, Scanned, malformed, scan
from lake_pipeline.flow.state import Entry, Manifest, Memory, ObjectReceipt, Receipt
from lake_pipeline.storage.lake import partition_folder

VERSION = "1"  # of what validation means: a new one validates everything again


@dataclass
class Batch:
    """One partition's objects that are validated together, and the data files that come of it."""

    partition: str
    id: str
    entries: list[Entry]
    candidates: list[Candidate] = field(default_factory=list)
    good: list[Path] = field(default_factory=list)
    bad: Path | None = None
    coerced: dict[str, Counter[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Validated:
    """What is known of a validated partition. receipts: of all its objects; fresh: validated just now."""

    partition: str
    receipts: tuple[ObjectReceipt, ...]
    fresh: tuple[ObjectReceipt, ...] = ()

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
    batches = plan(manifests, done, rules, force)
    if batches:
        scanned = scan(work, candidates_of(work, batches, done))
        fill(work, batches, scanned)
    fresh = commit(work, memory, batches, receipts, manifests, rules)
    return {
        p: Validated(p, tuple({**done[p], **{o.id: o for o in fresh.get(p, ())}}.values()), fresh.get(p, ()))
        for p in manifests
    }


def known_objects(receipts: Iterable[Receipt], rules: str, manifest: Manifest) -> dict[str, ObjectReceipt]:
    """The manifest's objects that need no validation: under the rules in force, or gone since."""
    entries = {e.id: e for e in manifest.sources}
    return {
        o.id: o
        for receipt in sorted(receipts, key=lambda r: r.at)
        for o in receipt.objects
        if o.id in entries
        and (receipt.rules == rules or entries[o.id].status == "gone")
        and not outdated(entries[o.id], o.reason, o.message)
    }


def plan(
    manifests: Mapping[str, Manifest],
    done: Mapping[str, Mapping[str, ObjectReceipt]],
    rules: str,
    force: bool,
) -> list[Batch]:
    """One batch for each partition that has objects to validate."""
    batches = []
    for partition, manifest in manifests.items():
        known = {} if force else done[partition]
        todo = [e for e in manifest.sources if e.status != "gone" and e.id not in known]
        if todo:
            batches.append(Batch(partition, digest([e.id for e in todo], rules)[:16], todo))
    return batches


def candidates_of(
    work: Work, batches: list[Batch], done: Mapping[str, Mapping[str, ObjectReceipt]]
) -> list[Candidate]:
    """Every object of the batches on local disk, judged as a file, its columns known."""
    raw = work.lake.zone("raw")
    entries = [(entry, batch.partition) for batch in batches for entry in batch.entries]
    candidates: list[Candidate] = []
    for candidate in spool_all(raw, work.dataset, entries, work.folder):
        tell("reading", len(candidates), len(entries))
        candidates.append(candidate)
    if work.dataset.config.duplicate_content == "quarantine":
        again = {entry.id for entry, _ in entries}
        known = {
            f"{partition}/{o.sha256}": raw.key(o.uri)
            for partition, objects in done.items()
            for o in objects.values()
            if o.sha256 and not o.reason and o.id not in again
        }
        candidates = refuse_duplicates(candidates, known)
    return with_columns(candidates, work.dataset, work.engine)


def fill(work: Work, batches: list[Batch], scanned: Scanned) -> None:
    """Give each batch its settled candidates, its files of good rows, and its file of rejects."""
    by_partition = {batch.partition: batch for batch in batches}
    writers = {
        b.partition: rejects.RejectWriter(work, work.folder / "rejects" / f"{b.id}.parquet") for b in batches
    }
    for candidate in scanned.candidates.values():
        by_partition[candidate.partition].candidates.append(candidate)
        writer = writers[candidate.partition]
        if candidate.refused:
            writer.write([rejects.file_entry(work, candidate)])
        else:
            writer.write(rejects.malformed_entries(work, candidate))
    for item in scanned.scans:
        for file in item.result.good:
            by_partition[file.partition].good.append(file.path)
        for id_, counts in item.result.coerced.items():
            batch = by_partition[scanned.candidates[id_].partition]
            batch.coerced.setdefault(id_, Counter()).update(counts)
    write_rejects(work, scanned, writers)
    for batch in batches:
        batch.bad = writers[batch.partition].close()


def write_rejects(work: Work, scanned: Scanned, writers: Mapping[str, rejects.RejectWriter]) -> None:
    """Explain the rejected rows, to the quarantine of their partitions; scans that are alike share a query."""
    alike: dict[Any, list[Scan]] = {}
    for item in scanned.scans:
        if item.result.rejected:
            alike.setdefault((item.part.columns, item.rules), []).append(item)
    for items in alike.values():
        paths = [path for item in items for path in item.result.rejected]
        for rows in work.engine.explain(items[0].part, items[0].rules, paths):
            entries = list(rejects.row_entries(work, rows, scanned.candidates))
            for partition in dict.fromkeys(e["_partition"] for e in entries):
                writers[partition].write([e for e in entries if e["_partition"] == partition])


def commit(
    work: Work,
    memory: Memory,
    batches: list[Batch],
    receipts: Mapping[str, list[Receipt]],
    manifests: Mapping[str, Manifest],
    rules: str,
) -> dict[str, tuple[ObjectReceipt, ...]]:
    """Data files, one commit per table, receipts. Returns the new objects' receipts by partition.

    The quarantine of a partition that is published changes with its next publish: until then, the rows
    that readers see are not to be in quarantine, too.
    """
    written = {batch.partition: receipt_of(work, batch, rules) for batch in batches}
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
            schema = merged_schema(work, [p for b in batches for p in b.good])
            work.commit("validated", schema, drop, add)
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
    keep_files(work, batch)
    folder = f"{work.dataset.name}/data/{partition_folder(batch.partition)}"
    good = [
        upload(work, "validated", f"{folder}/{batch.id}-{content_id(path)}.parquet", path)
        for path in sorted(batch.good)
    ]
    bad = [upload(work, "quarantine", f"{folder}/{batch.id}.parquet", batch.bad)] if batch.bad else []
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


def content_id(path: Path) -> str:
    """What names one of several data files: which of them is written first depends on threads."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def upload(work: Work, zone: str, key: str, path: Path) -> str:
    """Put a data file under its name, unless a run that was killed has done so; returns its URI."""
    store = work.lake.zone(zone)
    if not store.exists(key):
        store.write(key, path)
    return store.uri(key)


def keep_files(work: Work, batch: Batch) -> None:
    """Copy refused files into the quarantine, byte by byte as they landed."""
    store, raw = work.lake.zone("quarantine"), work.lake.zone("raw")
    for candidate in batch.candidates:
        if candidate.refused:
            name = candidate.entry.key.rpartition("/")[2]
            folder = f"files/{work.dataset.name}/{partition_folder(batch.partition)}/{candidate.entry.id}"
            store.copy_from(raw, candidate.entry.meta, f"{folder}/{name}", work.folder)


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


def only(work: Work, zone: str, uris: Iterable[str], ids: Iterable[str], mark: str) -> tuple[str, ...]:
    """Data files with the rows of some objects only: as they are, or copies; empty ones are left out."""
    store = work.lake.zone(zone)
    wanted = pa.array(sorted(ids), pa.string())
    made = []
    for uri in uris:
        table = pq.read_table(store.fetch(store.key(uri), work.folder / "fetched"))
        kept = table.filter(pc.is_in(table["_source"], wanted))
        if kept.num_rows == table.num_rows:
            made.append(uri)
        elif kept.num_rows:
            folder, _, name = store.key(uri).rpartition("/")
            path = work.folder / f"{mark}-{digest(name, wanted.to_pylist())[:8]}.parquet"
            pq.write_table(kept, path, compression="zstd")
            made.append(upload(work, zone, f"{folder}/{path.name}", path))
    return tuple(made)


def merged_schema(work: Work, paths: Iterable[Path]) -> pa.Schema:
    """The columns of the batch's files and of the table so far; new columns come last."""
    known = work.lake.tables.arrow_schema(f"validated.{work.dataset.name}")
    schemas = [] if known is None else [known]
    seen: dict[tuple[str, ...], pa.Schema] = {}
    for path in paths:
        schema = pq.read_schema(path).remove_metadata()
        seen.setdefault(tuple(schema.names), schema)
    fields: dict[str, pa.Field] = {}
    for schema in [*schemas, *seen.values()]:
        for field_ in schema:
            fields.setdefault(field_.name, field_)
    return pa.schema(list(fields.values()))
