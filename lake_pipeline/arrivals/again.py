"""Ask again for what landed and came to no outcome: its run broke off, or never began.

The listing remembers a partition as open from when something lands in it until an outcome knows all of it, and
readers see what it says. An open one of which no run is queued or goes on is asked for again, after waits that
grow, so often as its dataset allows, and is then given up, which is told. An error that does not pass, and a
person who canceled the run, are not answered by another: they were told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal

from lake_pipeline.arrivals.journal import Journal
from lake_pipeline.arrivals.listing import Listed, of_partition
from lake_pipeline.arrivals.requests import asked_since
from lake_pipeline.arrivals.tick import Tick
from lake_pipeline.arrivals.waiting import Room, Waiting
from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.settle import shown
from lake_pipeline.flow.state import Manifest, Memory, Outcome, object_id
from lake_pipeline.health.history import RunRecord, records
from lake_pipeline.storage import Lake

OPEN = "open"  # in what the listing remembers: dataset → partition → `Open`
RATE = 3.0
MARGIN = 60.0  # seconds between the clocks of those who run and those who look
Busy = Callable[[str], AbstractSet[str]]


def nothing(_: str) -> AbstractSet[str]:
    """No partition has a run that is queued or goes on."""
    return frozenset()


@dataclass(frozen=True)
class Open:
    """A partition without an outcome. asked: when it was seen or asked for last, in seconds since 1970, UTC.

    attempts: how often it was asked for again. left: why it is not any more, ``""`` where it is.
    """

    asked: float
    attempts: int = 0
    left: Literal["", "given up", "told"] = ""

    def due(self, dataset: Dataset) -> float:
        """When it is to be looked at."""
        return self.asked + dataset.config.arrivals.again_seconds * RATE**self.attempts


def remember(
    tick: Tick,
    memory: Memory,
    changed: Mapping[str, list[Listed]],
    manifests: Mapping[str, Manifest],
    outcomes: Mapping[str, Outcome],
) -> None:
    """Open the partitions in which something landed that no outcome knows, and close the others."""
    found, outcomes = _opened(tick, memory.dataset), shown(memory, manifests, outcomes)
    for partition, objects in changed.items():
        if unsettled(memory, objects, manifests.get(partition), outcomes.get(partition)):
            found[partition] = asdict(Open(tick.now.timestamp()))
        else:
            found.pop(partition, None)


def ask_again(tick: Tick, dataset: Dataset, busy: Busy) -> None:
    """Have the open partitions wait again whose time has come, and close those that came to an outcome."""
    found = _opened(tick, dataset)
    at = tick.now.timestamp()
    due = {p: o for p, o in ((p, Open(**d)) for p, d in found.items()) if o.due(dataset) <= at}
    going = busy(dataset.name) if due else frozenset()
    due = {p: o for p, o in due.items() if p not in going}
    if not due:
        return
    memory, others = Memory(tick.lake, dataset), Others(tick, dataset, min(o.asked for o in due.values()))
    manifests = memory.manifests(due)
    outcomes = shown(memory, manifests, memory.outcomes(due))
    for partition, one in due.items():
        objects = of_partition(tick.lake, dataset, partition)
        new = unsettled(memory, objects, manifests.get(partition), outcomes.get(partition))
        after = others.next(partition, one, new) if new else None
        if after == one:
            continue
        tick.room.changed = True
        if after is None:
            del found[partition]
            continue
        found[partition] = asdict(after)
        if after.attempts > one.attempts:
            tick.room.come_back(dataset.name, partition, waiting(new, after.attempts))


def _opened(tick: Tick, dataset: Dataset) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = tick.memo.setdefault(OPEN, {}).setdefault(dataset.name, {})
    return found


@dataclass
class Others:
    """What others did about a dataset's partitions, read when it is needed. since: in seconds since 1970, UTC."""

    tick: Tick
    dataset: Dataset
    since: float

    def next(self, partition: str, one: Open, new: list[Listed]) -> Open:
        """What becomes of an open partition that is due and has no run."""
        if one.left:
            return one
        at, rule = self.tick.now.timestamp(), self.dataset.config.arrivals
        asked = max((self.asked[o.id] for o in new if o.id in self.asked), default=one.asked)
        if any(partition in room.waiting.get(self.dataset.name, {}) for room in self.rooms):
            return replace(one, asked=at)  # from there it will be asked for
        if asked > one.asked:
            return replace(one, asked=asked)
        if not self.worth_it(partition, one.asked):
            return replace(one, left="told")
        if one.attempts >= rule.attempts:
            return replace(one, left="given up")
        return Open(at, one.attempts + 1)

    def worth_it(self, partition: str, since: float) -> bool:
        """Whether the last run of a partition that ended since then, if any was told, may end otherwise next time."""
        mine = [
            r
            for r in self.runs
            if datetime.fromisoformat(r.ended).timestamp() >= since - MARGIN
            and any(p.partition == partition for p in r.partitions)
        ]
        newest = max(mine, key=lambda r: r.ended, default=None)
        return newest is None or newest.state == "succeeded" or (newest.state == "failed" and newest.passing)

    @cached_property
    def rooms(self) -> list[Room]:
        """This sensor's waiting room, and the queue's."""
        _, state = Journal(self.tick.lake.zone("ops"), "queue").newest(0)
        return [self.tick.room, *([Room.of(state["room"])] if state else [])]

    @cached_property
    def asked(self) -> dict[str, float]:
        """When other sensors asked for objects, by identity."""
        since, sensor = datetime.fromtimestamp(self.since, UTC), self.tick.done.sensor
        return asked_since(self.tick.lake, self.dataset.name, since, other_than=sensor)

    @cached_property
    def runs(self) -> list[RunRecord]:
        """The runs that were told, of those that may have ended since."""
        first = datetime.fromtimestamp(self.since, UTC) - timedelta(days=1)
        return list(records(self.tick.lake, first.date(), self.tick.now.date(), self.dataset.name))


