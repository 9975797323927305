"""Freshness: due times, and judgements that are written once whoever looks, and whenever."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lakes import csv, make_dataset, put, run
from promises import promised, watch_from

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.promise import due_at
from lake_pipeline.health.freshness import judge, judged, on_publish
from lake_pipeline.storage import Lake

HOUR = timedelta(hours=1)


def published_at(lake: Lake, dataset: Dataset, partition: str, at: datetime) -> None:
    """Publish a partition; its outcome was written at that time."""
    put(lake, dataset, "a.csv", csv(f"a,1,{partition[:10]}"), partition)
    run(lake, dataset, partition)
    for entry in lake.zone("ops").list(f"outcomes/{dataset.name}"):
        if partition in entry.key:
            os.utime(Path(lake.zone("ops").root) / entry.key, (at.timestamp(), at.timestamp()))


@pytest.mark.parametrize(
    ("by", "zone", "partition", "expected"),
    [
        ("daily", "UTC", "2026-02-25", "2026-02-26T07:30:00+00:00"),
        ("daily", "America/New_York", "2026-02-25", "2026-02-26T12:30:00+00:00"),
        ("daily", "America/New_York", "2026-03-07", "2026-03-08T11:30:00+00:00"),  # clocks went forward
        ("hourly", "UTC", "2026-02-25-23:00", "2026-02-26T07:30:00+00:00"),
        ("monthly", "UTC", "2026-02-01", "2026-03-01T07:30:00+00:00"),
        ("monthly", "Asia/Kolkata", "2026-12-01", "2027-01-01T02:00:00+00:00"),
    ],
)
def test_due(tmp_path: Path, by: str, zone: str, partition: str, expected: str) -> None:
    dataset = promised(tmp_path, zone=zone, partitions={"by": by, "start": "2026-01-01"})
    at = due_at(dataset, partition)
    assert at
    assert at.isoformat() == expected


def test_nothing_is_due_where_nothing_is_promised(lake_folder: Lake, tmp_path: Path) -> None:
    plain = make_dataset(tmp_path / "plain")
    whole = promised(tmp_path, partitions={"by": "none"})
    for dataset, partition in ((plain, "2026-02-25"), (whole, "all")):
        assert due_at(dataset, partition) is None
        assert judge(lake_folder, dataset, datetime(2026, 3, 1, tzinfo=UTC)) == []
        assert on_publish(lake_folder, dataset, [partition], datetime(2026, 3, 1, tzinfo=UTC)) == []


def test_a_minute_late_is_late_for_ever(lake_folder: Lake, tmp_path: Path) -> None:
    dataset = promised(tmp_path)
    watch_from(lake_folder, dataset, datetime(2026, 2, 24, 12, tzinfo=UTC))
    late = datetime(2026, 2, 26, 7, 31, tzinfo=UTC)
    published_at(lake_folder, dataset, "2026-02-24", late - timedelta(days=1, minutes=2))
    published_at(lake_folder, dataset, "2026-02-25", late)
    looked = judge(lake_folder, dataset, late + HOUR)  # nobody looked at 07:30
    assert [(j.partition, j.met) for j in looked] == [("2026-02-23", False), ("2026-02-24", True), ("2026-02-25", False)]  # fmt: skip
    assert judge(lake_folder, dataset, late + HOUR) == []
    kept = judged(lake_folder, dataset)["2026-02-25"]
    assert (kept.met, kept.published) == (False, late.isoformat())
    after = on_publish(lake_folder, dataset, ["2026-02-25"], late + 2 * HOUR)
    assert after == [kept]  # publishing it again does not turn it green


def test_whoever_looks_when_finds_the_same(lake_folder: Lake, tmp_path: Path) -> None:
    dataset = promised(tmp_path)
    watch_from(lake_folder, dataset, datetime(2026, 2, 20, tzinfo=UTC))
    first = judge(lake_folder, dataset, datetime(2026, 2, 22, 7, 30, tzinfo=UTC))
    assert [j.partition for j in first] == [f"2026-02-{d}" for d in (18, 19, 20, 21)]
    rest = judge(lake_folder, dataset, datetime(2026, 2, 25, tzinfo=UTC))
    assert [j.partition for j in rest] == ["2026-02-22", "2026-02-23"]
    assert not any(j.met for j in (*first, *rest))


def test_publishing_before_the_due_time_keeps_the_promise(lake_folder: Lake, tmp_path: Path) -> None:
    dataset = promised(tmp_path)
    early = datetime(2026, 2, 26, 7, 29, tzinfo=UTC)
    watch_from(lake_folder, dataset, early - timedelta(days=3))
    published_at(lake_folder, dataset, "2026-02-25", early)
    (said,) = on_publish(lake_folder, dataset, ["2026-02-25"], early)
    assert said.met
    assert "2026-02-25" not in judged(lake_folder, dataset)  # only time decides
    judge(lake_folder, dataset, early + HOUR)
    assert judged(lake_folder, dataset)["2026-02-25"].met


def test_history_breaks_no_promise(lake_folder: Lake, tmp_path: Path) -> None:
    """A lake that is set up today and loads a year: what was due before is history, but for the last."""
    dataset = promised(tmp_path)
    now = datetime(2026, 6, 10, 12, tzinfo=UTC)
    put(lake_folder, dataset, "a.csv", csv("a,1,2026-02-01"), "2026-02-01")
    run(lake_folder, dataset, "2026-02-01")
    watch_from(lake_folder, dataset, now)
    assert [j.partition for j in judge(lake_folder, dataset, now)] == ["2026-06-09"]
    assert on_publish(lake_folder, dataset, ["2026-02-01"], now) == []


def test_data_that_ended_is_not_waited_for(lake_folder: Lake, tmp_path: Path) -> None:
    spec = {"by": "daily", "start": "2026-01-01", "end": "2026-02-26"}
    dataset = promised(tmp_path, partitions=spec)
    watch_from(lake_folder, dataset, datetime(2026, 2, 25, tzinfo=UTC))
    found = judge(lake_folder, dataset, datetime(2026, 4, 1, tzinfo=UTC))
    assert [j.partition for j in found] == [f"2026-02-{d}" for d in (23, 24, 25)]


def test_the_first_look_is_kept(lake_root: Lake, tmp_path: Path) -> None:
    dataset = promised(tmp_path)
    now = datetime.now(UTC)
    assert judge(lake_root, dataset, now) == []  # nothing of it has come yet: it is not waited for
    put(lake_root, dataset, "a.csv", csv("a,1,2026-03-01"), "2026-03-01")
    run(lake_root, dataset, "2026-03-01")
    judge(lake_root, dataset, now + timedelta(days=3))
    body = lake_root.zone("ops").read("freshness/sales/since.json")
    since = datetime.fromisoformat(json.loads(body)["since"])
    assert abs(since - now) < timedelta(minutes=10)  # of the manifest, not of the look three days later
    judge(lake_root, dataset, now + timedelta(days=30))
    assert lake_root.zone("ops").read("freshness/sales/since.json") == body
