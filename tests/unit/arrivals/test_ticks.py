"""Ticks on a queue: when runs are asked for, for what, and that no crash loses or repeats anything."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from arriving import MemoryQueue, event_of, eventbridge, places_of, requested
from lakes import DAY, NEXT, csv, make_dataset, put, run

from lake_pipeline.arrivals.journal import KEPT, TickContention
from lake_pipeline.arrivals.tick import Ticked, drain
from lake_pipeline.datasets import Dataset
from lake_pipeline.health.breaker import Permission
from lake_pipeline.storage import Lake, ObjectStore

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


class Ticker:
    """A sensor's life: ticks on a queue, with the cursor that the last one handed over."""

    def __init__(self, lake: Lake, *datasets: Dataset) -> None:
        self.lake, self.datasets = lake, datasets
        self.queue, self.cursor, self.now = MemoryQueue(), "", NOW

    def tick(self, after: float = 0, **more: Any) -> Ticked:
        """A tick so many seconds later."""
        self.now += timedelta(seconds=after)
        done = drain(
            self.lake, places_of(self.lake, *self.datasets), self.queue, self.cursor, self.now, **more
        )
        self.cursor = done.cursor
        return done

    def lands(self, name: str, partition: str = DAY, sequencer: str = "", **more: Any) -> str:
        """A file lands, and its event is sent; the event."""
        key = put(self.lake, self.datasets[0], name, csv(f"{name},1,{partition}"), partition)
        event = event_of(self.lake, key, sequencer, more.get("at", self.now))
        self.queue.send(event)
        return event


@pytest.fixture
def sales(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path / "defs", arrivals={"max_events": 3, "max_wait_seconds": 60})


@pytest.fixture
def ticker(lake_folder: Lake, sales: Dataset) -> Ticker:
    return Ticker(lake_folder, sales)


def partitions(done: Ticked) -> list[tuple[str, ...]]:
    return [r.partitions for r in done.requests]


def test_a_run_starts_when_the_first_has_waited_long_enough(ticker: Ticker) -> None:
    ticker.lands("a.csv")
    assert partitions(ticker.tick()) == []
    ticker.lands("b.csv")
    assert partitions(ticker.tick(after=59)) == []
    assert partitions(ticker.tick(after=1)) == [(DAY,)]
    (document,) = requested(ticker.lake)
    assert sorted(k.rpartition("/")[2] for k in document["objects"][DAY]) == ["a.csv", "b.csv"]


def test_the_wait_counts_from_the_event(ticker: Ticker) -> None:
    ticker.lands("a.csv", at=NOW - timedelta(seconds=61))
    assert partitions(ticker.tick()) == [(DAY,)]


def test_a_run_starts_when_enough_wait(ticker: Ticker) -> None:
    for n, partition in enumerate((DAY, DAY, NEXT)):
        assert partitions(ticker.tick()) == []
        ticker.lands(f"{n}.csv", partition)
    assert partitions(ticker.tick()) == [(DAY, NEXT)]


def test_eager_is_one_by_one(lake_folder: Lake, tmp_path: Path) -> None:
    ticker = Ticker(lake_folder, make_dataset(tmp_path / "defs", arrivals={"eager": True}))
    ticker.lands("a.csv")
    ticker.lands("a.csv", NEXT)
    assert partitions(ticker.tick()) == [(DAY,), (NEXT,)]


def test_a_burst_is_few_runs_of_adjoining_partitions_within_a_lane(ticker: Ticker) -> None:
    days = [f"2026-01-{n:02}" for n in (5, 6, 7, 9, 30, 31)] + ["2026-02-01", "2026-02-02"]
    for day in days:
        ticker.lands("a.csv", day)
    done = ticker.tick()
    assert [(r.partitions[0], r.partitions[-1], r.lane) for r in done.requests] == [
        ("2026-01-05", "2026-01-07", "sales/2026-01"),
        ("2026-01-09", "2026-01-09", "sales/2026-01"),
        ("2026-01-30", "2026-01-31", "sales/2026-01"),
        ("2026-02-01", "2026-02-02", "sales/2026-02"),
    ]


