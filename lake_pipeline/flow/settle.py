"""The logs decide, and the tables follow them: what makes commits safe beside others, and after a kill.

A run decides by appending a receipt or an outcome to its partition's log, which only works where it knew the
newest one (`Overtaken`). What each table is to consist of follows from the logs alone. A run reads the tables
first and the logs after them, and commits only over what it has read (`CommitConflict`), so whatever it did
not know makes it look again. Whoever is killed in between leaves tables that lag behind their logs; the next
run of the partition brings them up before it does anything else.

validated   the data files of the receipts that count
curated     the files of the newest outcome
quarantine  the files of the newest outcome, and of receipts after it. Where receipts that it judged count no
            longer, the new ones wait for the next outcome: the rows that readers see are not in both tables
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from lake_pipeline.flow import quarantine
from lake_pipeline.flow.context import Work
from lake_pipeline.flow.state import Manifest, Memory, Outcome, Receipt, active
from lake_pipeline.storage.lake import CommitConflict, Overtaken

if TYPE_CHECKING:
    from lake_pipeline.storage.tables import DataFile, Seen

TABLES = ("validated", "curated", "quarantine")
LOOKS = 25  # how often a run looks again where others change its partitions; each time one of them got on


@dataclass(frozen=True)
class State:
    """What tables of a dataset consist of in some partitions, and what the logs said after that was read."""

    seen: Mapping[str, Seen]
    receipts: Mapping[str, tuple[Receipt, ...]]
    outcomes: Mapping[str, Outcome]

    def wanted(self, zone: str, partition: str) -> frozenset[str]:
        """The data files of which a table is to consist."""
        return WANTED[zone](self.receipts.get(partition, ()), self.outcomes.get(partition))

    def newest_receipt(self, partition: str) -> int:
        """The number of the newest receipt."""
        return max((r.number for r in self.receipts.get(partition, ())), default=0)


def look(work: Work, memory: Memory, partitions: Iterable[str], zones: Iterable[str] = TABLES) -> State:
    """Read the tables, and then the logs: what is decided later than this reading of a table is not missed."""
    keys = list(partitions)
    seen = {zone: work.lake.tables.look(f"{zone}.{work.dataset.name}", keys) for zone in zones}
    receipts = {p: tuple(found) for p, found in memory.receipts(keys).items()} if keys else {}
    return State(seen, receipts, memory.outcomes(keys) if keys else {})


def settle(work: Work, memory: Memory, state: State) -> State:
    """Have the tables consist of what the logs say; the state afterwards."""
    partitions = next(iter(state.seen.values())).partitions
    for _ in range(LOOKS):
        try:
            return _brought(work, state)
        except CommitConflict:
            state = look(work, memory, partitions, state.seen)
    raise CommitConflict(
        f"{work.dataset.name}: other runs changed its tables {LOOKS} times while this one looked."
    )


def _brought(work: Work, state: State) -> State:
    seen = dict(state.seen)
    for zone, table in state.seen.items():
        wanted = {p: state.wanted(zone, p) for p in table.partitions}
        if changed := {p: files for p, files in wanted.items() if files != table.uris(p)}:
            seen[zone] = work.lake.tables.replace(table, changed, {"lake.run_id": work.run_id})
    return replace(state, seen=seen)


def record(
    work: Work,
    memory: Memory,
    state: State,
    schemas: Mapping[str, pa.Schema],
    *,
    receipts: Iterable[Receipt] = (),
    outcomes: Iterable[Outcome] = (),
) -> State:
    """Append what was decided to the logs, and have the tables follow. Raises `Overtaken`, after all else is done.

    schemas: of new data files, by zone. Before anything is decided, the tables are asked whether they can take them.
    """
    judged, decided = list(receipts), list(outcomes)
    columns = {"quarantine": quarantine.SCHEMA, **schemas}
    after = _appended(state, [replace(r, number=r.number + 1) for r in judged], decided)
    for zone, table in state.seen.items():
        new = {p: after.wanted(zone, p) - table.uris(p) for p in table.partitions}
        if any(new.values()):
            work.lake.tables.admit(table.name, columns[zone], new)
    written: list[Receipt] = []
    published: list[Outcome] = []
    overtaken: Overtaken | None = None
    for receipt in judged:
        try:
            written.append(memory.write_receipt(receipt))
        except Overtaken as e:
            overtaken = e
    for one in decided:
        try:
            published.append(memory.write_outcome(one))
        except Overtaken as e:
            overtaken = e
    state = settle(work, memory, _appended(state, written, published))
    if overtaken is not None:
        raise overtaken
    return state


def _appended(state: State, receipts: Iterable[Receipt], outcomes: Iterable[Outcome]) -> State:
    found = dict(state.receipts)
    for receipt in receipts:
        found[receipt.partition] = tuple(active((*found.get(receipt.partition, ()), receipt)))
    return replace(state, receipts=found, outcomes={**state.outcomes, **{o.partition: o for o in outcomes}})


def lagging(
    manifests: Mapping[str, Manifest],
    outcomes: Mapping[str, Outcome],
    tables: Mapping[str, Iterable[DataFile]],
) -> set[str]:
    """The partitions of which readers do not see what the newest outcome says: a run is committing, or was killed.

    tables: what curated and quarantine consist of. Files in quarantine that the outcome does not name may be of
    objects that came after it, where there is a newer manifest.
    """
    there: dict[tuple[str, str], set[str]] = {}
    for zone, files in tables.items():
        for file in files:
            there.setdefault((zone, file.partition), set()).add(file.uri)
    wrong = set()
    for p, newest in outcomes.items():
        held, judged = there.get(("quarantine", p), set()), set(newest.quarantine_files)
        newer = p in manifests and manifests[p].number != newest.manifest
        if there.get(("curated", p), set()) != set(newest.files) or not (
            judged <= held if newer else judged == held
        ):
            wrong.add(p)
    return wrong


def shown(
    memory: Memory, manifests: Mapping[str, Manifest], outcomes: Mapping[str, Outcome]
) -> Mapping[str, Outcome]:
    """The newest outcomes that readers see: one whose run was killed before its commits is none yet."""
    if not outcomes:
        return outcomes
    name, tables = memory.dataset.name, memory.lake.tables
    files = {zone: tables.files(f"{zone}.{name}", outcomes) for zone in ("curated", "quarantine")}
    lags = lagging(manifests, outcomes, files)
    return {p: o for p, o in outcomes.items() if p not in lags}


def _validated(receipts: Iterable[Receipt], _: Outcome | None) -> frozenset[str]:
    return frozenset(f for r in receipts for f in r.validated_files)


def _curated(_: Iterable[Receipt], newest: Outcome | None) -> frozenset[str]:
    return frozenset(newest.files) if newest else frozenset()


def _judged(_: Iterable[Receipt], newest: Outcome | None) -> frozenset[str]:
    return frozenset(newest.quarantine_files) if newest else frozenset()


def _quarantine(receipts: Iterable[Receipt], newest: Outcome | None) -> frozenset[str]:
    found = list(receipts)
    judged: Iterable[int] | None = () if newest is None else newest.receipts
    if judged is None or not {r.number for r in found} >= set(judged):
        return _judged((), newest)
    fresh = {f for r in found if r.number not in judged for f in r.quarantine_files}
    return _judged((), newest) | fresh


WANTED = {"validated": _validated, "curated": _curated, "quarantine": _quarantine}
