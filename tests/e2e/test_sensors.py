"""Dagster's side of arrivals: what the sensors ask for, runs, lanes, and two runs of one partition at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig
from dagster._utils.tags import TagConcurrencyLimitsCounter
from lakes import DAY, NEXT, check_law, csv, make_dataset, put

from lake_pipeline.cli import dagster_run
from lake_pipeline.cli.dagster_run import dagster_home, instance_of, run_partitions
from lake_pipeline.components import sensors
from lake_pipeline.datasets import Dataset
from lake_pipeline.definitions import defs
from lake_pipeline.errors import Terminal
from lake_pipeline.flow import run as flow
from lake_pipeline.health.incidents import open_incidents
from lake_pipeline.resources import LakeResource
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake
from lake_pipeline.storage.objects import StorageUnavailable
from lake_pipeline.storage.tables import Tables


@pytest.fixture
def prompt(tmp_path: Path) -> Dataset:
    """The environment's dataset, which does not wait."""
    return make_dataset(
        tmp_path / "defs", sla="07:30", arrivals={"max_wait_seconds": 0, "schedule": "30 7 * * *"}
    )


@pytest.fixture
def store(prompt: Dataset) -> Lake:
    return Lake(Settings.from_env())


@pytest.fixture
def instance(store: Lake) -> Iterator[dg.DagsterInstance]:
    with instance_of(store) as found:
        yield found


def tick(instance: dg.DagsterInstance, name: str = "arrivals_listing", cursor: str = "") -> Any:
    """Evaluate a sensor as the code server does, against the whole repository."""
    loaded = defs()
    assert isinstance(loaded, dg.Definitions)
    sensor = loaded.get_sensor_def(name)
    resources = dict(loaded.resources or {})
    with dg.build_sensor_context(
        instance, cursor or None, definitions=loaded, resources=resources
    ) as context:
        return sensor.evaluate_tick(context)