@pytest.mark.parametrize(
    ("by", "key", "lane"),
    [
        ("none", "all", "sales"),
        ("monthly", "2026-03-01", "sales/2026"),
        ("daily", "2026-03-01", "sales/2026-03"),
        ("hourly", "2026-03-01-14:00", "sales/2026-03-01"),
    ],
)
def test_lanes(lake_folder: Lake, tmp_path: Path, by: str, key: str, lane: str) -> None:
    spec = {"by": by} if by == "none" else {"by": by, "start": "2026-01-01"}
    sales = make_dataset(tmp_path / "defs", partitions=spec, arrivals={"eager": True})
    ticker = Ticker(lake_folder, sales)
    ticker.lands("a.csv", key)
    assert [(r.partitions, r.lane) for r in ticker.tick().requests] == [((key,), lane)]


def test_duplicates_wait_once_and_run_once(ticker: Ticker) -> None:
    event = ticker.lands("a.csv", sequencer="01")
    ticker.queue.send(event)
    assert ticker.tick().done.events == {"waiting": 1, "duplicate": 1}
    assert len(ticker.tick(after=60).requests) == 1
    ticker.queue.send(event)
    assert ticker.tick().done.events == {"duplicate": 1}
    assert ticker.tick(after=60).requests == ()


def test_a_duplicate_that_comes_when_all_is_forgotten_runs_nothing(ticker: Ticker) -> None:
    event = ticker.lands("a.csv")
    ticker.tick(after=60)
    run(ticker.lake, ticker.datasets[0])
    ticker.lands("b.csv", NEXT)
    ticker.tick(after=7200)
    ticker.queue.send(event)
    done = ticker.tick(after=60)
    assert done.done.events == {"waiting": 1}
    assert DAY not in {p for r in done.requests for p in r.partitions}


def test_the_last_event_of_a_key_counts_in_whatever_order_they_come(ticker: Ticker) -> None:
    old = ticker.lands("a.csv", sequencer="0055")
    put(ticker.lake, ticker.datasets[0], "a.csv", csv("changed,2,2026-03-01"))
    key = "sales/2026/03/01/a.csv"
    ticker.queue.messages.clear()
    ticker.queue.send(event_of(ticker.lake, key, "00551", NOW))
    ticker.queue.send(old)
    assert ticker.tick().done.events == {"waiting": 1, "stale": 1}
    (request,) = ticker.tick(after=60).requests
    (document,) = requested(ticker.lake)
    run(ticker.lake, ticker.datasets[0])
    taken = json.loads(ticker.lake.zone("ops").read(f"manifests/sales/{DAY}/000001.json"))
    assert document["objects"][DAY] == {key: taken["entries"][0]["id"]}
    assert request.uri.endswith(f"{request.key}.json")


def test_a_key_that_went_back_to_what_it_was_runs_again(ticker: Ticker) -> None:
    bodies: dict[str, str] = {}
    for n, text in enumerate(("one", "two", "one"), 1):
        key = put(ticker.lake, ticker.datasets[0], "a.csv", csv(f"{text},1,{DAY}"))
        meta = ticker.lake.zone("raw").head(key)
        etag = bodies.setdefault(text, meta.etag)
        ticker.queue.send(
            eventbridge(f"raw/{key}", etag=etag.strip('"'), size=meta.size, at=NOW, sequencer=f"0{n}")
        )
        assert len(ticker.tick(after=60).requests) == 1, text
        run(ticker.lake, ticker.datasets[0])


def test_a_deletion_is_recorded_and_runs_nothing(ticker: Ticker) -> None:
    ticker.lands("a.csv", sequencer="01")
    ticker.tick()
    ticker.queue.send(eventbridge("raw/sales/2026/03/01/a.csv", kind="Deleted", sequencer="02", at=NOW))
    done = ticker.tick(after=60)
    assert (done.requests, done.done.events) == ((), {"deleted": 1})
    stored = json.loads(ticker.lake.zone("ops").read(f"arrivals/queue/ticks/{int(done.cursor):09}.json"))
    assert stored["deleted"] == ["sales/2026/03/01/a.csv"]


def test_what_nobody_can_use_is_buried_with_a_reason_at_the_limit(ticker: Ticker) -> None:
    ids = [ticker.queue.send(body) for body in ("hello", eventbridge("raw/nobody/a.csv", at=NOW))]
    for _ in range(2):
        assert ticker.tick().done.unusable == 2
        ticker.queue.reappear()
    done = ticker.tick()
    assert done.done.dead.keys() == set(ids) == ticker.queue.buried.keys()
    assert "no JSON" in ticker.queue.buried[ids[0]]
    assert "no dataset" in ticker.queue.buried[ids[1]]
    assert ticker.queue.messages.keys() == set(ids)
    ticker.tick()
    assert ticker.queue.messages == {}


