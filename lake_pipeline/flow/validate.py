"""Validate: the landed objects of a partition that have no receipt yet become typed rows, or quarantine.

Incremental: an object is validated once under one contract. Many partitions share scans and commits;
each keeps its own receipt. The order of effects is data files, Iceberg commits, receipts: a crash
anywhere leaves a state from which the same call finishes the job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from lake_pipeline.datasets.loading import digest
from lake_pipeline.flow import quarantine
from lake_pipeline.flow.batches import STEP, Computed, Request, Todo, rules_hash
from lake_pipeline.flow.choice import Ran, Size
from lake_pipeline.flow.context import Work
from lake_pipeline.flow.files import merged, only
from lake_pipeline.flow.inventory import outdated
from lake_pipeline.flow.state import Manifest, Memory, ObjectReceipt, Receipt
from lake_pipeline.flow.undeclared import columns_of


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


def validate(work: Work, manifests: Mapping[str, Manifest]) -> dict[str, Validated]:
    """Validate what has no receipt yet in each partition; where the work is forced, everything again."""
    memory = Memory(work.lake, work.dataset)
    rules = rules_hash(work)
    receipts = memory.receipts(manifests)
    done = {p: known_objects(receipts.get(p, []), rules, m) for p, m in manifests.items()}
    batches = plan(manifests, done, rules, work.force)
    computed, ran = Computed(), None
    if batches:
        columns = columns_of(work.lake.tables.arrow_schema(f"validated.{work.dataset.name}"))
        request = Request(tuple(batches), taken(work, batches, done), columns)
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
    """The manifest's objects that need no validation: under the rules in force, or gone since.

    A file that was refused for its content is to be looked at again when no other that counts has that content.
    """
    entries = {e.id: e for e in manifest.sources}
    found = {
        o.id: o
        for receipt in sorted(receipts, key=lambda r: r.at)
        for o in receipt.objects
        if o.id in entries
        and (receipt.rules == rules or entries[o.id].status == "gone")
        and not outdated(entries[o.id], o.reason, o.message)
    }
    originals = {o.sha256 for o in found.values() if not o.reason}
    return {
        id_: o
        for id_, o in found.items()
        if o.reason != "DUPLICATE_CONTENT" or o.sha256 in originals or entries[id_].status != "live"
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
            **work.tags,
        )
    ]


def merged_schema(work: Work, new: pa.Schema | None) -> pa.Schema:
    """The columns of the table so far and of new files; new columns come last."""
    known = work.lake.tables.arrow_schema(f"validated.{work.dataset.name}")
    return merged([schema for schema in (known, new) if schema is not None])
