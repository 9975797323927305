"""Through Dagster: hours that clocks show twice are run and recorded; and an unforeseen error is of its partition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import (
    AssetPartitionStatus,
    get_and_update_asset_status_cache_value,
)
from lakes import check_law, csv, make_dataset, put

from lake_pipeline.cli.dagster_run import instance_of, run_partitions
from lake_pipeline.components.definitions import partitions_definition
from lake_pipeline.datasets import Dataset
from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

AUTUMN = {
    "Europe/Berlin": ["2025-10-26-01:00", "2025-10-26-02:00", "2025-10-26-03:00"],
    "America/New_York": ["2025-11-02-00:00", "2025-11-02-01:00", "2025-11-02-02:00"],
    "Australia/Lord_Howe": ["2025-04-06-01:00", "2025-04-06-02:00", "2025-10-05-02:00", "2025-10-05-03:00"],
}


@pytest.fixture
def store(sales: Dataset) -> Lake:
    """The lake of the test's environment."""
    return Lake(Settings.from_env())


def shown(lake: Lake, dataset: Dataset, status: AssetPartitionStatus) -> set[str]:
    """The partitions of curated that Dagster shows so."""
    definition = partitions_definition(dataset)
    with instance_of(lake) as instance:
        value = get_and_update_asset_status_cache_value(
            instance, dg.AssetKey(["curated", dataset.name]), definition
        )
    assert value is not None and definition is not None
    of: dict[Any, Any] = {
        AssetPartitionStatus.MATERIALIZED: value.deserialize_materialized_partition_subsets(definition),
        AssetPartitionStatus.FAILED: value.deserialize_failed_partition_subsets(definition),
    }
    return set(of[status].get_partition_keys())


@pytest.mark.parametrize("zone", AUTUMN)
def test_hours_around_a_change_of_clocks_are_one_range(store: Lake, tmp_path: Path, zone: str) -> None:
    by = {"by": "hourly", "start": "2025-01-01", "end": "2026-01-01", "timezone": zone}
    sales = make_dataset(tmp_path / "defs", "hourly", partitions=by)
    for key in AUTUMN[zone]:
        put(store, sales, "a.csv", csv(f"{key},1,2026-03-01"), key)
    ran = run_partitions(store, sales, AUTUMN[zone])
    assert {r.partition: (r.action, r.error) for r in ran} == dict.fromkeys(AUTUMN[zone], ("published", ""))
    assert shown(store, sales, AssetPartitionStatus.MATERIALIZED) == set(AUTUMN[zone])
    assert check_law(store, sales).values() == AUTUMN[zone]


def test_an_unforeseen_error_is_of_its_partition(
    store: Lake, sales: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = ["2026-03-01", "2026-03-02", "2026-03-03"]
    for day in days:
        put(store, sales, "a.csv", csv(f"{'odd' if day == days[1] else day},1,2026-03-01"), day)
    real = DuckDB.validate

    def validate(self: DuckDB, part: Any, rules: Any) -> Any:
        for path in [part.pack] if part.pack else [f.path for f in part.files]:
            with path.open("rb") as text:
                if b"odd" in text.read():
                    raise MemoryError("a defect")
        return real(self, part, rules)

    with monkeypatch.context() as patched:
        patched.setattr(DuckDB, "validate", validate)
        first, second, third = run_partitions(store, sales, days)
    assert [r.action for r in (first, second, third)] == ["published", "failed", "published"]
    assert "02/a.csv" in second.error and "MemoryError: a defect" in second.error
    assert shown(store, sales, AssetPartitionStatus.MATERIALIZED) == {days[0], days[2]}
    assert shown(store, sales, AssetPartitionStatus.FAILED) == {days[1]}
    assert [r.action for r in run_partitions(store, sales, [days[1]])] == ["published"]
