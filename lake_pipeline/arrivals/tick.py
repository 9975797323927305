"""A tick: go on from what is remembered, take in what arrived, ask for runs, remember.

The order of effects makes every crash harmless. What the last tick received is deleted from the queue only now
that its state is stored; what this tick asks for is stored before its state, and its state before its runs are
asked for. A tick that dies is repeated: its messages come again and are duplicates, its requests have the same
keys, and its state, where it was stored, is gone on from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Protocol

from lake_pipeline.arrivals.events import Unreadable, parse
from lake_pipeline.arrivals.journal import Journal
from lake_pipeline.arrivals.places import Arrival, Places, Unknown
from lake_pipeline.arrivals.requests import Request, ask
from lake_pipeline.arrivals.waiting import Room
from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.inventory import manifest_key
from lake_pipeline.health.breaker import Permission
from lake_pipeline.storage import Lake
from lake_pipeline.storage.lake import dump

MayStart = Callable[[str], Permission]


def always(_: str) -> Permission:
    """Automatic runs of every dataset may start."""
    return Permission(True)


@dataclass(frozen=True)
class Message:
    """One message as received. receives: how often it was, this time included. sent: seconds since 1970."""

    id: str
    receipt: str
    body: str
    receives: int
    sent: float


class Queue(Protocol):
    """What a tick needs of a queue."""

    def receive(self, rest: float) -> list[Message]:
        """Messages that nobody else has in hand, not all there are; waits a moment for the first, `rest` seconds at most."""

    def delete(self, receipts: list[str]) -> None:
        """Delete received messages; those that are gone, or in other hands again, are passed over."""

    def bury(self, message: Message, reason: str) -> bool:
        """Put a message where people find it if it was received often enough; whether it was."""

    def depth(self) -> int:
        """About how many messages there are."""


@dataclass
class Done:
    """What a tick did, as it is stored in ops and counted by metrics.

    received: messages. events: by what became of them: waiting, duplicate, stale, deleted, ignored.
    unusable: messages of no use that were left in the queue for now. dead: message id → why it was buried.
    deleted: keys. lost: events that never came, by dataset. lag_seconds: the age of the oldest event.
    depth: messages in the queue before. held: datasets that may not start now. requests: URIs.
    """

    sensor: str
    at: str
    received: int = 0
    events: dict[str, int] = field(default_factory=dict)
    unusable: int = 0
    dead: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)
    lag_seconds: float = 0.0
    depth: int = 0
    held: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    waiting: int = 0


@dataclass(frozen=True)
class Ticked:
    """What a tick hands to Dagster: its cursor, the runs it asks for, and what it did."""

    cursor: str
    requests: tuple[Request, ...]
    done: Done


@dataclass
class Tick:
    """One tick of a sensor, on its state.

    again: runs that were asked for, and of which the cursor does not say that Dagster took them. receipts: of
    messages that this state has taken in. memo: what else the sensor remembers.
    """

    lake: Lake
    datasets: Mapping[str, Dataset]
    journal: Journal
    now: datetime
    number: int
    room: Room
    done: Done
    again: list[Request] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)
    memo: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def begin(
        cls, lake: Lake, datasets: Mapping[str, Dataset], sensor: str, cursor: str | None, now: datetime
    ) -> Tick:
        """Go on from the newest state that is stored."""
        journal = Journal(lake.zone("ops"), sensor)
        hint = number_in(cursor)
        number, state = journal.newest(hint)
        done = Done(sensor, now.isoformat())
        if state is None:
            return cls(lake, datasets, journal, now, 0, Room(), done)
        again = [] if number == hint else [Request.of(r) for r in state["requests"]]
        if number != hint:  # the tick may have died before it said what it did
            journal.record(number, dump(state["done"]))
        room, receipts = Room.of(state["room"]), list(state["receipts"])
        return cls(lake, datasets, journal, now, number, room, done, again, receipts, [], state["memo"])

    def admit(self, arrival: Arrival) -> None:
        """Take in what arrived."""
        admission = self.room.admit(arrival, self.now.timestamp())
        self.count(admission)
        if admission == "deleted":
            self.done.deleted.append(arrival.key)
        self.done.lag_seconds = max(self.done.lag_seconds, round((self.now - arrival.at).total_seconds(), 3))

    def count(self, what: str, number: int = 1) -> None:
        """Count events by what became of them."""
        self.done.events[what] = self.done.events.get(what, 0) + number

    def ask(self, may_start: MayStart, at_once: bool = False) -> list[Request]:
        """Requests for everything that is due; a dataset that may not start keeps waiting."""
        requests: list[Request] = []
        for name, dataset in self.datasets.items():
            due = self._due(dataset, at_once)
            if due:
                permission = may_start(name)
                if not permission.allowed:
                    self.done.held.append(name)
                    continue
                due = due[:1] if permission.only_one else due
            leaving = {partition: self.room.leave(name, partition) for partition in due}
            if leaving:
                requests += ask(self.lake, dataset, leaving, self.done.sensor, self.now)
        return requests

    def _due(self, dataset: Dataset, at_once: bool) -> list[str]:
        def promised(partition: str) -> bool:
            return self.lake.zone("raw").exists(manifest_key(dataset, partition))

        due = self.room.due(dataset, self.now.timestamp(), promised)
        if not at_once or dataset.config.producer_manifest == "required":
            return due
        return sorted(self.room.waiting.get(dataset.name, {}))

    def rest(self) -> float:
        """For how many seconds nothing that waits is due."""
        return min(
            (self.room.rest(d, self.now.timestamp()) for d in self.datasets.values()), default=math.inf
        )

    def end(self, requests: list[Request]) -> Ticked:
        """Remember, and hand over; nothing is written where nothing changed."""
        self.done.requests = [r.uri for r in requests]
        self.done.waiting = sum(len(w.objects) for _, _, w in self.room)
        if self.received or self.receipts or requests or self.room.changed:
            self.room.forget(self.now.timestamp())
            self.number += 1
            done = dump(asdict(self.done))
            self.journal.write(self.number, self.state([*self.again, *requests]))
            if self.done.received or self.done.lost or requests:
                self.journal.record(self.number, done)
        return Ticked(str(self.number), (*self.again, *requests), self.done)

    def state(self, requests: list[Request]) -> dict[str, Any]:
        """What is remembered, as JSON."""
        return {
            "room": self.room.as_dict(),
            "receipts": self.receipts,
            "requests": [r.as_dict() for r in requests],
            "memo": self.memo,
            "done": asdict(self.done),
        }


def number_in(cursor: str | None) -> int:
    """The number of the state that a cursor names; 0 for none, and for what is no cursor of ours."""
    number = (cursor or "").partition("+")[0]
    return int(number) if number.isdecimal() else 0


def drain(
    lake: Lake,
    places: Places,
    queue: Queue,
    cursor: str | None,
    now: datetime,
    may_start: MayStart = always,
) -> Ticked:
    """A tick on the queue of all datasets."""
    tick = Tick.begin(lake, places.datasets, "queue", cursor, now)
    if tick.received:
        queue.delete(tick.received)
    tick.done.depth = queue.depth()
    for message in queue.receive(tick.rest()):
        take_in(tick, places, queue, message)
    return tick.end(tick.ask(may_start))


def take_in(tick: Tick, places: Places, queue: Queue, message: Message) -> None:
    """Read and place one message; one that is of no use stays in the queue until it is buried."""
    done = tick.done
    done.received += 1
    problems = []
    try:
        events = parse(message.body)
    except Unreadable as e:
        events, problems = (), [str(e)]
    for event in events:
        try:
            found = places.place(event)
        except Unknown as e:
            problems.append(str(e))
            continue
        if not found:
            tick.count("ignored")
        for arrival in found:
            tick.admit(arrival)
    if problems and not queue.bury(message, " ".join(problems)):
        done.unusable += 1
        return
    if problems:
        done.dead[message.id] = " ".join(problems)
    tick.receipts.append(message.receipt)


def keep_dead(lake: Lake, message: Message, reason: str) -> None:
    """Keep a dead letter in ops, where there is no queue for it."""
    document = {"id": message.id, "reason": reason, "receives": message.receives, "body": message.body}
    lake.zone("ops").create(f"arrivals/dead-letters/{message.id}.json", dump(document))
