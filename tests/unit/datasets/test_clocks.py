"""Dagster's hourly partitions and the project's are the same ones, through every change of a time zone's clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from lakes import DAILY, make_dataset

from lake_pipeline.components.definitions import partitions_definition
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import check_key, keys_between, misfit, runs_of
from lake_pipeline.errors import UsageError

ZONES = {
    "UTC": 0,
    "Europe/Berlin": 1,
    "America/New_York": 1,
    "Australia/Lord_Howe": 0,
}  # hours that clocks never show
FIRST, LAST = datetime(2025, 1, 1), datetime(2026, 1, 1)


def hourly(tmp_path: Path, zone: str, **more: Any) -> Dataset:
    by = {"by": "hourly", "start": "2025-01-01", "end": "2026-01-01", "timezone": zone, **more}
    return make_dataset(tmp_path, partitions=by)


def defined(dataset: Dataset) -> dg.TimeWindowPartitionsDefinition:
    found = partitions_definition(dataset)
    assert isinstance(found, dg.TimeWindowPartitionsDefinition)
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_every_key_of_dagster_is_one_of_the_project_and_the_reverse(tmp_path: Path, zone: str) -> None:
    dataset = hourly(tmp_path, zone)
    spec, definition = dataset.config.partitions, defined(dataset)
    keys = list(definition.get_partition_keys())
    assert len(keys) == 365 * 24 - ZONES[zone]
    assert keys == keys_between(spec, keys[0], keys[-1])
    assert [check_key(spec, k) for k in keys] == keys
    assert runs_of(spec, keys) == [keys], "a range of Dagster's is a run of ours"
    assert all(definition.has_partition_key(k) for k in keys)
    whole = dg.PartitionKeyRange(keys[0], keys[-1])
    assert list(definition.get_partition_keys_in_range(whole)) == keys
    assert list(definition.subset_with_partition_keys(keys).get_partition_keys()) == keys


@pytest.mark.parametrize("zone", ZONES)
def test_every_landing_path_is_of_one_key_and_every_key_has_one(tmp_path: Path, zone: str) -> None:
    dataset = hourly(tmp_path, zone)
    spec, keys = dataset.config.partitions, set(defined(dataset).get_partition_keys())
    paths = [dataset.template.fill(k, "a.csv") for k in sorted(keys)]
    assert len(set(paths)) == len(keys)
    found = set()
    for n in range(365 * 24):
        path = f"{FIRST + timedelta(hours=n):sales/%Y/%m/%d/%H/a.csv}"
        placement = dataset.template.place(path)
        assert placement is not None and placement.mismatch is None
        if placement.partition in keys:
            found.add(placement.partition)
            assert dataset.template.fill(placement.partition, "a.csv") == path
        else:
            assert "does not exist" in misfit(spec, placement.partition)
    assert found == keys


@pytest.mark.parametrize("zone", ZONES)
def test_every_moment_of_a_year_lies_in_a_partition(tmp_path: Path, zone: str) -> None:
    keys = set(defined(hourly(tmp_path, zone)).get_partition_keys())
    moment, seen = FIRST.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC), set()
    while (local := moment.astimezone(ZoneInfo(zone))).replace(tzinfo=None) < LAST:
        seen.add(f"{local:%Y-%m-%d-%H:00}")
        moment += timedelta(minutes=15)
    assert seen == keys


@pytest.mark.parametrize("zone", ZONES)
def test_a_definition_without_an_end_has_them_too(tmp_path: Path, zone: str) -> None:
    dataset = hourly(tmp_path, zone, start="2023-01-01", end="")
    keys = list(defined(dataset).get_partition_keys())
    assert keys == keys_between(dataset.config.partitions, keys[0], keys[-1])


def test_the_second_of_two_hours_is_no_key(tmp_path: Path) -> None:
    dataset = hourly(tmp_path, "Europe/Berlin")
    second = "2025-10-26-02:00+0100"
    assert not defined(dataset).has_partition_key(second)
    assert "no hourly partition" in misfit(dataset.config.partitions, second)
    with pytest.raises(UsageError, match="write it like"):
        dataset.template.fill(second, "a.csv")


def test_days_are_days_in_every_zone(tmp_path: Path) -> None:
    for zone in ZONES:
        dataset = make_dataset(
            tmp_path, partitions={**DAILY, "start": "2025-01-01", "end": "2026-01-01", "timezone": zone}
        )
        keys = list(defined(dataset).get_partition_keys())
        assert len(keys) == 365
        assert keys == keys_between(dataset.config.partitions, keys[0], keys[-1])
