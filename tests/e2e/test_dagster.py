"""What Dagster shows: definitions that load from files alone, and the state of each partition after a run."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import (
    AssetPartitionStatus,
    get_and_update_asset_status_cache_value,
)
from lakes import csv, put

from lake_pipeline.cli.dagster_run import instance_of, run_partitions
from lake_pipeline.components.definitions import partitions_definition
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.loading import SHIPPED, dataset_folders, load_dataset
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake, ObjectStore
from lake_pipeline.storage.objects import StorageRefused, StorageUnavailable

DAYS = ["2026-03-01", "2026-03-02", "2026-03-03"]
GOLDEN = Path(__file__).parent / "definitions.json"


def snapshot(definitions: dg.Definitions) -> dict[str, Any]:
    graph = definitions.resolve_asset_graph()
    return {
        "assets": {
            key.to_user_string(): {
                "deps": sorted(d.to_user_string() for d in graph.get(key).parent_keys),
                "group": graph.get(key).group_name,
                "owners": list(graph.get(key).owners),
                "partitions": type(graph.get(key).partitions_def).__name__,
                "checks": sorted(c.name for c in graph.asset_check_keys if c.asset_key == key),
            }
            for key in sorted(graph.get_all_asset_keys())
        },
        "blocking": sorted(
            f"{c.asset_key.to_user_string()}:{c.name}"
            for c in graph.asset_check_keys
            if graph.get(c).blocking
        ),
        "jobs": sorted(j.name for j in definitions.resolve_all_job_defs()),
        "sensors": sorted(s.name for s in definitions.sensors or ()),
        "schedules": sorted(s.name for s in definitions.schedules or ()),
    }


def load_shipped(monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    monkeypatch.delenv("LAKE_DEFS")
    from lake_pipeline.definitions import defs

    loaded = defs()
    assert isinstance(loaded, dg.Definitions)
    return loaded


def test_the_definitions_are_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a wanted change: delete the golden file, run this test, and read the difference."""
    found = snapshot(load_shipped(monkeypatch))
    if not GOLDEN.exists():
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        pytest.fail("the golden file was missing; it is written now")
    assert found == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_loading_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise AssertionError("definitions must load from files alone")

    for owner, name in ((socket.socket, "connect"), (ObjectStore, "__init__")):
        monkeypatch.setattr(owner, name, nobody)
    monkeypatch.setattr("lake_pipeline.datasets.partitioning.now", nobody)
    monkeypatch.setenv("LAKE_ROOT", "s3://nowhere/at-all")
    assert load_shipped(monkeypatch).resolve_asset_graph()
    assert not (tmp_path / "lake").exists()


