"""The waiting room: what has arrived and has not been asked for yet, and what was asked for lately.

It is plain data that is remembered from tick to tick. An object waits once, however often its event comes;
of several events of one key the last counts, in whatever order they come.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lake_pipeline.arrivals.events import before
from lake_pipeline.arrivals.places import Arrival
from lake_pipeline.datasets import Dataset

REMEMBERED_SECONDS = 3600.0
MOST_REMEMBERED = 200_000
Admission = Literal["waiting", "duplicate", "stale", "deleted"]


@dataclass
class Waiting:
    """One partition's objects: key → (id, sequencer).

    since: when the first came that waits, in seconds since 1970, UTC. landed: when the last one landed.
    marker: whether the producer's manifest is among them. attempt: how often they were asked for before and came
    to no outcome.
    """

    since: float
    landed: float
    objects: dict[str, tuple[str, str]] = field(default_factory=dict)
    marker: bool = False
    attempt: int = 0


@dataclass
class Room:
    """Everything that waits: dataset → partition → `Waiting`; and by dataset what was heard of a key last.

    heard: dataset → key → (id, sequencer, when), for as long as its run may not have taken inventory.
    changed: whether anything did since it was remembered.
    """

    waiting: dict[str, dict[str, Waiting]] = field(default_factory=dict)
    heard: dict[str, dict[str, tuple[str, str, float]]] = field(default_factory=dict)
    changed: bool = False

    def admit(self, arrival: Arrival, now: float) -> Admission:
        """Take in what arrived, and say what it is."""
        self.changed = True
        heard = self.heard.setdefault(arrival.dataset, {})
        partitions = self.waiting.setdefault(arrival.dataset, {})
        known = heard.get(arrival.key)
        if known:
            if before(arrival.sequencer, known[1]):
                return "stale"
            if known[0] == arrival.id:
                heard[arrival.key] = (arrival.id, arrival.sequencer or known[1], now)
                return "duplicate"
        heard[arrival.key] = (arrival.id, arrival.sequencer, now)
        if not arrival.id:
            self._remove(arrival, partitions)
            return "deleted"
        at = min(arrival.at.timestamp(), now)
        place = partitions.setdefault(arrival.partition, Waiting(at, at))
        place.since, place.landed = min(place.since, at), max(place.landed, at)
        place.objects[arrival.key] = (arrival.id, arrival.sequencer)
        place.marker = place.marker or arrival.marker
        return "waiting"

    def come_back(self, dataset: str, partition: str, place: Waiting) -> None:
        """A partition waits again, of which nothing does."""
        self.waiting.setdefault(dataset, {})[partition] = place
        self.changed = True

    @staticmethod
    def _remove(arrival: Arrival, partitions: dict[str, Waiting]) -> None:
        place = partitions.get(arrival.partition)
        if place and place.objects.pop(arrival.key, None):
            place.marker = place.marker and not arrival.marker
            if not place.objects:
                del partitions[arrival.partition]

    def due(self, dataset: Dataset, now: float, promised: Callable[[str], bool]) -> list[str]:
        """The partitions of a dataset that are to start now, sorted.

        promised: whether the producer's manifest of a partition has landed. One that waits for it is asked
        about when its wait is over, and then waits again.
        """
        places, rule = self.waiting.get(dataset.name, {}), dataset.config.arrivals
        if not places:
            return []
        if dataset.config.producer_manifest == "required":
            over = [p for p, w in places.items() if now - w.since >= rule.max_wait_seconds and not w.marker]
            found = {p for p in over if promised(p)}
            for partition in set(over) - found:
                places[partition].since, self.changed = now, True
            return sorted(found | {p for p, w in places.items() if w.marker})
        waiting = sum(len(w.objects) for w in places.values())
        first = min(w.since for w in places.values())
        full = waiting >= rule.max_events or now - first >= rule.max_wait_seconds
        return sorted(places) if full or rule.eager else []

    def rest(self, dataset: Dataset, now: float) -> float:
        """Seconds until something of a dataset is due, 0 where something is; infinity where nothing waits."""
        places, rule = self.waiting.get(dataset.name, {}), dataset.config.arrivals
        if not places:
            return math.inf
        if rule.eager:
            return 0
        return max(0, min(w.since for w in places.values()) + rule.max_wait_seconds - now)

    def leave(self, dataset: str, partition: str) -> Waiting:
        """A partition leaves the room; what was heard of it stays remembered."""
        return self.waiting[dataset].pop(partition)

    def forget(self, now: float) -> None:
        """Forget what was heard long ago and waits no longer: by then its run has taken inventory."""
        for dataset, heard in self.heard.items():
            kept = {k for w in self.waiting.get(dataset, {}).values() for k in w.objects}
            recent = {k: v for k, v in heard.items() if k in kept or now - v[2] < REMEMBERED_SECONDS}
            if len(recent) > MOST_REMEMBERED + len(kept):
                newest = sorted(recent, key=lambda k: recent[k][2])[-MOST_REMEMBERED:]
                recent = {k: recent[k] for k in sorted({*newest, *kept} & recent.keys())}
            self.heard[dataset] = recent

    def ids(self, dataset: str) -> set[str]:
        """The identities of a dataset's objects that wait."""
        return {id_ for w in self.waiting.get(dataset, {}).values() for id_, _ in w.objects.values()}

    def __iter__(self) -> Iterator[tuple[str, str, Waiting]]:
        for dataset, places in self.waiting.items():
            for partition, place in places.items():
                yield dataset, partition, place

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        waiting = {
            d: {p: [w.since, w.landed, w.objects, w.marker, w.attempt] for p, w in places.items()}
            for d, places in self.waiting.items()
            if places
        }
        return {"waiting": waiting, "heard": {d: h for d, h in self.heard.items() if h}}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Room:
        """From JSON."""
        room = cls()
        for dataset, places in document["waiting"].items():
            room.waiting[dataset] = {
                p: Waiting(since, landed, {k: (i, s) for k, (i, s) in objects.items()}, *more)
                for p, (since, landed, objects, *more) in places.items()
            }
        for dataset, heard in document["heard"].items():
            room.heard[dataset] = {k: (i, s, at) for k, (i, s, at) in heard.items()}
        return room