def test_a_message_of_which_one_event_is_unknown_loses_none(ticker: Ticker) -> None:
    event = json.loads(ticker.lands("a.csv"))["detail"]
    ticker.queue.messages.clear()

    def record(key: str) -> dict[str, Any]:
        found = {**event["object"], "key": key, "eTag": event["object"]["etag"]}
        s3 = {"bucket": event["bucket"], "object": found}
        return {"eventName": "ObjectCreated:Put", "eventTime": NOW.isoformat(), "s3": s3}

    keys = ("raw/nobody/a.csv", "raw/sales/2026/03/01/a.csv")
    ticker.queue.send(json.dumps({"Records": [record(k) for k in keys]}))
    done = ticker.tick(after=60)
    assert (partitions(done), done.done.unusable) == ([(DAY,)], 1)


def test_messages_are_deleted_by_the_tick_after(ticker: Ticker) -> None:
    ticker.lands("a.csv")
    ticker.tick()
    assert len(ticker.queue.messages) == 1
    ticker.tick()
    assert ticker.queue.messages == {}


def test_a_dataset_that_may_not_start_keeps_what_waits(ticker: Ticker) -> None:
    ticker.lands("a.csv")
    held = ticker.tick(after=60, may_start=lambda _: Permission(False))
    assert (held.requests, held.done.held, held.done.waiting) == ((), ["sales"], 1)
    assert partitions(ticker.tick()) == [(DAY,)]


def test_idle_ticks_write_nothing(ticker: Ticker) -> None:
    ticker.lands("a.csv")
    for after in (0, 60, 0):
        ticker.tick(after)
    before = sorted(o.key for o in ticker.lake.zone("ops").list())
    assert ticker.tick().cursor == ticker.cursor
    assert sorted(o.key for o in ticker.lake.zone("ops").list()) == before


def test_states_are_bounded(ticker: Ticker) -> None:
    for n in range(3 * KEPT):
        ticker.lands(f"{n}.csv")
        ticker.tick()
    assert len(list(ticker.lake.zone("ops").list("arrivals/queue/state"))) <= 2 * KEPT
    assert len(ticker.cursor) < 10


def test_what_a_tick_did_is_stored_for_metrics(ticker: Ticker) -> None:
    ticker.lands("a.csv", at=NOW - timedelta(seconds=90))
    ticker.queue.send("hello")
    done = ticker.tick()
    stored = json.loads(ticker.lake.zone("ops").read("arrivals/queue/ticks/000000001.json"))
    assert stored["requests"] == [done.requests[0].uri]
    assert (stored["received"], stored["events"], stored["unusable"]) == (2, {"waiting": 1}, 1)
    assert stored["depth"] == 2
    assert stored["lag_seconds"] >= 90


class Died(BaseException):
    """What no `except Exception` stops."""


