"""Telling, through Dagster: what runs tell themselves, and what the sensor `lake_alerts` tells of those that could not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from lakes import csv, put
from promises import promised, watch_from

from lake_pipeline.cli.dagster_run import instance_of, job_of, quiet, run_partitions
from lake_pipeline.components.alerts import lake_alerts
from lake_pipeline.datasets import Dataset, load_dataset
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.errors import Terminal
from lake_pipeline.flow import run as flow
from lake_pipeline.health import history, telling
from lake_pipeline.health.breaker import breaker
from lake_pipeline.health.incidents import incidents
from lake_pipeline.health.outbox import waiting
from lake_pipeline.resources import Alerts, LakeResource
from lake_pipeline.resources.processes import is_gone, process_name
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake
from lake_pipeline.storage.objects import StorageUnavailable

DAY, NEXT, THIRD = "2026-03-01", "2026-03-02", "2026-03-03"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(sales: Dataset) -> Lake:
    """Three days have landed; the second is refused by its gate."""
    lake = Lake(Settings.from_env())
    for day, ids in zip((DAY, NEXT, THIRD), ("ab", "cc", "de"), strict=True):
        put(lake, sales, "a.csv", csv(*(f"{i},{n},{day}" for n, i in enumerate(ids))), day)
    return lake


def kinds(lake: Lake) -> dict[str, int]:
    """The open incidents' kinds and counts."""
    return {i.kind: i.count for i in incidents(lake) if i.is_open}


def recorded(lake: Lake) -> list[history.RunRecord]:
    """All run records."""
    return list(history.records(lake, now().date() - timedelta(days=1), now().date()))


def tick(lake: Lake, cursor: str | None = None) -> dg.SensorResult:
    """One tick of the sensor."""
    from lake_pipeline.definitions import defs

    with instance_of(lake) as instance, quiet():
        context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs())
        found = lake_alerts(context, lake=LakeResource(), alerts=Alerts())
    assert isinstance(found, dg.SensorResult)
    return found


def warnings_of(lake: Lake, run_id: str) -> str:
    """What a run's log says in warnings."""
    with instance_of(lake) as instance:
        return "\n".join(e.user_message for e in instance.all_logs(run_id) if int(e.level) >= 30)


def test_a_run_tells_what_became_of_its_partitions(store: Lake, sales: Dataset) -> None:
    ran = run_partitions(store, sales, [DAY, NEXT, THIRD])
    assert kinds(store) == {"PARTITION_REFUSED": 1}
    assert f"sales for {NEXT} not available; last published {THIRD}" in warnings_of(store, ran[0].run_id)
    (record,) = recorded(store)
    assert (record.run_id, record.state) == (ran[0].run_id, "failed")
    assert [p.action for p in record.partitions] == ["published", "refused", "published"]
    assert breaker(store, "sales").failures == 0  # the third was published after the second
    put(store, sales, "a.csv", csv(f"fixed,1,{NEXT}"), NEXT)
    run_partitions(store, sales, [NEXT])
    assert kinds(store) == {}


def test_a_terminal_error_is_told_at_once(
    store: Lake, sales: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any, **__: Any) -> Any:
        raise Terminal("the disk is on fire")

    monkeypatch.setattr(flow, "validate", breaks)
    run_partitions(store, sales, [DAY, NEXT])
    (found,) = incidents(store)
    assert (found.kind, found.count) == ("RUN_FAILED", 2)
    assert {f.reason for f in found.faults.values()} == {"the disk is on fire"}
    assert recorded(store)[0].error == "the disk is on fire"


