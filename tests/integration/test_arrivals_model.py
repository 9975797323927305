"""Whatever happens in whatever order, the lake ends as if everything had been done in order, once.

A model-based test: files land, are overwritten and deleted; their events come twice, late, or in another order;
ticks and runs die at any effect; ticks are repeated, and runs are repeated, or lost for ever. Beside it the same files land in another lake, where each
partition is run by hand whenever a run took what had landed here. Both must end alike.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from arriving import MemoryQueue, event_of, eventbridge, places_of, requested
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from lakes import DAY, NEXT, View, check_law, csv, make_dataset, put, run

from lake_pipeline.arrivals.look import look
from lake_pipeline.arrivals.requests import Request
from lake_pipeline.arrivals.tick import Ticked, drain
from lake_pipeline.flow.state import Memory
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake, ObjectStore
from lake_pipeline.storage.tables import Tables

BEHIND = timedelta(days=1)  # of the events behind the files: the listing waits for none of them
ARRIVALS = {"max_events": 2, "max_wait_seconds": 60, "again_seconds": 60, "attempts": 6}
DAYS = [DAY, NEXT, "2026-03-05", "2026-03-09"]
PARTITIONS, NAMES = st.sampled_from(DAYS), st.sampled_from(["a.csv", "b.csv"])
DEATHS = st.none() | st.integers(1, 5)
# How far what a tick did comes: Dagster submits its runs, and then saves its cursor.
REACHES = st.sampled_from(["cursor", "cursor", "runs", "nothing"])
EFFECTS = (
    (ObjectStore, "create"),
    (ObjectStore, "write"),
    (Tables, "replace"),
    (MemoryQueue, "receive"),
    (MemoryQueue, "delete"),
)


class Died(BaseException):
    """What no `except Exception` stops."""


@contextmanager
def dying(at: int | None) -> Iterator[None]:
    """Die before the effect of that number; at None, never."""
    count = 0

    def around(effect: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == at:
                raise Died
            return effect(*args, **kwargs)

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in EFFECTS:
            patch.setattr(owner, name, around(getattr(owner, name)))
        yield


class Arrivals(RuleBasedStateMachine):
    """Two lakes: one that is driven by events, ticks and runs that die, and one that is run by hand."""

    @initialize(last=st.lists(DEATHS, min_size=2, max_size=6))
    def begin(self, last: list[int | None]) -> None:
        self.last = last  # deaths of the runs at the end, of which nobody hears any more
        self.folder = Path(tempfile.mkdtemp())
        self.dataset = make_dataset(self.folder / "defs", arrivals=ARRIVALS)
        self.lake, self.other = (Lake(Settings.at(str(self.folder / name))) for name in ("lake", "other"))
        self.queue, self.cursor, self.looked = MemoryQueue(redrive=2), "", ""
        self.now = datetime.now(UTC) + BEHIND
        self.sent: list[str] = []
        self.submitted: dict[str, Request] = {}
        self.pending: list[Request] = []
        self.lost: Counter[str] = Counter()
        self.number = 0

    @rule(partition=PARTITIONS, name=NAMES)
    def land(self, partition: str, name: str) -> None:
        """A file lands, or overwrites another of its name."""
        self.number += 1
        body = csv(f"{name}-{self.number},{self.number},{partition}")
        for lake in (self.lake, self.other):
            key = put(lake, self.dataset, name, body, partition)
        self._send(event_of(self.lake, key, f"{self.number:04}", self.now))

    @rule(partition=PARTITIONS, name=NAMES)
    def delete(self, partition: str, name: str) -> None:
        """A file is deleted, where there is one."""
        key = self.dataset.template.fill(partition, name)
        if not self.lake.zone("raw").exists(key):
            return
        self.number += 1
        for lake in (self.lake, self.other):
            lake.zone("raw").delete([key])
        self._send(eventbridge(f"raw/{key}", kind="Deleted", sequencer=f"{self.number:04}", at=self.now))

    def _send(self, event: str) -> None:
        self.queue.send(event)
        self.sent.append(event)

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 99))
    def come_again(self, which: int) -> None:
        """An event comes again."""
        self.queue.send(self.sent[which % len(self.sent)])

    @rule(seed=st.randoms(use_true_random=False))
    def come_in_another_order(self, seed: Any) -> None:
        """The queue keeps no order."""
        messages = list(self.queue.messages.items())
        seed.shuffle(messages)
        self.queue.messages = dict(messages)

    @rule()
    def garbage(self) -> None:
        """Somebody sends what is no event."""
        self.queue.send("garbage")

    @rule()
    def come_back(self) -> None:
        """Messages that were received and not deleted come again."""
        self.queue.reappear()

    @rule(dies=DEATHS, reaches=REACHES, limit=st.integers(1, 5), after=st.sampled_from([0, 60]))
    def tick(self, dies: int | None, reaches: str, limit: int, after: float) -> None:
        """The sensor ticks, and may die before an effect, or Dagster before it takes what the tick hands over."""
        self.now += timedelta(seconds=after)
        self.queue.limit = limit
        try:
            with dying(dies):
                done = drain(self.lake, places_of(self.lake, self.dataset), self.queue, self.cursor, self.now)
        except Died:
            return
        self._submit(done, reaches)
        if reaches == "cursor":
            self.cursor = done.cursor

    @precondition(lambda self: not self.queue.messages)
    @rule(dies=DEATHS, reaches=REACHES, after=st.sampled_from([0, 60, 3600]))
    def look(self, dies: int | None, reaches: str, after: float) -> None:
        """The listing looks, beside the queue, when that has brought what it will."""
        self.now += timedelta(seconds=after)
        datasets = {self.dataset.name: self.dataset}
        busy = {p for request in self.pending for p in request.partitions}
        try:
            with dying(dies):
                done = look(
                    self.lake, datasets, self.looked, self.now, beside_queue=True, busy=lambda _: busy
                )
        except Died:
            return
        self._submit(done, reaches)
        if reaches == "cursor":
            self.looked = done.cursor

    def _submit(self, done: Ticked, reaches: str) -> None:
        for request in done.requests if reaches != "nothing" else ():
            if request.key not in self.submitted:  # as with Dagster, a run key runs once
                self.submitted[request.key] = request
                self.pending.append(request)

    @precondition(lambda self: self.pending)
    @rule(dies=DEATHS, repeated=st.booleans())
    def run(self, dies: int | None, repeated: bool = True) -> None:
        """The next run runs; one that dies is repeated later, or nobody hears of it any more."""
        request = self.pending.pop(0)
        before = self._receipts()
        try:
            with dying(dies):
                run(self.lake, self.dataset, *request.partitions)
        except Died:
            if repeated:
                self.pending.append(request)
            else:
                self.lost.update(objects_of(self.lake, request))
            taken = [p for p, batches in self._receipts().items() if batches != before.get(p)]
        else:
            taken = list(request.partitions)
        if taken:
            run(self.other, self.dataset, *taken)

    def _receipts(self) -> dict[str, list[str]]:
        """What was taken: an object that is deleted before its receipt is written never counts."""
        receipts = Memory(self.lake, self.dataset).receipts()
        return {p: [r.batch for r in found] for p, found in receipts.items()}

    def teardown(self) -> None:
        """All comes to rest, without a death; then both lakes are alike."""
        if not hasattr(self, "folder"):
            return
        try:
            while True:
                self.queue.reappear()
                self.tick(None, "cursor", 100, 60)
                if not self.pending and not self.queue.messages:
                    break
                self.run_all()
            idle = 0
            while idle < 2:  # the first that sees a partition only opens it
                self.look(None, "cursor", 24 * 3600)
                idle = 0 if self.pending else idle + 1
                self.run_all()
            self.alike()
        finally:
            shutil.rmtree(self.folder)

    def run_all(self) -> None:
        while self.pending:
            self.run(self.last.pop() if self.last else None, repeated=False)

    def alike(self) -> None:
        run(self.other, self.dataset, *DAYS)
        assert content(self.lake, self) == content(self.other, self)
        assert {s.state for s in check_law(self.lake, self.dataset).status().values()} <= {
            "published",
            "refused",
        }
        mine = [d for d in requested(self.lake) if d["key"] in self.submitted]
        asked = Counter(id_ for d in mine for objects in d["objects"].values() for id_ in objects.values())
        again = {id_: n for id_, n in asked.items() if n > 1 + self.lost[id_]}
        assert not again, "an object was asked for again of which no run was lost"


def objects_of(lake: Lake, request: Request) -> list[str]:
    """The identities of the objects that a run was asked for."""
    (document,) = [d for d in requested(lake) if d["key"] == request.key]
    return [id_ for objects in document["objects"].values() for id_ in objects.values()]


def content(lake: Lake, machine: Arrivals) -> Any:
    """What readers see, without what differs between any two lakes."""
    view = View(lake, machine.dataset)
    rows = sorted((r["_partition"], r["id"], r["amount"]) for r in view.curated)
    rejected = sorted((r["_partition"], str(r["raw"]), view.file_of(r)) for r in view.quarantine)
    return rows, rejected


TestArrivals = Arrivals.TestCase
TestArrivals.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),  # to shrink a failure takes minutes
    suppress_health_check=list(HealthCheck),
)