@pytest.fixture
def effects(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Counts the effects of ticks, and dies before the one with the number `fatal`."""
    counted: dict[str, Any] = {"count": count(1), "fatal": 0}

    def around(owner: type, name: str) -> None:
        real = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if next(counted["count"]) == counted["fatal"]:
                raise Died
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, wrapped)

    for name in ("create", "write", "delete"):
        around(ObjectStore, name)
    for name in ("receive", "delete", "bury"):
        around(MemoryQueue, name)
    return counted


@pytest.mark.parametrize("fatal", range(1, 8))
def test_a_tick_that_dies_anywhere_loses_nothing_and_asks_for_nothing_twice(
    ticker: Ticker, effects: dict[str, Any], fatal: int
) -> None:
    ticker.queue.redrive = 1
    ticker.lands("before.csv", NEXT)
    first = ticker.tick()
    for n in range(3):
        ticker.lands(f"{n}.csv")
    ticker.queue.send("garbage")
    effects |= {"count": count(1), "fatal": fatal}
    saved = ticker.cursor
    try:
        ticker.tick()
        died = False
        ticker.cursor = saved  # died after all its effects, before its cursor was saved
    except Died:
        died = True
    effects["fatal"] = 0
    ticker.queue.reappear()
    asked: Counter[str] = Counter()
    for _ in range(3):
        done = ticker.tick(after=60)
        asked.update({r.key: 1 for r in done.requests})
        ticker.queue.reappear()
    assert first.requests == ()
    objects = [id_ for d in requested(ticker.lake) for mine in d["objects"].values() for id_ in mine]
    assert sorted(k.rpartition("/")[2] for k in objects) == ["0.csv", "1.csv", "2.csv", "before.csv"]
    assert set(asked) == {
        d.key.rpartition("/")[2].removesuffix(".json") for d in stored_requests(ticker.lake)
    }
    assert ticker.queue.messages == {}
    assert len(ticker.queue.buried) == 1
    assert died is (fatal < 7)


def stored_requests(lake: Lake) -> list[Any]:
    return list(lake.zone("ops").list("arrivals/requests"))


def test_runs_that_dagster_did_not_take_are_asked_for_until_it_does(ticker: Ticker) -> None:
    ticker.lands("a.csv")
    before = ticker.cursor
    lost = ticker.tick(after=60).requests
    for n in range(3):  # each writes a state of its own, and none reaches Dagster
        ticker.cursor = before
        ticker.lands(f"b{n}.csv", NEXT)
        ticker.tick()
    ticker.cursor = before
    assert lost[0] in ticker.tick().requests
    assert lost[0] not in ticker.tick().requests


@pytest.mark.parametrize("cursor", ["", "1", "999", "nonsense", "2+7"])
def test_a_cursor_that_was_turned_back_or_broken_is_only_a_hint(ticker: Ticker, cursor: str) -> None:
    ticker.lands("a.csv")
    asked = ticker.tick(after=60).requests
    ticker.tick()
    ticker.lands("b.csv")
    ticker.tick()
    ticker.cursor = cursor
    again = ticker.tick(after=60)
    assert {r.key for r in again.requests} >= {r.key for r in again.requests} - {r.key for r in asked}
    names = [k.rpartition("/")[2] for d in requested(ticker.lake) for k in d["objects"][DAY]]
    assert sorted(names) == ["a.csv", "b.csv"]


def test_of_two_ticks_at_once_one_fails(ticker: Ticker, monkeypatch: pytest.MonkeyPatch) -> None:
    real = MemoryQueue.receive

    def meanwhile(queue: MemoryQueue, rest: float) -> Any:
        monkeypatch.setattr(MemoryQueue, "receive", real)
        ticker.lands("b.csv")
        ticker.tick()
        return real(queue, rest)

    ticker.lands("a.csv")
    monkeypatch.setattr(MemoryQueue, "receive", meanwhile)
    ticker.queue.limit = 1
    with pytest.raises(TickContention):
        ticker.tick()


def test_a_late_file_runs_alone_and_says_how_late(lake_folder: Lake, tmp_path: Path) -> None:
    sales = make_dataset(tmp_path / "defs", sla="07:30", arrivals={"max_wait_seconds": 0})
    ticker = Ticker(lake_folder, sales)
    ticker.lands("late.csv", "2026-03-01", at=datetime(2026, 3, 2, 9, 30, tzinfo=UTC))
    ticker.lands("in-time.csv", "2026-03-02", at=datetime(2026, 3, 3, 7, 30, tzinfo=UTC))
    done = ticker.tick()
    assert [(r.partitions, r.late) for r in done.requests] == [
        (("2026-03-01",), 7200),
        (("2026-03-02",), 0),
    ]
    late = [d["late_seconds"] for d in requested(lake_folder) if d["late_seconds"]]
    assert late == [{"2026-03-01": 7200}]


def test_a_partition_waits_for_its_producers_manifest_and_starts_on_it_alone(
    lake_folder: Lake, tmp_path: Path
) -> None:
    sales = make_dataset(tmp_path / "defs", producer_manifest="required", arrivals={"max_events": 1})
    ticker = Ticker(lake_folder, sales)
    ticker.lands("a.csv")
    ticker.lands("b.csv", NEXT)
    assert partitions(ticker.tick(after=300)) == []
    ticker.lands("_MANIFEST.json")
    assert partitions(ticker.tick()) == [(DAY,)]
    assert partitions(ticker.tick(after=300)) == []
    put(lake_folder, sales, "_MANIFEST.json", b"its event was lost", NEXT)
    assert partitions(ticker.tick(after=59)) == []
    assert partitions(ticker.tick(after=1)) == [(NEXT,)]


def test_an_object_that_a_run_took_before_its_event_came_needs_no_other(ticker: Ticker) -> None:
    ticker.lands("a.csv")
    run(ticker.lake, ticker.datasets[0])
    assert ticker.tick(after=60).requests == ()
    assert ticker.tick().done.waiting == 0
