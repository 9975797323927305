"""Validate: the landed objects of a partition that have no receipt yet become typed rows, or quarantine.

Incremental: an object is validated once under one contract. Many partitions share scans and commits;
each keeps its own receipts. The order of effects is data files, receipt, Iceberg commits (`settle`): a crash
anywhere leaves a state from which the same call finishes the job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from lake_pipeline.datasets.loading import digest
from lake_pipeline.flow.batches import STEP, Computed, Request, Todo, rules_hash
from lake_pipeline.flow.choice import Ran, Size
from lake_pipeline.flow.context import Work
from lake_pipeline.flow.files import merged, only
from lake_pipeline.flow.inventory import outdated
from lake_pipeline.flow.settle import State, look, record, settle
from lake_pipeline.flow.state import Manifest, Memory, ObjectReceipt, Receipt
from lake_pipeline.flow.undeclared import columns_of
from lake_pipeline.storage.lake import Overtaken

ZONES = ("validated", "quarantine")


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
    state = settle(work, memory, look(work, memory, manifests, ZONES))
    for manifest in manifests.values():
        not_overtaken(manifest, state)
    done = {p: known_objects(state.receipts.get(p, ()), rules, m) for p, m in manifests.items()}
    batches = plan(manifests, done, rules, work.force)
    computed, ran = Computed(), None
    if batches:
        columns = columns_of(work.lake.tables.arrow_schema(f"validated.{work.dataset.name}"))
        request = Request(tuple(batches), taken(work, batches, done), columns)
        computed, ran = work.do(STEP, request, Size.of(e for b in batches for e in b.entries))
    fresh = commit(work, memory, computed, state, manifests, rules)
    return {
        p: Validated(
            p,
            tuple({**done[p], **{o.id: o for o in fresh.get(p, ())}}.values()),
            fresh.get(p, ()),
            ran if p in fresh else None,
        )
        for p in manifests
    }


def not_overtaken(manifest: Manifest, state: State) -> None:
    """Raise `Overtaken` where another run validated or judged by a newer inventory than this one."""
    known = {e.id for e in manifest.entries}
    newer = any(o.id not in known for r in state.receipts.get(manifest.partition, ()) for o in r.objects)
    judged = state.outcomes.get(manifest.partition)
    if newer or (judged is not None and judged.manifest > manifest.number):
        raise Overtaken(
            f"{manifest.dataset} {manifest.partition}: another run has taken a newer inventory, and worked by it. "
            "Repeat this one: it then begins with that."
        )


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
        for receipt in receipts
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
    state: State,
    manifests: Mapping[str, Manifest],
    rules: str,
) -> dict[str, tuple[ObjectReceipt, ...]]:
    """One receipt per partition in which anything changes, and the tables after it; the new objects' receipts."""
    written = {receipt.partition: receipt for receipt in computed.receipts}
    new: list[Receipt] = []
    for partition, manifest in manifests.items():
        again = {o.id for o in written[partition].objects} if partition in written else set()
        old = retired_of(state.receipts.get(partition, ()), rules, manifest, again)
        found = [
            *([written[partition]] if partition in written else []),
            *survivors(work, partition, old, rules),
        ]
        if found:
            new.append(replace(joined(found), number=state.newest_receipt(partition)))
    if new:
        record(work, memory, state, {"validated": merged_schema(work, computed.schema)}, receipts=new)
    return {partition: receipt.objects for partition, receipt in written.items()}


def joined(receipts: list[Receipt]) -> Receipt:
    """A new receipt, and what stays of those it retires, as one: it counts and they go at the same moment."""
    first, *others = receipts
    for other in others:
        first = replace(
            first,
            objects=first.objects + other.objects,
            validated_files=first.validated_files + other.validated_files,
            quarantine_files=first.quarantine_files + other.quarantine_files,
            replaces=first.replaces + other.replaces,
        )
    return first


def retired_of(
    receipts: Sequence[Receipt], rules: str, manifest: Manifest, again: set[str]
) -> list[tuple[Receipt, set[str]]]:
    """The receipts whose rows count no longer, all or some, each with the objects that are to stay.

    They are of other rules; or hold an object that is superseded, or validated again: now, or after them.
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
    """The columns of the table so far, in the types of new files where these have them; new columns come last.

    Whether a column can be of the new type is for the table to say.
    """
    known = work.lake.tables.arrow_schema(f"validated.{work.dataset.name}")
    if known is None or new is None:
        return merged([schema for schema in (known, new) if schema is not None])
    return merged([pa.schema([new.field(f.name) if f.name in new.names else f for f in known]), new])
