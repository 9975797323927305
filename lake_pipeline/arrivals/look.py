"""Look at what has landed: what starts runs where no events come, and finds what events missed where they do.

A partition's objects are compared as a whole, by one digest of their identities: neither clocks nor an order of
keys are trusted, so equal timestamps, deleted keys and late files make no difference. Only where the digest is
another than at the last look is the partition's input manifest read, and what it does not have has arrived.

Between two sweeps over everything, only the newest partitions are listed, from the key where they begin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from lake_pipeline.arrivals.again import OPEN, Busy, ask_again, nothing, remember
from lake_pipeline.arrivals.journal import Journal
from lake_pipeline.arrivals.listing import Listed, listed
from lake_pipeline.arrivals.places import Arrival
from lake_pipeline.arrivals.requests import asked_since
from lake_pipeline.arrivals.tick import MayStart, Tick, Ticked, always
from lake_pipeline.arrivals.waiting import Room
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import FIELDS, KEY_FORMAT, NEEDED
from lake_pipeline.flow.state import Manifest, Memory, Outcome
from lake_pipeline.storage import Lake

RECENT = 3  # partitions at the end that every look lists
SWEEP_EVERY = 10  # looks
GRACE = timedelta(minutes=5)  # in which an event may still come


def look(
    lake: Lake,
    datasets: Mapping[str, Dataset],
    cursor: str | None,
    now: datetime,
    may_start: MayStart = always,
    *,
    sensor: str = "listing",
    beside_queue: bool = False,
    at_once: bool = False,
    busy: Busy = nothing,
) -> Ticked:
    """A tick on the listing of some datasets.

    beside_queue: events come too, so an object is left to them for `GRACE`, and counts as lost after it unless
    they brought it. at_once: everything is swept, and starts without waiting for more, and nothing is asked for
    again. busy: the partitions of a dataset with a run that is queued or goes on.
    """
    tick = Tick.begin(lake, datasets, sensor, cursor, now)
    looks = looks_in(cursor) + 1
    if OPEN not in tick.memo:  # the first look, or the first of this version
        tick.memo = {OPEN: {}}
    sweep = at_once or looks % SWEEP_EVERY == 1 or not tick.memo.get("seen")
    seen: dict[str, dict[str, str]] = tick.memo.setdefault("seen", {})
    for name, dataset in datasets.items():
        found = list(listed(lake, dataset, None if sweep else frontier(dataset, seen.get(name, {}))))
        fresh = found if not beside_queue else [o for o in found if o.meta.modified <= now - GRACE]
        arrived(tick, dataset, fresh, seen.setdefault(name, {}), beside_queue)
        if not at_once:
            ask_again(tick, dataset, busy)
    ended = tick.end(tick.ask(may_start, at_once))
    return replace(ended, cursor=f"{ended.cursor}+{looks}")


def looks_in(cursor: str | None) -> int:
    """How many looks there were, as the cursor counts them; 0, and so a sweep, where it does not say."""
    looks = (cursor or "").partition("+")[2]
    return int(looks) if looks.isdecimal() else 0


def arrived(
    tick: Tick, dataset: Dataset, objects: list[Listed], seen: dict[str, str], beside_queue: bool
) -> None:
    """Admit the objects that no run has taken, of the partitions that changed since the last look."""
    by_partition: dict[str, list[Listed]] = {}
    for item in objects:
        by_partition.setdefault(item.partition, []).append(item)
    marks = {p: mark_of(o.id for o in mine) for p, mine in by_partition.items()}
    changed = [p for p, mark in marks.items() if seen.get(p) != mark]
    if not changed:
        return
    memory, fresh = Memory(tick.lake, dataset), {p: by_partition[p] for p in changed}
    manifests, outcomes = memory.manifests(changed), memory.outcomes(changed)
    new = untaken(dataset, fresh, manifests, outcomes)
    remember(tick, memory, fresh, manifests, outcomes)
    for partition in changed:
        seen[partition] = marks[partition]
    tick.room.changed = True
    if new:
        known = heard(tick, dataset, min(o.meta.modified for o in new))
        new = [o for o in new if o.id not in known]
    if new and beside_queue:
        tick.done.lost[dataset.name] = len(new)
    for item in new:
        at = item.meta.modified
        tick.admit(Arrival(dataset.name, item.partition, item.meta.key, item.id, at, marker=item.marker))


def untaken(
    dataset: Dataset,
    by_partition: Mapping[str, list[Listed]],
    manifests: Mapping[str, Manifest],
    outcomes: Mapping[str, Outcome],
) -> list[Listed]:
    """The objects that are in no input manifest, and producers' manifests that came after the last outcome."""
    asks = dataset.config.producer_manifest == "required"
    found: list[Listed] = []
    for partition, objects in by_partition.items():
        entries = manifests[partition].entries if partition in manifests else ()
        known = {e.id for e in entries if e.status in ("live", "refused")}
        outcome = outcomes.get(partition) if asks else None
        decided = datetime.fromisoformat(outcome.at) if outcome else None
        for item in objects:
            old = bool(decided and item.meta.modified < decided) if item.marker else item.id in known
            if not old:
                found.append(item)
    return found


def heard(tick: Tick, dataset: Dataset, since: datetime) -> set[str]:
    """The identities that others brought: those that wait in the queue's room, or were asked for since then."""
    _, state = Journal(tick.lake.zone("ops"), "queue").newest(0)
    waiting = Room.of(state["room"]).ids(dataset.name) if state else set()
    return waiting | asked_since(tick.lake, dataset.name, since, other_than=tick.done.sensor).keys()


def mark_of(ids: Iterable[str]) -> str:
    """A digest of a set of identities, in whatever order they come: how many they are, and their sum."""
    count = total = 0
    for id_ in ids:
        count, total = count + 1, (total + int(id_, 16)) % 2**80
    return f"{count}:{total:x}"


def frontier(dataset: Dataset, seen: Mapping[str, Any]) -> str | None:
    """The key after which all of the newest partitions' objects are; None where keys have no such order."""
    spec = dataset.config.partitions
    ahead = ordered_part(dataset.template.text, NEEDED[spec.by])
    if ahead is None or len(seen) < RECENT:
        return None
    moment = datetime.strptime(sorted(seen)[-RECENT], KEY_FORMAT[spec.by])
    for field, (_, code) in FIELDS.items():
        ahead = ahead.replace(f"{{{field}}}", moment.strftime(code))
    return ahead[:-1]  # a key that is no longer than this is after it, too


def ordered_part(text: str, needed: tuple[str, ...]) -> str | None:
    """The beginning of a landing template by which keys are in the order of their partitions.

    >>> ordered_part("orders/{yyyy}/{mm}/{dd}/", ("yyyy", "mm", "dd"))
    'orders/{yyyy}/{mm}/{dd}'
    >>> ordered_part("orders/*/{yyyy}/{mm}/{dd}/", ("yyyy", "mm", "dd"))
    >>> ordered_part("orders/{dd}/{mm}/{yyyy}/", ("yyyy", "mm", "dd"))
    """
    if not needed:
        return None
    end = text.find(f"{{{needed[-1]}}}") + len(needed[-1]) + 2
    part = text[:end]
    first = tuple(dict.fromkeys(re.findall(r"{(\w+)}", part)))
    return part if first == needed and "*" not in part else None