@pytest.mark.parametrize("rate", [2.0, 1.5])
def test_a_transient_error_is_told_after_the_last_repeat(
    tmp_path: Path, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lakes import make_dataset

    retries = {"attempts": 2, "first_seconds": 0.01, "rate": rate}
    sales = make_dataset(tmp_path / "defs", retries=retries)
    lake, calls = Lake(Settings.from_env()), []
    put(lake, sales, "a.csv", csv(f"a,1,{DAY}"), DAY)

    def away(*_: Any, **__: Any) -> Any:
        calls.append(kinds(lake))
        raise StorageUnavailable("503 slow down")

    with monkeypatch.context() as patched:
        patched.setattr(flow, "validate", away)
        (ran,) = run_partitions(lake, sales, [DAY])
    assert calls == [{}, {}, {}]
    assert ran.action == "failed"
    assert kinds(lake) == {"RUN_FAILED": 1}
    assert "503 slow down" in incidents(lake)[0].faults[DAY].reason
    assert run_partitions(lake, sales, [DAY])[0].action == "published"
    assert kinds(lake) == {}


def test_a_failing_sink_fails_no_run_and_is_seen(
    store: Lake, sales: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_ALERT_WEBHOOK", "http://127.0.0.1:9/nobody")
    put(store, sales, "a.csv", csv(f"a,,{DAY}", f"b,1,{DAY}"), DAY)  # a check that only warns fails
    (ran,) = run_partitions(store, sales, [DAY])
    assert ran.action == "published"
    assert kinds(store) == {"CHECK_FAILED": 1, "SINK_FAILED": 1}
    assert [(w.sink, w.messages) for w in waiting(store)] == [("webhook", 1)]
    assert "webhook did not take its messages" in warnings_of(store, ran.run_id)


def test_what_a_run_could_not_tell_the_sensor_tells(
    store: Lake, sales: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise StorageUnavailable("503 slow down")

    with monkeypatch.context() as patched:
        patched.setattr(telling, "tell_run", away)
        ran = run_partitions(store, sales, [DAY, NEXT])
    assert [r.action for r in ran] == ["published", "refused"]
    assert (kinds(store), recorded(store)) == ({}, [])
    first = tick(store)
    assert kinds(store) == {"PARTITION_REFUSED": 1}
    (record,) = recorded(store)
    assert [(p.partition, p.action) for p in record.partitions] == [(DAY, "published"), (NEXT, "refused")]
    tick(store, first.cursor)
    tick(store)  # a rewound cursor
    assert (kinds(store), len(recorded(store))) == ({"PARTITION_REFUSED": 1}, 1)


KILLED = """
import os, signal
from lake_pipeline.flow import run as flow
from lake_pipeline.health import telling
(telling if "{stage}" == "tell_run" else flow).{stage} = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
from lake_pipeline.cli import main
main()
"""


def killed(stage: str, *arguments: str) -> None:
    """Run the command in a process that is killed when it comes to a stage."""
    code = KILLED.replace("{stage}", stage)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=False, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == -9, done.stderr


def test_a_run_whose_process_was_killed_is_found(store: Lake, sales: Dataset) -> None:
    killed("curate", "run", "sales", "--from", DAY, "--to", THIRD)
    assert kinds(store) == {}
    tick(store)
    assert kinds(store) == {"RUN_FAILED": 3}
    assert "was killed" in incidents(store)[0].faults[DAY].reason
    with instance_of(store) as instance:
        assert [r.status for r in instance.get_runs()] == [dg.DagsterRunStatus.FAILURE]
    run_partitions(store, sales, [DAY, THIRD])
    assert [*incidents(store)[0].faults] == [NEXT]


def test_a_run_that_was_killed_while_it_told_is_told(store: Lake, sales: Dataset) -> None:
    killed("tell_run", "run", "sales", "--from", DAY, "--to", THIRD)
    tick(store)
    assert kinds(store) == {"PARTITION_REFUSED": 1}
    (record,) = recorded(store)
    assert [p.action for p in record.partitions] == ["published", "refused", "published"]


def test_a_run_of_a_partition_that_is_gone_stops_no_tick(store: Lake, sales: Dataset) -> None:
    killed("curate", "run", "sales", "--from", DAY, "--to", NEXT)
    text = (sales.folder / "defs.yaml").read_text()
    (sales.folder / "defs.yaml").write_text(text.replace("2026-01-01", "2026-06-01"))
    cursor = json.loads(tick(store).cursor or "")
    assert cursor["ticked"]
    assert recorded(store) == []


def test_a_run_that_goes_on_is_left_alone() -> None:
    mine = process_name()
    assert not is_gone(mine)
    host, pid, ticks = mine.split("/")
    assert is_gone(f"{host}/{pid}/{int(ticks) + 1}")  # the number was given to another process
    assert not is_gone(f"another-{host}/{pid}/1")
    ended = subprocess.Popen(["true"])
    name = f"{host}/{ended.pid}/1"
    ended.wait()
    assert is_gone(name)


def test_a_partition_that_is_due_is_told_and_red(store: Lake, tmp_path: Path) -> None:
    orders = promised(tmp_path, name="orders")
    at = now()
    day = (at - timedelta(days=3)).strftime("%Y-%m-%d")
    watch_from(store, orders, at - timedelta(days=2))
    result = tick(store)
    missed = [e for e in result.asset_events if isinstance(e, dg.AssetCheckEvaluation)]
    assert {(e.partition, e.passed, e.check_name) for e in missed} >= {(day, False, "freshness")}
    (found,) = [i for i in incidents(store) if i.subject == "orders"]
    assert found.faults[day].headline == f"orders for {day} not available by 07:30; nothing is published yet"
    assert tick(store, result.cursor).asset_events == []
    with instance_of(store) as instance:
        instance.report_runless_asset_event(
            next(e for e in missed if e.partition == day)
        )  # as the daemon does
        key = dg.AssetCheckKey(dg.AssetKey(["curated", "orders"]), "freshness")
        (shown,) = instance.event_log_storage.get_asset_check_execution_history(key, 10)
        assert shown.partition == day
    put(store, orders, "a.csv", csv(f"a,1,{day}"), day)
    (ran,) = run_partitions(store, orders, [day])
    assert ran.action == "published"
    with instance_of(store) as instance:
        logs = instance.all_logs(ran.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        checks = [e.dagster_event.asset_check_evaluation_data for e in logs if e.dagster_event]
    (check,) = [c for c in checks if c.check_name == "freshness"]
    assert (check.partition, check.passed) == (day, False)  # late for ever
    assert float(check.metadata["late_seconds"].value or 0) > 0  # type: ignore[arg-type]
    assert day not in next(i for i in incidents(store) if i.subject == "orders").faults


def test_history_breaks_no_promise_and_leaves_no_check_without_an_answer(store: Lake, tmp_path: Path) -> None:
    orders, day = promised(tmp_path, name="orders"), "2026-01-02"
    put(store, orders, "a.csv", csv(f"a,1,{day}"), day)
    (ran,) = run_partitions(store, orders, [day])
    with instance_of(store) as instance:
        logs = instance.all_logs(ran.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        checks = [e.dagster_event.asset_check_evaluation_data for e in logs if e.dagster_event]
    (check,) = [c for c in checks if c.check_name == "freshness"]
    assert (check.partition, check.passed) == (day, True)
    assert "Nothing was promised" in str(check.description)


def test_alerting_tells_that_it_is_late(store: Lake) -> None:
    before = json.dumps({"ticked": (now() - timedelta(hours=2)).isoformat()})
    cursor = tick(store, before).cursor
    (found,) = [i for i in incidents(store) if i.kind == "ALERTING_LATE"]
    assert "lake_alerts did not run" in found.faults["alerting"].reason
    tick(store, cursor)
    assert kinds(store) == {}


def test_log_lines_and_metrics_of_a_run(store: Lake, sales: Dataset, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", "from lake_pipeline.cli import main; main()", "run", "sales", "--all", "--json"],
        env={**os.environ, "LAKE_LOG": "json", "LAKE_LOG_FILE": str(log), "LAKE_METRICS": "none", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    (run_id,) = {r["run_id"] for r in json.loads(done.stdout)}
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert all(line["run_id"] == run_id and line["dataset"] == "sales" for line in lines if "run_id" in line)
    assert {"ValidationPassed", "Published", "DQFailed", "PARTITION_REFUSED"} <= {
        line.get("event") for line in lines
    }
    said = next(line for line in lines if "validated" in line["message"])
    assert said["partition"] == f"{DAY}..{THIRD}"
    assert said["source"].endswith("/lake/raw/sales")
    assert (said["threshold_profile"], said["replay_id"]) == ("default", "")


def test_metrics_are_written_where_cloudwatch_reads_them(
    store: Lake, sales: Dataset, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAKE_METRICS", "emf")
    run_partitions(store, sales, [DAY])
    (line,) = [json.loads(s) for s in capfd.readouterr().out.splitlines() if s.startswith("{")]
    assert (line["Dataset"], line["RunSucceeded"], line["PartitionsPublished"]) == ("sales", 1.0, 1.0)
    tick(store)
    names = {m["Name"] for s in capfd.readouterr().out.splitlines() if s.startswith("{") for m in json.loads(s)["_aws"]["CloudWatchMetrics"][0]["Metrics"]}  # fmt: skip
    assert {"EventsLost", "QueueLag", "AlertsLag", "SlaMissed", "BreakerOpen", "RunDurationP95"} <= names


def test_materializing_in_the_ui_tells_too(store: Lake, sales: Dataset) -> None:
    """Runs that are not of the dataset's own job: "materialize" and backfills use Dagster's."""
    with instance_of(store) as instance, quiet():
        from lake_pipeline.definitions import defs

        job = defs().resolve_implicit_global_asset_job_def()
        keys = [dg.AssetKey([zone, "sales"]) for zone in ("raw", "validated", "quarantine", "curated")]
        result = job.execute_in_process(
            instance=instance, partition_key=NEXT, asset_selection=keys, raise_on_error=False
        )
        assert not result.success
    assert kinds(store) == {"PARTITION_REFUSED": 1}
    assert job_of(sales).name == "sales_job"


@contextmanager
def daemon(home: Path, module: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Dagster's daemon on a module of definitions."""
    command = [sys.executable, "-m", "dagster._daemon", "run", "-f", str(module)]
    with (home / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=home)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


BROKEN = """
import dagster as dg
import lake_pipeline.definitions

@dg.sensor(minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def broken_sensor(_):
    raise RuntimeError("no queue of that name")

defs = dg.Definitions.merge(lake_pipeline.definitions.defs(), dg.Definitions(sensors=[broken_sensor]))
"""


def test_the_real_daemon_tells_of_a_sensor_that_fails(store: Lake, tmp_path: Path) -> None:
    import time

    with instance_of(store) as instance:
        home = Path(instance.root_directory)
    module = tmp_path / "broken.py"
    module.write_text(BROKEN)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "DAGSTER_HOME": str(home), "PYTHONWARNINGS": "ignore"}
    with daemon(home, module, env) as process:
        until = time.monotonic() + 120
        while not any(i.kind == "SENSOR_FAILED" for i in incidents(store)):
            log = (home / "daemon.log").read_text()
            assert process.poll() is None and time.monotonic() < until, log[-3000:]
            time.sleep(0.2)
    (found,) = [i for i in incidents(store) if i.kind == "SENSOR_FAILED"]
    assert found.subject == "sensor.broken_sensor"
    assert "no queue of that name" in found.faults["sensor.broken_sensor"].reason


def test_a_canceled_run_is_recorded_and_is_no_incident(store: Lake, sales: Dataset) -> None:
    with instance_of(store) as instance, quiet():
        tags = {"dataset": "sales", "dagster/partition": DAY}
        run = instance.create_run_for_job(job_of(sales), tags=tags)
        instance.report_run_canceled(run)
    tick(store)
    (record,) = recorded(store)
    assert (record.run_id, record.state) == (run.run_id, "canceled")
    assert [(p.partition, p.action) for p in record.partitions] == [(DAY, "canceled")]
    assert kinds(store) == {}
    assert breaker(store, "sales").failures == 0


def test_a_whole_dataset_shows_whether_it_was_published_again_in_time(store: Lake, tmp_path: Path) -> None:
    from lakes import make_dataset

    sla = [{"property": "frequency", "value": 1, "unit": "d"}]
    made = make_dataset(tmp_path / "defs", name="codes", partitions={"by": "none"}, landing="codes/")
    path = made.folder / "contract.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "slaProperties": sla}))
    codes = load_dataset(made.folder)
    for name in ("a.csv", "b.csv"):
        put(store, codes, name, csv(f"{name},1,2026-03-01"), "all")
        (ran,) = run_partitions(store, codes, ["all"])
        assert ran.action == "published"
    with instance_of(store) as instance:
        logs = instance.all_logs(ran.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        checks = [e.dagster_event.asset_check_evaluation_data for e in logs if e.dagster_event]
    (check,) = [c for c in checks if c.check_name == "freshness"]
    assert (check.partition, check.passed) == (None, True)