def test_own_folders_are_loaded_and_replace_shipped_datasets(tmp_path: Path) -> None:
    import shutil

    from lake_pipeline.definitions import defs

    shutil.copytree(SHIPPED / "weather", tmp_path / "defs" / "weather")
    loaded = defs()
    keys = {k.to_user_string() for k in loaded.resolve_asset_graph().get_all_asset_keys()}
    assert {"curated/sales", "curated/weather", "curated/flights"} <= keys


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "dagster", "definitions", "validate", "-m", "lake_pipeline.definitions"],
        ["-m", "dagster_dg_cli.cli", "check", "defs"],
        ["-m", "dagster_dg_cli.cli", "list", "defs", "--json"],
    ],
    ids=["validate", "check", "list"],
)
def test_dagsters_own_commands(command: list[str], tmp_path: Path) -> None:
    import os

    root = Path(__file__).parents[2]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LAKE_", "DAGSTER_"))}
    bin_ = Path(sys.executable).parent
    program = (
        [str(bin_ / "dg"), *command[2:]] if "dagster_dg_cli" in command[1] else [sys.executable, *command]
    )
    env |= {
        "PATH": f"{bin_}:{env['PATH']}",
        "PYTHONPATH": str(root),
        "LAKE_ROOT": str(tmp_path),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        program, capture_output=True, text=True, cwd=root, env=env, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if "list" in command:
        assert "curated/flights" in done.stdout


@pytest.fixture
def store(sales: Dataset) -> Lake:
    """Three days have landed; the second is refused by its gate."""
    lake = Lake(Settings.from_env())
    for day, ids in zip(DAYS, ("ab", "cc", "de"), strict=True):
        put(lake, sales, "a.csv", csv(*(f"{i},{n or ''},{day}" for n, i in enumerate(ids))), day)
    return lake


def statuses(instance: dg.DagsterInstance, dataset: Dataset, zone: str) -> dict[str, list[str]]:
    """(materialized, failed) partitions of an asset, as the UI gets them."""
    definition = partitions_definition(dataset)
    assert definition
    cached = get_and_update_asset_status_cache_value(instance, dg.AssetKey([zone, dataset.name]), definition)
    assert cached
    done = cached.deserialize_materialized_partition_subsets(definition).get_partition_keys()
    failed = cached.deserialize_failed_partition_subsets(definition).get_partition_keys()
    return {"done": sorted(done), "failed": sorted(failed)}


def test_each_partition_of_a_range_succeeds_or_fails_alone(store: Lake, sales: Dataset) -> None:
    ran = run_partitions(store, sales, DAYS)
    assert [r.action for r in ran] == ["published", "refused", "published"]
    assert len({r.run_id for r in ran}) == 1
    with instance_of(store) as instance:
        assert statuses(instance, sales, "curated") == {"done": [DAYS[0], DAYS[2]], "failed": [DAYS[1]]}
        for zone in ("raw", "validated", "quarantine"):
            assert statuses(instance, sales, zone) == {"done": DAYS, "failed": []}
        by_partition = instance.get_status_by_partition(
            dg.AssetKey(["curated", "sales"]),
            DAYS,
            partitions_definition(sales),  # type: ignore[arg-type]
        )
        assert by_partition
        assert by_partition[DAYS[1]] == AssetPartitionStatus.FAILED
        checks = evaluations(instance, ran[0].run_id)
    assert {c.partition for c in checks} == set(DAYS)
    named: dict[str, list[Any]] = {}
    for check in checks:
        named.setdefault(check.check_name, []).append(check)
    assert {"schema", "balance"} < set(named)
    unique = next(v for k, v in named.items() if "unique" in k.lower())
    assert {c.partition: c.passed for c in unique} == {DAYS[0]: True, DAYS[1]: False, DAYS[2]: True}
    assert all(c.passed for c in named["balance"])
    severities = {c.check_name: c.severity.value for c in checks}
    assert sorted(set(severities.values())) == ["ERROR", "WARN"]


def evaluations(instance: dg.DagsterInstance, run_id: str) -> list[Any]:
    logs = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    return [e.dagster_event.asset_check_evaluation_data for e in logs if e.dagster_event]


def test_only_what_failed_is_run_again(store: Lake, sales: Dataset) -> None:
    run_partitions(store, sales, DAYS)
    put(store, sales, "a.csv", csv(f"fixed,1,{DAYS[1]}"), DAYS[1])
    with instance_of(store) as instance:
        failed = statuses(instance, sales, "curated")["failed"]
    assert failed == [DAYS[1]]
    (again,) = run_partitions(store, sales, failed)
    assert again.action == "published"
    with instance_of(store) as instance:
        assert statuses(instance, sales, "curated") == {"done": DAYS, "failed": []}


def test_running_curated_alone_still_refuses(store: Lake, sales: Dataset) -> None:
    from lake_pipeline.cli.dagster_run import job_of

    run_partitions(store, sales, [DAYS[1]])
    with instance_of(store) as instance:
        result = job_of(sales).execute_in_process(
            instance=instance,
            partition_key=DAYS[1],
            asset_selection=[dg.AssetKey(["curated", "sales"])],
            raise_on_error=False,
        )
        assert not result.success
        assert statuses(instance, sales, "curated") == {"done": [], "failed": [DAYS[1]]}


@pytest.mark.parametrize(
    ("error", "runs"),
    [(StorageUnavailable, 2), (ConnectionResetError, 2), (StorageRefused, 1), (ZeroDivisionError, 1)],
)
def test_only_transient_errors_are_repeated(
    store: Lake, sales: Dataset, error: type[Exception], runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lake_pipeline.flow import run as flow

    calls: list[int] = []
    original: Any = vars(flow)["validate"]

    def fails_once(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise error("once")
        return original(*args, **kwargs)

    monkeypatch.setattr(flow, "validate", fails_once)
    (ran,) = run_partitions(store, sales, DAYS[:1])
    assert len(calls) == runs
    assert ran.fine is (runs == 2)
    assert runs == 2 or "once" in ran.error


def test_who_runs_it_reads_why_all_repeats_failed(
    store: Lake, sales: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lake_pipeline.flow import run as flow

    def fails(*_: Any, **__: Any) -> None:
        raise StorageUnavailable("no answer from the storage")

    monkeypatch.setattr(flow, "validate", fails)
    (ran,) = run_partitions(store, sales, DAYS[:1])
    assert not ran.fine
    assert ran.error.endswith("StorageUnavailable: no answer from the storage")
    assert "max_retries" not in ran.error


def test_a_dataset_without_partitions(tmp_path: Path) -> None:
    airlines = load_dataset(dataset_folders()["airlines"])
    lake = Lake(Settings.from_env())
    lake.zone("raw").write("airlines/airlines.csv", b"carrier,name\nAA,American\n")
    assert [r.action for r in run_partitions(lake, airlines, ["all"])] == ["published"]
    lake.zone("raw").write("airlines/more.csv", b"carrier,name\nAA,Again\n")
    assert [r.action for r in run_partitions(lake, airlines, ["all"])] == ["refused"]
    with instance_of(lake) as instance:
        record = instance.get_latest_materialization_event(dg.AssetKey(["curated", "airlines"]))
        assert record
