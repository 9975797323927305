"""Incidents and the outbox: told once, counted, told again when over; nothing untold is lost."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

from lake_pipeline.health.incidents import (
    REMINDED_AFTER,
    happened,
    incidents,
    open_incidents,
    recovered,
)
from lake_pipeline.health.messages import KINDS, Fault, Message
from lake_pipeline.health.outbox import deliver, post, waiting
from lake_pipeline.storage import Lake

NOW = datetime(2026, 2, 26, 7, 30, tzinfo=UTC)
KIND = "PARTITION_REFUSED"


class Heard(list[Message]):
    """A sink that remembers, and fails while it is told to."""

    name = "heard"
    failing = False

    def takes(self, message: Message) -> bool:
        return message.form == "alert"

    def send(self, messages: Sequence[Message]) -> None:
        if self.failing:
            raise ConnectionError("nobody is there")
        self.extend(messages)


def fault(run: str, partition: str = "2026-02-25") -> dict[str, Fault]:
    headline = f"orders for {partition} not available; last published 2026-02-24"
    return {partition: Fault(headline, "IsUnique", "'7'", f"lake run orders --partition {partition}", run)}


def test_one_incident_with_a_count(lake_root: Lake) -> None:
    told: list[Message] = []
    for n in range(5):
        happened(lake_root, KIND, "orders", fault(f"r{n}"), NOW + timedelta(minutes=n), told.append)
    (found,) = open_incidents(lake_root, "orders")
    assert (found.count, len(told)) == (5, 1)
    assert told[0].subject == "orders for 2026-02-25 not available; last published 2026-02-24"
    assert told[0].text.splitlines()[1:] == [
        "  Reason: IsUnique",
        "  Sample: '7'",
        "  Fix: lake run orders --partition 2026-02-25",
    ]


def test_the_same_run_counts_once(lake_folder: Lake) -> None:
    told: list[Message] = []
    for _ in range(3):
        happened(lake_folder, KIND, "orders", fault("same"), NOW, told.append)
    assert (open_incidents(lake_folder)[0].count, len(told)) == (1, 1)


def test_recovery_is_told_when_the_last_member_is_fine(lake_folder: Lake) -> None:
    told: list[Message] = []
    both = {**fault("r"), **fault("r", "2026-02-26")}
    happened(lake_folder, KIND, "orders", both, NOW, told.append)
    assert "(and 1 more)" in told[0].subject
    recovered(lake_folder, KIND, "orders", ["2026-02-25", "2026-01-01"], NOW, told.append)
    assert len(told) == 1
    recovered(lake_folder, KIND, "orders", ["2026-02-26"], NOW + timedelta(minutes=3), told.append)
    recovered(lake_folder, KIND, "orders", ["2026-02-26"], NOW + timedelta(minutes=4), told.append)
    assert len(told) == 2
    assert told[1].detail["state"] == "resolved"
    assert told[1].subject == "orders for 2026-02-25 and 1 more: published again"
    assert open_incidents(lake_folder) == []
    assert [i.over for i in incidents(lake_folder)] == [(NOW + timedelta(minutes=3)).isoformat()]


def test_trouble_after_recovery_is_a_new_incident(lake_folder: Lake) -> None:
    told: list[Message] = []
    happened(lake_folder, KIND, "orders", fault("r1"), NOW, told.append)
    recovered(lake_folder, KIND, "orders", None, NOW, told.append)
    happened(lake_folder, KIND, "orders", fault("r2"), NOW + timedelta(minutes=1), told.append)
    assert [m.detail["state"] for m in told] == ["open", "resolved", "open"]
    assert len({m.id for m in told}) == 3
    assert open_incidents(lake_folder)[0].count == 1


def test_what_grows_is_told_again_but_not_with_each_batch(lake_folder: Lake) -> None:
    told: list[Message] = []
    for n in range(10):
        at = NOW + n * REMINDED_AFTER / 5
        happened(lake_folder, KIND, "orders", fault(f"r{n}", f"2026-03-{n + 1:02}"), at, told.append)
    assert [len(m.detail["members"]) for m in told] == [1, 6]
    assert len(open_incidents(lake_folder)[0].faults) == 10


def test_nothing_wrong_opens_nothing(lake_folder: Lake) -> None:
    told: list[Message] = []
    happened(lake_folder, KIND, "orders", {}, NOW, told.append)
    recovered(lake_folder, KIND, "orders", ["2026-02-25"], NOW, told.append)
    assert (told, list(lake_folder.zone("ops").list())) == ([], [])


def test_many_writers_tell_of_one_incident(lake_root: Lake) -> None:
    gate = Barrier(6)
    told: list[Message] = []

    def fail(n: int) -> None:
        gate.wait()
        happened(lake_root, KIND, "orders", fault(f"r{n}"), NOW, told.append)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(fail, range(6)))
    (found,) = open_incidents(lake_root)
    assert found.count == 6
    assert len({m.id for m in told}) == 1  # whoever lost the race sent the same message, if any


def test_each_kind_can_be_told(lake_folder: Lake) -> None:
    for kind in KINDS:
        told: list[Message] = []
        happened(lake_folder, kind, "orders", fault("r"), NOW, told.append)
        recovered(lake_folder, kind, "orders", None, NOW, told.append)
        assert [m.topic for m in told] == [kind, kind]
        assert KINDS[kind].recovered in told[1].subject


def message(n: int, form: str = "alert") -> Message:
    return Message(f"m{n}", form, "RUN_FAILED", f"subject {n}", "text", NOW.isoformat(), {"n": n})  # type: ignore[arg-type]


def test_what_a_sink_did_not_take_waits_with_the_error(lake_root: Lake) -> None:
    heard = Heard()
    heard.failing = True
    keys = post(lake_root, [heard], [message(1), message(2, "event")], NOW)
    post(lake_root, [heard], [message(3)], NOW + timedelta(seconds=1))
    assert deliver(lake_root, [heard], keys) == {"heard": "ConnectionError: nobody is there"}
    deliver(lake_root, [heard])
    (queue,) = waiting(lake_root)
    assert (queue.sink, queue.messages, queue.oldest, queue.attempts) == ("heard", 2, NOW.isoformat(), 2)
    assert queue.error == "ConnectionError: nobody is there"
    heard.failing = False
    assert deliver(lake_root, [heard]) == {"heard": ""}
    assert [m.id for m in heard] == ["m1", "m3"]
    assert heard[0] == message(1)
    assert (waiting(lake_root), deliver(lake_root, [heard])) == ([], {})


def test_one_sinks_failure_is_not_anothers(lake_folder: Lake) -> None:
    broken, fine = Heard(), Heard()
    broken.name, broken.failing = "broken", True
    post(lake_folder, [broken, fine], [message(1)], NOW)
    assert deliver(lake_folder, [broken, fine])["heard"] == ""
    assert [m.id for m in fine] == ["m1"]
    assert [w.sink for w in waiting(lake_folder)] == ["broken"]
