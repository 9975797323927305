"""Soak of arrivals: `python -m benchmarks.arrivals [--events N] [--drain N] [--runs N] [--objects N]`.

Four things are measured, and what must hold is checked; exit code 1 where something does not.

- soak: events with 10 % duplicates, 10 % out of order and 1 % garbage, drained by ticks that die at any effect.
  Every object must be asked for exactly once, and every garbage message be buried.
- drain: the rate at which a tick drains a local queue over HTTP.
- listing: looks at many objects under one prefix; a sweep, and a look that lists only the newest partitions.
- latency: file put → published through `lake dev --aws-local`, against a Dagster run that does nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from lake_pipeline.arrivals.look import look
from lake_pipeline.arrivals.places import Places
from lake_pipeline.arrivals.tick import Message, drain
from lake_pipeline.datasets import Dataset, load_dataset
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.datasets.scaffold import write_dataset
from lake_pipeline.settings import ZONES, Settings
from lake_pipeline.storage import Lake, ObjectStore

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
PARTITIONS = 60
PER_TICK = 2_000
DEATHS = 0.3  # of ticks
DRAIN_RATE = 1_000  # events a second that a tick is to drain


class Died(BaseException):
    """What no `except Exception` stops."""


class SoakQueue:
    """A queue in memory: what is received is hidden until it is deleted, or comes again."""

    def __init__(self, bodies: list[str]) -> None:
        self.messages = dict(enumerate(bodies))
        self.receives: Counter[int] = Counter()
        self.hidden: set[int] = set()
        self.buried: set[str] = set()

    def receive(self, _: float) -> list[Message]:
        found = []
        for number, body in self.messages.items():
            if number not in self.hidden:
                self.receives[number] += 1
                found.append(Message(str(number), str(number), body, self.receives[number], 0.0))
                if len(found) == PER_TICK:
                    break
        self.hidden |= {int(m.id) for m in found}
        return found

    def delete(self, receipts: list[str]) -> None:
        for receipt in receipts:
            self.messages.pop(int(receipt), None)

    def bury(self, message: Message, reason: str) -> bool:
        if message.receives < 3:
            return False
        self.buried.add(message.body)
        return bool(reason)

    def depth(self) -> int:
        return len(self.messages)


def dataset_in(folder: Path) -> Dataset:
    """A daily dataset."""
    write_dataset(folder / "orders")
    return load_dataset(folder / "orders")


def body_of(number: int, sequencer: int) -> str:
    """The event of one object."""
    day = AT - timedelta(days=number % PARTITIONS)
    found = {
        "key": f"raw/orders/{day:%Y/%m/%d}/{number}.csv",
        "size": 10,
        "etag": f"e{number}.{sequencer}",
        "sequencer": f"{sequencer:08x}",
    }
    detail = {"bucket": {"name": "soak"}, "object": found}
    event = {"source": "aws.s3", "detail-type": "Object Created", "time": AT.isoformat(), "detail": detail}
    return json.dumps(event)


def troubled(events: int) -> tuple[list[str], int, int]:
    """The messages of all kinds of trouble, and how many objects and how much garbage is in them."""
    chance = random.Random(5)  # noqa: S311
    first = [body_of(n, 1) for n in range(events * 8 // 10)]
    overwritten = chance.sample(range(len(first)), events // 10)
    newer = {n: body_of(n, 2) for n in overwritten}  # these come before what they replace
    bodies = [b for n, f in enumerate(first) for b in ([newer[n], f] if n in newer else [f])]
    bodies += chance.sample(bodies, events // 10)
    garbage = [f"garbage {n}" for n in range(events // 100)]
    for text in garbage:
        bodies.insert(chance.randrange(len(bodies)), text)
    return bodies, len(first), len(garbage)


@dataclass
class Life:
    """A sensor that dies often, and a Dagster that does, too; submitted: the requests that reached it."""

    lake: Lake
    places: Places
    queue: SoakQueue
    chance: random.Random
    cursor: str = ""
    at: datetime = AT
    ticks: int = 0
    deaths: int = 0
    submitted: set[str] = field(default_factory=set)

    def tick(self, calm: bool = False) -> None:
        """One tick, which may die before an effect, or before Dagster takes what it hands over, unless all is calm."""
        self.at += timedelta(seconds=1)
        self.ticks += 1
        fatal = self.chance.randrange(1, 60) if self.chance.random() < DEATHS and not calm else 0
        try:
            with dying(fatal):
                done = drain(self.lake, self.places, self.queue, self.cursor, self.at)
            if self.chance.random() < DEATHS and not calm:
                raise Died
        except Died:
            self.deaths += 1
            self.queue.hidden.clear()
            return
        self.submitted |= {r.uri for r in done.requests}
        self.cursor = done.cursor
        if len(self.queue.hidden) >= len(self.queue.messages):
            self.queue.hidden.clear()

    def asked(self) -> Counter[str]:
        """How often each object was asked for."""
        ops, found = self.lake.zone("ops"), Counter[str]()
        for uri in self.submitted:
            for mine in json.loads(ops.read(ops.key(uri)))["objects"].values():
                found.update(mine.keys())
        return found


def soak(events: int) -> dict[str, Any]:
    """Drain all kinds of trouble; what was asked for, and what should have been."""
    bodies, objects, garbage = troubled(events)
    with tempfile.TemporaryDirectory() as folder:
        lake, dataset = Lake(Settings.at(f"{folder}/lake")), dataset_in(Path(folder))
        zones = {zone: f"s3://soak/{zone}" for zone in ZONES}
        places = Places({"orders": dataset}, zones, lake.zone("raw").root)
        queue = SoakQueue(bodies)
        life = Life(lake, places, queue, random.Random(7))  # noqa: S311
        started = time.perf_counter()
        while queue.messages:
            life.tick()
        life.tick(calm=True)
        seconds = time.perf_counter() - started
        asked = life.asked()
    return {
        "messages": len(bodies),
        "objects": objects,
        "asked_once": sum(n == 1 for n in asked.values()),
        "asked_twice": sum(n > 1 for n in asked.values()),
        "missed": objects - len(asked),
        "garbage": garbage,
        "buried": len(queue.buried),
        "ticks": life.ticks,
        "deaths": life.deaths,
        "runs": len(life.submitted),
        "messages_a_second": round(len(bodies) / seconds),
        "fine": len(asked) == objects == sum(asked.values()) and len(queue.buried) == garbage,
    }


@contextmanager
def dying(at: int) -> Iterator[None]:
    """Die before the storage effect of that number; at 0, never."""
    count, real = 0, ObjectStore.create

    def create(store: ObjectStore, key: str, body: bytes) -> bool:
        nonlocal count
        count += 1
        if count == at:
            raise Died
        return real(store, key, body)

    with patch.object(ObjectStore, "create", create):
        yield


def drained(events: int) -> dict[str, Any]:
    """The rate of a tick on a local queue over HTTP: receives and what becomes of them, and the deletes after."""
    from benchmarks.local_sqs import Queue, serving
    from lake_pipeline.resources.sqs import SqsQueue

    queue = Queue([body_of(n, 1) for n in range(events)])
    keys = {"AWS_ACCESS_KEY_ID": "lake", "AWS_SECRET_ACCESS_KEY": "lake", "AWS_REGION": "us-east-1"}
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(queue) as endpoint,
        patch.dict(os.environ, {**keys, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint}),
    ):
        lake, dataset = Lake(Settings.at(f"{folder}/lake")), dataset_in(Path(folder))
        zones = {zone: f"s3://soak/{zone}" for zone in ZONES}
        places = Places({"orders": dataset}, zones, lake.zone("raw").root)
        bounds = SqsQueue(wait_seconds=1, most_seconds=60, most_messages=events)
        opened = bounds.open(f"{endpoint}/1/queue", "", lambda *_: None)
        started = time.perf_counter()
        done = drain(lake, places, opened, "", now())
        received = time.perf_counter() - started
        drain(lake, places, opened, done.cursor, now())
        both = time.perf_counter() - started
    rate = round(done.done.received / received)
    return {
        "events": done.done.received,
        "a_second": rate,
        "a_second_with_deletes": round(done.done.received / both),
        "fine": done.done.received == events and not queue.hidden and rate >= DRAIN_RATE,
    }


def listing(objects: int) -> dict[str, Any]:
    """Looks at many objects: the first sweep, and a look between sweeps."""
    with tempfile.TemporaryDirectory() as folder:
        lake, dataset = Lake(Settings.at(f"{folder}/lake")), dataset_in(Path(folder))
        root = Path(lake.zone("raw").root)
        for n in range(objects):
            day = AT - timedelta(days=n % PARTITIONS)
            path = root / f"orders/{day:%Y/%m/%d}/{n}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        datasets, cursor, found = {"orders": dataset}, "", {}
        for name in ("sweep", "look"):
            started = time.perf_counter()
            done = look(lake, datasets, cursor, now() + timedelta(seconds=61))
            found[f"{name}_seconds"] = round(time.perf_counter() - started, 2)
            cursor = done.cursor
            if name == "sweep":
                asked = done.done.events.get("waiting", 0)
    return {"objects": objects, **found, "asked": asked, "fine": asked == objects and not done.requests}


def main() -> int:
    """Measure what was asked for; exit code 1 where something does not hold."""
    from benchmarks.arrivals_latency import latency

    parser = argparse.ArgumentParser(prog="python -m benchmarks.arrivals", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="of the soak; 0 leaves it out")
    parser.add_argument(
        "--drain", type=int, default=10_000, help="messages in the SQS queue; 0 leaves it out"
    )
    parser.add_argument("--objects", type=int, default=100_000, help="of the listing; 0 leaves it out")
    parser.add_argument("--runs", type=int, default=20, help="files that are put in turn; 0 leaves it out")
    asked = parser.parse_args()
    parts: dict[str, tuple[Callable[[int], dict[str, Any]], int]] = {
        "soak": (soak, asked.events),
        "drain": (drained, asked.drain),
        "listing": (listing, asked.objects),
        "latency": (latency, asked.runs),
    }
    results = {name: measure(size) for name, (measure, size) in parts.items() if size}
    print(json.dumps(results, indent=2))
    return int(not all(r["fine"] for r in results.values()))


if __name__ == "__main__":
    sys.exit(main())