def execute(instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    """Run what was asked for."""
    loaded = defs()
    assert isinstance(loaded, dg.Definitions)
    job = loaded.resolve_job_def(str(request.job_name))
    return job.execute_in_process(instance=instance, tags=dict(request.tags), raise_on_error=False)


def test_what_landed_becomes_a_run_that_says_what_it_is_for(
    store: Lake, prompt: Dataset, instance: dg.DagsterInstance
) -> None:
    for day in (DAY, NEXT):
        put(store, prompt, "a.csv", csv(f"{day},1,{day}"), day)
    data = tick(instance)
    (request,) = data.run_requests
    raw = store.zone("raw")
    assert request.job_name == "sales_job"
    assert request.tags["dagster/asset_partition_range_start"] == DAY
    assert request.tags["dagster/asset_partition_range_end"] == NEXT
    assert request.tags["lake/lane"] == "sales/2026-03"
    assert request.tags["lake/source"] == "listing"
    assert request.tags["lake/source_location"] == raw.uri("sales")
    assert int(request.tags["lake/late_seconds"]) > 0
    assert request.tags["lake/request"].endswith(f"/arrivals/requests/sales/{request.run_key}.json")
    result = execute(instance, request)
    assert result.success
    assert check_law(store, prompt).values() == [DAY, NEXT]
    (event,) = [
        e for e in result.get_asset_materialization_events() if (e.asset_key, e.partition) == (RAW, DAY)
    ]
    metadata = event.materialization.metadata
    assert metadata["request"].value == request.tags["lake/request"]
    assert metadata["late_seconds"].value == int(request.tags["lake/late_seconds"])
    again = tick(instance, cursor=data.cursor)
    assert again.run_requests == []
    assert "0 runs asked for" in again.skip_message


RAW = dg.AssetKey(["raw", "sales"])


def test_the_queues_sensor_rests_where_there_is_no_queue(instance: dg.DagsterInstance) -> None:
    assert "LAKE_QUEUE_URL" in tick(instance, "arrivals_queue").skip_message


def test_the_sensor_that_has_work_is_the_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def statuses() -> dict[str, str]:
        loaded = defs()
        assert isinstance(loaded, dg.Definitions)
        return {s.name: s.default_status.value for s in loaded.sensors or () if s.name.startswith("arrivals")}

    assert statuses() == {"arrivals_queue": "STOPPED", "arrivals_listing": "RUNNING"}
    monkeypatch.setenv("LAKE_QUEUE_URL", "http://127.0.0.1:1/queue")
    assert statuses() == {"arrivals_queue": "RUNNING", "arrivals_listing": "RUNNING"}


def test_a_schedule_starts_what_has_landed(
    store: Lake, prompt: Dataset, instance: dg.DagsterInstance
) -> None:
    loaded = defs()
    assert isinstance(loaded, dg.Definitions)
    schedule = loaded.get_schedule_def("sales_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 7 * * *", "UTC")

    def asked() -> list[str]:
        at = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
        resources = {"lake": LakeResource()}
        with dg.build_schedule_context(instance, at, resources=resources) as context:
            return [r.run_key or "" for r in schedule.evaluate_tick(context).run_requests or ()]

    assert asked() == []
    put(store, prompt, "a.csv", csv("a,1,2026-03-01"))
    first = asked()
    assert len(first) == 1
    assert asked() == first  # under the same key: Dagster runs it once


def test_runs_of_one_lane_follow_each_other(instance: dg.DagsterInstance, store: Lake) -> None:
    config = instance.get_concurrency_config().run_queue_config
    assert isinstance(config, RunQueueConfig)
    first, second, other = (
        dg.DagsterRun(job_name="sales_job", tags={"lake/lane": lane})
        for lane in ("sales/2026-03", "sales/2026-03", "sales/2026-04")
    )
    counter = TagConcurrencyLimitsCounter(config.tag_concurrency_limits, [first])
    assert counter.is_blocked(second)
    assert not counter.is_blocked(other)


def test_an_instance_of_an_earlier_version_learns_what_is_new(store: Lake) -> None:
    home = dagster_home(store)
    for text in dagster_run.EARLIER:
        (home / "dagster.yaml").write_text(text)
        assert (dagster_home(store) / "dagster.yaml").read_text() == dagster_run.instance_yaml()
    (home / "dagster.yaml").write_text("# of one's own\n")
    assert (dagster_home(store) / "dagster.yaml").read_text() == "# of one's own\n"


def test_two_runs_that_publish_one_partition_at_once_both_end_well(
    store: Lake, sales: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, sales, "first.csv", csv("first,1,2026-03-01"))
    assert run_partitions(store, sales, [DAY])[0].fine
    put(store, sales, "a.csv", csv("a,1,2026-03-01"))
    real = Tables._ensure
    other: list[Any] = []

    def meanwhile(tables: Tables, name: str, schema: Any) -> Any:
        """Between this run's look at the table and its commit, another run comes and goes."""
        table = real(tables, name, schema)
        if name == "curated.sales" and not other:
            command = [sys.executable, "-c", "from lake_pipeline.cli import main; main()", "run", "sales"]
            other.append(
                subprocess.run([*command, "--partition", DAY], capture_output=True, text=True, check=False)
            )
        return table

    monkeypatch.setattr(Tables, "_ensure", meanwhile)
    (ran,) = run_partitions(store, sales, [DAY])
    assert other[0].returncode == 0, other[0].stderr
    assert " published " in other[0].stdout
    assert ran.fine
    with instance_of(store) as instance:
        retried = instance.all_logs(ran.run_id, of_type=dg.DagsterEventType.STEP_UP_FOR_RETRY)
    assert len(retried) == 1
    assert check_law(store, sales).values() == ["a", "first"]


class Clock:
    """The sensors' time, which only goes on when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = datetime.now(UTC)
        monkeypatch.setattr(sensors, "now", lambda: self.at)

    def on(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def break_runs(patch: pytest.MonkeyPatch, error: Exception) -> None:
    """Have every run die after its inventory."""

    def breaks(*_: Any, **__: Any) -> Any:
        raise error

    patch.setattr(flow, "validate", breaks)


@pytest.fixture
def hasty(store: Lake, tmp_path: Path) -> Dataset:
    """The environment's dataset, whose steps are repeated by nobody."""
    arrivals = {"max_wait_seconds": 0, "attempts": 1}
    return make_dataset(tmp_path / "defs", arrivals=arrivals, retries={"attempts": 0})


def test_a_run_that_broke_off_starts_again_and_what_is_given_up_is_told(
    hasty: Dataset, store: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    put(store, hasty, "a.csv", csv(f"a,1,{DAY}"))
    cursor, keys = "", []
    with monkeypatch.context() as patch:
        break_runs(patch, StorageUnavailable("503 slow down"))
        for wait in (0, 120):
            clock.on(wait)
            data = tick(instance, cursor=cursor)
            cursor, (request,) = data.cursor, data.run_requests
            keys.append(request.run_key)
            assert not execute(instance, request).success
    assert len(set(keys)) == 2
    clock.on(361)
    data = tick(instance, cursor=cursor)
    assert not data.run_requests
    tick(instance, "lake_alerts")
    found = {i.kind: i for i in open_incidents(store)}
    assert found["GIVEN_UP"].faults[DAY].fix == f"lake run sales --partition {DAY}"
    assert "its run and 1 more" in found["GIVEN_UP"].faults[DAY].reason
    (ran,) = run_partitions(store, hasty, [DAY])
    assert ran.action == "published"
    tick(instance, cursor=data.cursor)
    tick(instance, "lake_alerts")
    assert open_incidents(store) == []


def test_an_error_that_does_not_pass_starts_nothing(
    hasty: Dataset, store: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    put(store, hasty, "a.csv", csv(f"a,1,{DAY}"))
    first = tick(instance)
    with monkeypatch.context() as patch:
        break_runs(patch, Terminal("the disk is on fire"))
        assert not execute(instance, first.run_requests[0]).success
    clock.on(500)
    assert not tick(instance, cursor=first.cursor).run_requests


def test_a_run_that_goes_on_is_waited_for(
    hasty: Dataset, store: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    put(store, hasty, "a.csv", csv(f"a,1,{DAY}"))
    first = tick(instance)
    tags = dict(first.run_requests[0].tags)
    going = instance.create_run_for_job(
        defs().resolve_job_def("sales_job"), status=dg.DagsterRunStatus.STARTED, tags=tags
    )
    clock.on(500)
    second = tick(instance, cursor=first.cursor)
    assert not second.run_requests
    instance.delete_run(going.run_id)
    clock.on(500)
    assert len(tick(instance, cursor=second.cursor).run_requests) == 1


@pytest.mark.parametrize(("limit", "runs"), [(None, 10), (10**12, 10), (4 * 10**9, 2), (10**8, 1)])
def test_so_many_runs_at_once_as_there_is_memory_for(
    monkeypatch: pytest.MonkeyPatch, limit: int | None, runs: int
) -> None:
    monkeypatch.setattr(dagster_run, "memory_limit", lambda: limit)
    monkeypatch.setattr(dagster_run, "default_memory", lambda: 10**9)
    text = dagster_run.instance_yaml()
    assert yaml.safe_load(text)["run_queue"]["max_concurrent_runs"] == runs
    assert yaml.safe_load(text)["run_queue"]["tag_concurrency_limits"][0]["limit"] == 1
    assert yaml.safe_load(text)["run_launcher"]["class"] == "WarmLauncher"
