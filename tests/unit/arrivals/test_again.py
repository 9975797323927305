"""What landed and came to no outcome is asked for again: bounded, and never what came to one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from arriving import MemoryQueue, event_of, places_of, requested
from lakes import DAY, NEXT, csv, make_dataset, put, run

from lake_pipeline.arrivals.again import given_up
from lake_pipeline.arrivals.look import look
from lake_pipeline.arrivals.tick import Ticked, drain
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.health import history
from lake_pipeline.health.breaker import Permission
from lake_pipeline.storage import Lake

AGAIN = {"max_wait_seconds": 0, "attempts": 3, "again_seconds": 100}
WAITS = [100, 300, 900]  # before each attempt


class Watcher:
    """A listing sensor whose clock is turned by hand, and a Dagster of which only what goes on is known."""

    def __init__(self, lake: Lake, dataset: Dataset, **more: Any) -> None:
        self.lake, self.dataset, self.more = lake, dataset, more
        self.cursor, self.at, self.busy = "", now(), set[str]()

    def look(self, after: float = 0, **more: Any) -> Ticked:
        self.at += timedelta(seconds=after)
        datasets = {self.dataset.name: self.dataset}
        options = {"busy": lambda _: self.busy, **self.more, **more}
        done = look(self.lake, datasets, self.cursor, self.at, **options)
        self.cursor = done.cursor
        return done

    def asked(self, after: float = 0, **more: Any) -> list[str]:
        return [p for r in self.look(after, **more).requests for p in r.partitions]

    def lands(self, name: str = "a.csv", partition: str = DAY, text: str = "a") -> str:
        return put(self.lake, self.dataset, name, csv(f"{text},1,{partition}"), partition)

    def breaks(self, *partitions: str, stages: Iterable[str] = ("raw",)) -> None:
        """A run that dies after its inventory, or before it."""
        run(self.lake, self.dataset, *partitions, stages=tuple(stages))

    def told(self, partition: str, state: Literal["failed", "canceled"], passing: bool) -> None:
        """What the record of a run says that ended just now."""
        found = history.broken(self.lake, self.dataset, partition, "no connection", state)
        info = history.RunInfo(f"run-{self.at.timestamp()}", self.dataset.name, self.at)
        history.write(
            self.lake, history.made(info, (found,), state, self.at, "no connection", passing=passing)
        )


@pytest.fixture
def watcher(lake_root: Lake, tmp_path: Path) -> Watcher:
    return Watcher(lake_root, make_dataset(tmp_path / "defs", arrivals=AGAIN))


@pytest.mark.parametrize("stages", [("raw",), ()])
def test_a_run_that_broke_is_asked_for_again_until_it_comes_to_an_outcome(
    watcher: Watcher, stages: tuple[str, ...]
) -> None:
    watcher.lands()
    first = watcher.look().requests
    watcher.breaks(DAY, stages=stages)
    assert watcher.asked(99) == []
    second = watcher.look(1).requests
    watcher.breaks(DAY, stages=stages)
    assert watcher.asked(299) == []
    third = watcher.look(1).requests
    assert [r.partitions for r in (*first, *second, *third)] == [(DAY,)] * 3
    assert len({r.key for r in (*first, *second, *third)}) == 3, "Dagster runs a key once"
    run(watcher.lake, watcher.dataset)
    assert [watcher.asked(2000) for _ in range(25)] == [[]] * 25


def test_attempts_are_bounded_and_what_is_given_up_is_said(watcher: Watcher) -> None:
    watcher.lands()
    watcher.look()
    watcher.breaks(DAY)
    assert [watcher.asked(wait) for wait in WAITS] == [[DAY]] * 3
    assert given_up(watcher.lake) == {"sales": []}
    assert [watcher.asked(5000) for _ in range(25)] == [[]] * 25
    assert given_up(watcher.lake) == {"sales": [DAY]}
    run(watcher.lake, watcher.dataset)
    watcher.look(5000)
    assert given_up(watcher.lake) == {"sales": []}


def test_another_file_is_another_chance(watcher: Watcher) -> None:
    watcher.lands()
    watcher.look()
    watcher.breaks(DAY)
    for wait in (*WAITS, 5000):
        watcher.look(wait)
    watcher.lands("b.csv", text="b")
    assert watcher.asked(1) == [DAY]
    watcher.breaks(DAY)
    assert watcher.asked(100) == [DAY]
    assert given_up(watcher.lake) == {"sales": []}


def test_what_goes_on_or_is_queued_is_waited_for(watcher: Watcher) -> None:
    watcher.lands()
    watcher.look()
    watcher.busy = {DAY}
    assert [watcher.asked(5000) for _ in range(12)] == [[]] * 12
    run(watcher.lake, watcher.dataset)
    watcher.busy = set()
    assert [watcher.asked(5000) for _ in range(12)] == [[]] * 12
    assert given_up(watcher.lake) == {"sales": []}


def test_what_succeeded_is_not_asked_for_beside_what_did_not(watcher: Watcher) -> None:
    for partition in (DAY, NEXT):
        watcher.lands(partition=partition)
    watcher.look()
    run(watcher.lake, watcher.dataset, DAY)
    watcher.breaks(NEXT)
    assert watcher.asked(100) == [NEXT]


def test_only_what_no_outcome_knows_is_named(watcher: Watcher) -> None:
    watcher.lands()
    watcher.look()
    run(watcher.lake, watcher.dataset)
    key = watcher.lands("b.csv", text="b")
    watcher.look(1)
    watcher.breaks(DAY)
    (request,) = watcher.look(100).requests
    document = next(d for d in requested(watcher.lake) if d["key"] == request.key)
    assert list(document["objects"][DAY]) == [key]
    assert document["attempts"] == {DAY: 1}


@pytest.mark.parametrize(("state", "passing"), [("failed", False), ("canceled", True)])
def test_what_cannot_pass_or_a_person_stopped_is_left_to_people(
    watcher: Watcher, state: Literal["failed", "canceled"], passing: bool
) -> None:
    watcher.lands()
    watcher.look()
    watcher.breaks(DAY)
    watcher.at += timedelta(seconds=5)
    watcher.told(DAY, state, passing)
    assert [watcher.asked(5000) for _ in range(12)] == [[]] * 12
    assert given_up(watcher.lake) == {"sales": []}  # the run itself was told


def test_what_may_pass_is_tried_again(watcher: Watcher) -> None:
    watcher.lands()
    watcher.look()
    watcher.breaks(DAY)
    watcher.at += timedelta(seconds=5)
    watcher.told(DAY, "failed", True)
    assert watcher.asked(95) == [DAY]


def test_a_lost_state_of_the_sensor_loses_no_partition(watcher: Watcher) -> None:
    watcher.lands()
    watcher.look()
    watcher.breaks(DAY)
    ops = watcher.lake.zone("ops")
    ops.delete([o.key for o in ops.list("arrivals/listing/state")])
    watcher.cursor = ""
    assert watcher.asked(10) == []
    assert watcher.asked(100) == [DAY]


def test_the_state_of_an_earlier_version_is_gone_on_from(watcher: Watcher) -> None:
    watcher.lands()
    watcher.look()
    watcher.breaks(DAY)
    ops = watcher.lake.zone("ops")
    for entry in ops.list("arrivals/listing/state"):
        text = ops.read(entry.key).decode()
        assert '"open"' in text
        ops.write(entry.key, text.replace('"open"', '"unknown"').encode())
    assert watcher.asked(10) == []
    assert watcher.asked(100) == [DAY]


def test_the_breaker_holds_attempts_back_and_none_is_spent(watcher: Watcher) -> None:
    watcher.lands()
    watcher.look()
    watcher.breaks(DAY)
    stopped = {"may_start": lambda _: Permission(False)}
    assert [watcher.asked(5000, **stopped) for _ in range(12)] == [[]] * 12
    (request,) = watcher.look(1).requests
    assert request.partitions == (DAY,)
    assert [watcher.asked(wait) for wait in WAITS[1:]] == [[DAY]] * 2


def test_beside_a_queue_the_listing_asks_again_for_what_events_brought(watcher: Watcher) -> None:
    queue, places = MemoryQueue(), places_of(watcher.lake, watcher.dataset)
    watcher.more["beside_queue"] = True
    key = watcher.lands()
    queue.send(event_of(watcher.lake, key))
    assert len(drain(watcher.lake, places, queue, None, watcher.at).requests) == 1
    watcher.breaks(DAY)
    assert watcher.asked() == []
    assert watcher.asked(400) == []  # of a file so old it is seen first
    assert watcher.asked(100) == [DAY]


def test_an_overwritten_file_that_the_policy_ignores_is_settled(lake_root: Lake, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "defs", arrivals=AGAIN, overwritten_keys="ignore")
    watcher = Watcher(lake_root, dataset)
    watcher.lands()
    watcher.look()
    run(watcher.lake, dataset)
    watcher.lands(text="other")
    watcher.look(1)
    run(watcher.lake, dataset)
    assert [watcher.asked(5000) for _ in range(12)] == [[]] * 12
    assert given_up(watcher.lake) == {"sales": []}


def test_a_producers_manifest_that_has_not_come_is_waited_for(lake_root: Lake, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "defs", arrivals=AGAIN, producer_manifest="required")
    watcher = Watcher(lake_root, dataset)
    watcher.lands()
    assert [watcher.asked(5000) for _ in range(12)] == [[]] * 12
    assert given_up(watcher.lake) == {"sales": []}
    put(watcher.lake, dataset, "_MANIFEST.json", b'{"files": [{"name": "a.csv"}]}')
    assert watcher.asked(1) == [DAY]
    watcher.breaks(DAY)
    assert watcher.asked(100) == [DAY]
    run(watcher.lake, dataset)
    assert [watcher.asked(5000) for _ in range(12)] == [[]] * 12