def unsettled(
    memory: Memory, objects: list[Listed], manifest: Manifest | None, outcome: Outcome | None
) -> list[Listed]:
    """The listed objects of a partition that no outcome knows; none while the producer's manifest has not come."""
    dataset, markers = memory.dataset, [o for o in objects if o.marker]
    if dataset.config.producer_manifest == "required" and not markers:
        return []
    known = _known(memory, manifest, outcome) if manifest and outcome else set()
    decided = datetime.fromisoformat(outcome.at) if outcome else None
    return [o for o in objects if not (decided and o.meta.modified < decided if o.marker else o.id in known)]


def _known(memory: Memory, manifest: Manifest, outcome: Outcome) -> set[str]:
    """The identities of the objects that an outcome knows, also of those that were copied and are the same."""
    if outcome.manifest != manifest.number:
        before = memory.manifest(manifest.partition, outcome.manifest)
        manifest = manifest if before.hash == manifest.hash else before
    policy, root = memory.dataset.config.overwritten_keys, memory.lake.zone("raw").root
    statuses = ("live", "refused", *(["superseded"] if policy == "ignore" else []))
    found = [e for e in manifest.entries if e.status in statuses]
    return {e.id for e in found} | {object_id(root, e.meta) for e in found}


def waiting(objects: list[Listed], attempt: int) -> Waiting:
    """The objects as they wait; since they landed, so that they wait for no others."""
    times = [o.meta.modified.timestamp() for o in objects]
    keys = {o.meta.key: (o.id, "") for o in objects}
    return Waiting(min(times), max(times), keys, any(o.marker for o in objects), attempt)


def given_up(lake: Lake, sensor: str = "listing") -> dict[str, list[str]]:
    """By dataset, the partitions that are not asked for any more, although no run came to an outcome; sorted."""
    _, state = Journal(lake.zone("ops"), sensor).newest(0)
    found = state["memo"].get(OPEN, {}) if state else {}
    return {d: sorted(p for p, o in mine.items() if o["left"] == "given up") for d, mine in found.items()}
