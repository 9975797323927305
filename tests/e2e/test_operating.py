"""The commands of operating: rerun, alerts, metrics, resume, and what status says of a breaker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from lakes import COLUMNS, csv, make_dataset, put

from lake_pipeline.cli.dagster_run import instance_of, job_of, run_partitions
from lake_pipeline.cli.left import planned
from lake_pipeline.datasets import Dataset
from lake_pipeline.flow import run as flow
from lake_pipeline.health.unfinished import ALL, unfinished
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake
from lake_pipeline.storage.objects import StorageRefused

Cli = Callable[..., Any]  # the fixture `lake`
DAYS = [f"2026-03-0{n}" for n in range(1, 6)]
ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal
from lake_pipeline.flow import run as flow
flow.{stage} = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
from lake_pipeline.cli import main
main()
"""


@pytest.fixture
def store(sales: Dataset) -> Lake:
    """Of five days, two that adjoin and one that stands alone are refused."""
    lake = Lake(Settings.from_env())
    for day, ids in zip(DAYS, ("ab", "cc", "dd", "ef", "gg"), strict=True):
        land(lake, sales, day, *ids)
    return lake


def land(lake: Lake, dataset: Dataset, day: str, *ids: str) -> None:
    put(lake, dataset, "a.csv", csv(*(f"{i},{n},{day}" for n, i in enumerate(ids))), day)


def killed(stage: str, *arguments: str) -> None:
    """Run the command in a process that is killed when it comes to a stage."""
    code = KILLED.replace("{stage}", stage)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=False, capture_output=True, env=env)
    assert done.returncode == -9, done.stderr


def runs_of(lake: Lake) -> list[dg.DagsterRun]:
    """Dagster's runs, the newest first."""
    with instance_of(lake) as instance:
        return list(instance.get_runs())


def test_what_was_refused_is_run_again_in_few_runs(lake: Cli, store: Lake, sales: Dataset) -> None:
    assert lake("rerun", "--failed").out.strip() == "Nothing is left to run."
    run_partitions(store, sales, DAYS)
    listed = lake("rerun", "--failed", "--dry-run", "--json")
    assert listed.code == 0
    assert [(r["run"], r["partition"], r["why"]) for r in listed.json] == [
        (1, DAYS[1], "refused"), (1, DAYS[2], "refused"), (2, DAYS[4], "refused"),
    ]  # fmt: skip
    assert "IsUnique" in listed.json[0]["why_reason"]
    assert len(runs_of(store)) == 1
    assert lake("rerun", "--json").json == []  # nothing was killed
    for day in (DAYS[1], DAYS[4]):
        land(store, sales, day, f"fixed-{day}")
    ran = lake("rerun", "--failed", "sales", "--json")
    assert ran.code == 1
    assert [(r["partition"], r["action"]) for r in ran.json] == [
        (DAYS[1], "published"), (DAYS[2], "still refused"), (DAYS[4], "published"),
    ]  # fmt: skip
    assert len(runs_of(store)) == 3
    assert [r["partition"] for r in lake("rerun", "--failed", "--dry-run", "--json").json] == [DAYS[2]]
    land(store, sales, DAYS[2], "fixed")
    assert "1 published" in lake("rerun", "--failed").out
    assert lake("alerts").out.strip() == "No incidents."


def test_upstream_is_run_first(lake: Cli, store: Lake, sales: Dataset, tmp_path: Path) -> None:
    """`area` names `sales` in its rules, and was refused because sales had not come; by name it would be first."""
    rules = 'ReferentialIntegrity "id" "sales.id" = 1.0'
    area = make_dataset(tmp_path / "defs", "area", columns=COLUMNS, rules=rules)
    land(store, area, DAYS[0], "fixed")
    run_partitions(store, area, [DAYS[0]])
    run_partitions(store, sales, [DAYS[1]])
    land(store, sales, DAYS[1], "fixed")
    ran = lake("rerun", "--failed", "--json")
    assert [(r["dataset"], r["action"]) for r in ran.json] == [("sales", "published"), ("area", "published")]
    assert ran.code == 0


@pytest.mark.parametrize("stage", ["inventory", "validate", "curate"])
def test_what_a_killed_run_left_is_finished(lake: Cli, store: Lake, sales: Dataset, stage: str) -> None:
    killed(stage, "run", "sales", "--from", DAYS[0], "--to", DAYS[1])
    listed = lake("rerun", "--dry-run", "--json").json
    assert [(r["partition"], r["why"]) for r in listed] == [(d, "interrupted") for d in DAYS[:2]]
    ran = lake("rerun", "--json").json
    assert [r["action"] for r in ran] == ["published", "refused"]
    assert lake("rerun", "--json").json == []
    statuses = {r.status for r in runs_of(store)[1:]}
    assert statuses == {dg.DagsterRunStatus.FAILURE}  # the killed one does not seem to go on for ever


