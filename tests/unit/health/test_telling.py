"""What a run does to the lake's memory of its health: told from real runs of real files."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lakes import csv, make_dataset, put
from promises import promised, watch_from

from lake_pipeline.datasets import Dataset
from lake_pipeline.errors import UsageError
from lake_pipeline.flow.run import STAGES, run_stages
from lake_pipeline.health import events, freshness, history, incidents, metrics
from lake_pipeline.health.breaker import breaker
from lake_pipeline.health.history import RunInfo, record_of
from lake_pipeline.health.logs import about, begin, json_handler
from lake_pipeline.health.messages import Message
from lake_pipeline.health.outbox import deliver
from lake_pipeline.health.targets import Targets
from lake_pipeline.health.telling import tell_freshness, tell_run, untold
from lake_pipeline.health.unfinished import plan, unfinished, upstream_first
from lake_pipeline.storage import Lake

DAY, NEXT, THIRD = "2026-03-01", "2026-03-02", "2026-03-03"


class Heard(list[Message]):
    """A sink that remembers everything."""

    name = "heard"

    def takes(self, message: Message) -> bool:
        return True

    def send(self, messages: Sequence[Message]) -> None:
        self.extend(messages)

    def alerts(self) -> list[Message]:
        return [m for m in self if m.form == "alert"]

    def events(self) -> list[tuple[str, str]]:
        return [(m.topic, m.detail["partition"]) for m in self if m.form == "event"]


@pytest.fixture
def sales(tmp_path: Path) -> Dataset:
    return make_dataset(
        tmp_path / "defs",
        rules='IsUnique "id"',
        warnings='Completeness "amount" > 0.9',
        breaker={"failures": 2},
    )


def ran(lake: Lake, dataset: Dataset, heard: Heard, *partitions: str, **more: str) -> history.RunRecord:
    """Run partitions, and tell of it, as the op does."""
    run_id = f"run-{uuid.uuid4().hex[:6]}"
    info = RunInfo(run_id, dataset.name, datetime.now(UTC), **more)
    result = run_stages(lake, dataset, partitions, STAGES, run_id)
    record = record_of(lake, dataset, info, result, datetime.now(UTC))
    deliver(lake, [heard], tell_run(lake, dataset, record, [heard]))
    return record


def land(lake: Lake, dataset: Dataset, day: str, *ids: str) -> None:
    put(lake, dataset, "a.csv", csv(*(f"{i},{n},{day}" for n, i in enumerate(ids))), day)


def test_refused_then_fixed(lake_root: Lake, sales: Dataset) -> None:
    heard = Heard()
    land(lake_root, sales, DAY, "a", "b")
    land(lake_root, sales, NEXT, "twice", "twice")
    ran(lake_root, sales, heard, DAY, NEXT)
    (alert,) = heard.alerts()
    assert alert.subject == f"sales for {NEXT} not available; last published {DAY}"
    assert 'Reason: IsUnique "id"' in alert.text
    assert "Sample: 'twice'" in alert.text
    assert f"lake run sales --partition {NEXT}" in alert.text
    ran(lake_root, sales, heard, NEXT)
    assert len(heard.alerts()) == 1
    land(lake_root, sales, NEXT, "c")
    ran(lake_root, sales, heard, NEXT)
    assert [m.detail["state"] for m in heard.alerts()] == ["open", "resolved"]
    assert incidents.open_incidents(lake_root) == []
    assert breaker(lake_root, "sales").failures == 0


def test_an_earlier_version_stays_published(lake_folder: Lake, sales: Dataset) -> None:
    heard = Heard()
    land(lake_folder, sales, DAY, "a", "b")
    ran(lake_folder, sales, heard, DAY)
    land(lake_folder, sales, DAY, "a", "a")
    ran(lake_folder, sales, heard, DAY)
    assert heard.alerts()[0].subject == f"sales for {DAY} not updated; the version before stays published"


def test_events_are_what_became_of_each_partition(lake_folder: Lake, sales: Dataset) -> None:
    heard = Heard()
    land(lake_folder, sales, DAY, "a", "b")
    land(lake_folder, sales, NEXT, "twice", "twice")
    put(lake_folder, sales, "bad.csv", b"\xff\xfe\0", THIRD)
    land(lake_folder, sales, THIRD, "c")
    record = ran(lake_folder, sales, heard, DAY, NEXT, THIRD, replay_id="again-1", threshold_profile="strict")
    assert heard.events() == [
        ("ValidationPassed", DAY), ("TransformSucceeded", DAY), ("DQPassed", DAY), ("Published", DAY),
        ("ValidationPassed", NEXT), ("TransformSucceeded", NEXT), ("DQFailed", NEXT), ("Quarantined", NEXT),
        ("ValidationFailed", THIRD), ("TransformSucceeded", THIRD), ("DQPassed", THIRD), ("Published", THIRD),
    ]  # fmt: skip
    assert {name for name, _ in heard.events()} <= set(events.NAMES)
    detail = next(m.detail for m in heard if m.topic == "DQFailed")
    assert detail["run_id"] == record.run_id
    assert (detail["dataset"], detail["replay_id"], detail["threshold_profile"]) == (
        "sales",
        "again-1",
        "strict",
    )
    assert detail["source"].endswith("/raw/sales/2026/03/02/")
    assert "IsUnique" in detail["reasons"][0]
    heard.clear()
    ran(lake_folder, sales, heard, DAY, NEXT)
    assert heard.events() == []  # decided before: nothing became of anything


def test_checks_that_refuse_nothing_are_told(lake_folder: Lake, sales: Dataset) -> None:
    heard = Heard()
    put(lake_folder, sales, "a.csv", csv(f"a,,{DAY}", f"b,1,{DAY}"), DAY)
    ran(lake_folder, sales, heard, DAY)
    (alert,) = heard.alerts()
    assert (alert.topic, "Completeness" in alert.text) == ("CHECK_FAILED", True)
    put(lake_folder, sales, "a.csv", csv(f"a,1,{DAY}"), DAY)
    ran(lake_folder, sales, heard, DAY)
    assert [m.detail["state"] for m in heard.alerts()] == ["open", "resolved"]


def test_a_broken_run_opens_the_breaker_and_a_good_one_is_told(lake_folder: Lake, sales: Dataset) -> None:
    heard = Heard()
    info = RunInfo("r1", "sales", datetime.now(UTC))
    record = untold(lake_folder, sales, info, [DAY, NEXT], "S3 is away", datetime.now(UTC))
    for _ in range(2):  # told twice, counted once
        deliver(lake_folder, [heard], tell_run(lake_folder, sales, record, [heard]))
    assert [m.topic for m in heard.alerts()] == ["BREAKER_OPEN", "RUN_FAILED"]
    assert "lake resume sales" in heard.alerts()[0].text
    assert (heard.alerts()[1].detail["count"], "S3 is away" in heard.alerts()[1].text) == (2, True)
    assert history.is_recorded(lake_folder, info)
    for day in (DAY, NEXT):
        land(lake_folder, sales, day, f"id-{day}")
    ran(lake_folder, sales, heard, DAY, NEXT)
    assert [i.kind for i in incidents.open_incidents(lake_folder)] == ["BREAKER_OPEN"]


def test_a_missed_service_level_is_told_in_the_words_of_the_business(
    lake_folder: Lake, tmp_path: Path
) -> None:
    orders, heard = promised(tmp_path, name="orders"), Heard()
    due = datetime(2026, 2, 26, 7, 30, tzinfo=UTC)
    watch_from(lake_folder, orders, due)
    land(lake_folder, orders, "2026-02-24", "a")
    ran(lake_folder, orders, heard, "2026-02-24")
    heard.clear()

    def look(now: datetime) -> None:
        found: list[Message] = []
        tell_freshness(lake_folder, orders, freshness.judge(lake_folder, orders, now), now, found.append)
        heard.extend(found)

    look(due - timedelta(seconds=1))
    assert heard == []
    look(due)
    (alert,) = heard
    assert alert.subject == "orders for 2026-02-25 not available by 07:30; last published 2026-02-24"
    assert "has not taken in any file" in alert.text
    look(due + timedelta(hours=3))
    assert len(heard) == 1
    land(lake_folder, orders, "2026-02-25", "b")
    ran(lake_folder, orders, heard, "2026-02-25")
    assert heard.alerts()[-1].subject == "orders for 2026-02-25: available now"
    assert freshness.judged(lake_folder, orders)["2026-02-25"].met is False


def test_metrics_come_from_the_records(lake_root: Lake, sales: Dataset) -> None:
    heard, now = Heard(), datetime.now(UTC)
    land(lake_root, sales, DAY, "a")
    land(lake_root, sales, NEXT, "twice", "twice")
    land(lake_root, sales, THIRD, "c")
    ran(lake_root, sales, heard, DAY, NEXT)
    ran(lake_root, sales, heard, THIRD, replay_id="x")
    tick = {
        "at": now.isoformat(),
        "events": {"waiting": 8, "duplicate": 2},
        "lost": {"sales": 2},
        "lag_seconds": 7.5,
    }
    lake_root.zone("ops").write("arrivals/queue/ticks/000000007.json", json.dumps(tick).encode())
    lake_root.zone("ops").write("arrivals/queue/state/000000007.json", b"another document")
    found = metrics.metrics(lake_root, [sales], datetime.now(UTC), days=2)
    (one,) = found.datasets
    assert (one.runs_succeeded, one.runs_failed, one.partitions_published, one.partitions_failed) == (
        1,
        1,
        2,
        1,
    )
    assert sum(d.runs_failed for d in one.days.values()) == 1
    assert one.quality_failure_rate == pytest.approx(1 / 3)
    assert (one.replays, one.replays_per_day, one.breaker) == (1, 0.5, "closed")
    assert one.run_seconds_p95 is not None
    assert one.run_seconds_median is not None
    assert one.freshness_lag_seconds_median is not None
    assert 0 <= one.run_seconds_median <= one.run_seconds_p95
    assert (found.events, found.events_lost, found.queue_lag_seconds) == (10, 2, 7.5)
    assert one.events_lost == 2
    yesterday = metrics.metrics(lake_root, [sales], now - timedelta(days=5), days=2).datasets[0]
    assert (yesterday.runs_succeeded, yesterday.run_seconds_p95, yesterday.quality_failure_rate) == (
        0,
        None,
        None,
    )


def test_embedded_metrics_are_of_the_format(lake_folder: Lake, sales: Dataset) -> None:
    land(lake_folder, sales, DAY, "a")
    record = ran(lake_folder, sales, Heard(), DAY)
    found = metrics.metrics(lake_folder, [sales], datetime.now(UTC), days=1)
    for line in (*metrics.run_lines(record), *metrics.lake_lines(found)):
        document = json.loads(line)
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        assert isinstance(document["_aws"]["Timestamp"], int)
        assert directive["Namespace"] == "LakePipeline"
        assert all(name in document for group in directive["Dimensions"] for name in group)
        assert directive["Metrics"]
        for metric in directive["Metrics"]:
            value = document[metric["Name"]]
            assert all(isinstance(v, float) for v in (value if isinstance(value, list) else [value]))
    assert json.loads(next(metrics.run_lines(record)))["RunSucceeded"] == 1.0


def test_what_is_left_is_found_and_planned(lake_folder: Lake, sales: Dataset) -> None:
    for day in (DAY, NEXT):
        land(lake_folder, sales, day, "twice", "twice")
    land(lake_folder, sales, THIRD, "c")
    land(lake_folder, sales, "2026-03-05", "d")
    land(lake_folder, sales, "2026-03-06", "e")
    run_stages(lake_folder, sales, [DAY, NEXT, "2026-03-06"], STAGES, "r1")
    run_stages(lake_folder, sales, [THIRD, "2026-03-05"], ["raw"], "killed")
    left = unfinished(lake_folder, sales)
    assert {p: u.why for p, u in left.items()} == {
        DAY: "refused", NEXT: "refused", THIRD: "interrupted", "2026-03-05": "interrupted",
    }  # fmt: skip
    assert [r.keys for r in plan([sales], {"sales": left}, 400)] == [[DAY, NEXT, THIRD], ["2026-03-05"]]
    assert [r.keys for r in plan([sales], {"sales": left}, 2)] == [[DAY, NEXT], [THIRD], ["2026-03-05"]]


def test_upstream_comes_first(tmp_path: Path) -> None:
    rules = 'ReferentialIntegrity "id" "{}.id" = 1.0'
    a = make_dataset(tmp_path, "a_last", rules=rules.format("b_middle"))
    b = make_dataset(tmp_path, "b_middle", rules=rules.format("c_first"))
    c = make_dataset(tmp_path, "c_first")
    assert [d.name for d in upstream_first([a, b, c])] == ["c_first", "b_middle", "a_last"]


def test_log_lines_carry_the_runs_metadata(tmp_path: Path) -> None:
    begin()  # a run of a test before this one may have begun in the same process
    handler = json_handler(Targets(log_file=str(tmp_path / "log.jsonl")))
    logger = logging.getLogger(f"lake_pipeline.{tmp_path.name}")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    with about(run_id="r1", dataset="sales"), about(partition=DAY):
        logger.warning("refused: %s", "ü", extra={"lake": {"replay_id": "x"}})
    logger.info("outside")
    logger.removeHandler(handler)
    handler.close()
    first, second = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    assert datetime.fromisoformat(first.pop("at")).utcoffset() is not None
    assert first == {
        "level": "WARNING", "logger": logger.name, "message": "refused: ü", "run_id": "r1",
        "dataset": "sales", "partition": DAY, "replay_id": "x",
    }  # fmt: skip
    assert second.keys() == {"at", "level", "logger", "message"}


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, Targets()),
        ({"AWS_EXECUTION_ENV": "AWS_ECS_FARGATE"}, Targets(metrics="emf")),
        ({"AWS_EXECUTION_ENV": "AWS_ECS_FARGATE", "LAKE_METRICS": "none"}, Targets()),
        ({"LAKE_LOG": "JSON", "LAKE_ALERT_WEBHOOK": "http://x/"}, Targets(log="json", webhook="http://x/")),
    ],
)  # fmt: skip
def test_targets(env: dict[str, str], expected: Targets) -> None:
    assert Targets.from_env(env) == expected


@pytest.mark.parametrize(
    "env", [{"LAKE_LOG": "jsn"}, {"LAKE_METRICS": "x"}, {"LAKE_ALERT_WEBHOOK": "ftp://x"}]
)
def test_wrong_targets_are_refused(env: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(env))):
        Targets.from_env(env)