def test_a_run_that_goes_on_is_not_repeated(
    store: Lake, sales: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[tuple[list[str], list[Any]]] = []
    original: Any = vars(flow)["validate"]

    def validate(*args: Any, **kwargs: Any) -> Any:
        left.append((list(unfinished(store, sales)), planned(store, [sales], ALL)))
        return original(*args, **kwargs)

    monkeypatch.setattr(flow, "validate", validate)
    (ran,) = run_partitions(store, sales, [DAYS[0]])
    assert ran.action == "published"
    assert left == [([DAYS[0]], [])]  # it looks as if it had been left; Dagster knows that it goes on


def test_a_run_that_failed_before_it_took_anything_in(
    lake: Cli, store: Lake, sales: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: Any, **__: Any) -> Any:
        raise StorageRefused("no access")

    with monkeypatch.context() as patched:
        patched.setattr(flow, "inventory", refuses)
        run_partitions(store, sales, [DAYS[0]])
    listed = lake("rerun", "--failed", "--dry-run", "--json").json
    assert [(r["partition"], r["why"]) for r in listed] == [(DAYS[0], "interrupted")]


def test_a_dataset_without_partitions_is_run_again(lake: Cli, tmp_path: Path) -> None:
    store = Lake(Settings.from_env())
    make_dataset(tmp_path / "defs", "whole", rules='IsUnique "id"', partitions={"by": "none"})
    store.zone("raw").write("whole/a.csv", csv("a,1,2026-03-01", "a,2,2026-03-01"))
    killed("curate", "run", "whole")
    assert [r["action"] for r in lake("rerun", "--json").json] == ["refused"]
    listed = lake("rerun", "--failed", "--dry-run")
    assert "whole" in listed.out
    assert "1 partition(s) in 1 run(s); nothing was run." in listed.out


def test_replays_are_counted_and_their_tag_is_on_the_run(lake: Cli, store: Lake, sales: Dataset) -> None:
    run_partitions(store, sales, DAYS)
    lake("rerun", "--failed")
    found = next(d for d in lake("metrics", "--json").json["datasets"] if d["dataset"] == "sales")
    assert (found["runs_failed"], found["replays"]) == (3, 2)
    assert (found["partitions_published"], found["partitions_failed"]) == (2, 3)
    assert found["quality_failure_rate"] == pytest.approx(0.6)
    assert found["run_seconds_median"] > 0
    assert found["freshness_lag_seconds_p95"] >= 0
    tags = {r.tags.get("lake/replay_id", "")[:6] for r in runs_of(store)}
    assert tags == {"", "rerun-"}


def test_the_breaker_is_seen_and_closed_by_hand(lake: Cli, tmp_path: Path) -> None:
    store = Lake(Settings.from_env())
    sales = make_dataset(tmp_path / "defs", rules='IsUnique "id"', breaker={"failures": 2})
    for day in DAYS[:2]:
        land(store, sales, day, "twice", "twice")
    run_partitions(store, sales, DAYS[:2])
    assert {s["breaker"] for s in lake("status", "sales", "--json").json} == {"open"}
    assert "lake resume sales" in lake("status", "sales").out
    assert {i["kind"] for i in lake("alerts", "sales", "--json").json["incidents"]} == {
        "PARTITION_REFUSED", "BREAKER_OPEN",
    }  # fmt: skip
    said = lake("resume", "sales", "--json")
    assert (said.code, said.json) == (0, {"dataset": "sales", "was": "open", "breaker": "closed"})
    assert "nothing had stopped" in lake("resume", "sales").out
    assert {s["breaker"] for s in lake("status", "sales", "--json").json} == {"closed"}
    shown = lake("alerts", "sales", "--all", "--json").json["incidents"]
    assert {i["kind"]: i["state"] for i in shown} == {"PARTITION_REFUSED": "open", "BREAKER_OPEN": "resolved"}


def test_alerts_shows_what_could_not_be_sent(
    lake: Cli, store: Lake, sales: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_ALERT_WEBHOOK", "http://127.0.0.1:9/nobody")
    run_partitions(store, sales, DAYS[:2])
    said = lake("alerts", "--json")
    assert said.code == 1
    (waits,) = said.json["waiting"]
    assert (waits["sink"], waits["messages"]) == ("webhook", 1)
    shown = lake("alerts").out
    assert "webhook has 1 message(s) waiting" in shown
    assert f"sales for {DAYS[1]} not available; last published {DAYS[0]}" in shown
    monkeypatch.delenv("LAKE_ALERT_WEBHOOK")
    assert lake("alerts", "--send").code == 1  # it waits until its sink is there again


def test_metrics_for_people_and_for_cloudwatch(lake: Cli, store: Lake, sales: Dataset) -> None:
    assert "No run since" in lake("metrics").out
    run_partitions(store, sales, DAYS)
    shown = lake("metrics", "sales", "--days", "2")
    assert (shown.code, "60.0%" in shown.out) == (0, True)
    lines = [json.loads(line) for line in lake("metrics", "sales", "--emf").out.splitlines()]
    assert [line.get("Dataset") for line in lines] == [None, "sales"]
    assert lines[1]["QualityFailureRate"] == pytest.approx(0.6)


def cancel(instance: dg.DagsterInstance, dataset: Dataset, partition: str) -> str:
    """A run of a partition that a person cancels while it is queued."""
    tags = {"dataset": "sales", "dagster/partition": partition}
    run = instance.create_run_for_job(job_of(dataset), tags=tags)
    instance.report_run_canceled(run)
    return run.run_id


def test_a_partition_whose_run_was_canceled_is_left(lake: Cli, store: Lake, sales: Dataset) -> None:
    land(store, sales, DAYS[0], "a")
    with instance_of(store) as instance:
        cancel(instance, sales, DAYS[0])
    assert lake("rerun", "sales", "--dry-run", "--json").json == []  # a person wanted it
    (left,) = lake("rerun", "sales", "--failed", "--dry-run", "--json").json
    assert (left["partition"], left["why"]) == (DAYS[0], "canceled")
    (ran,) = lake("rerun", "sales", "--failed", "--json").json
    assert ran["action"] == "published"
    assert lake("rerun", "sales", "--failed", "--dry-run", "--json").json == []
