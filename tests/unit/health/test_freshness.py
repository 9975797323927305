"""Freshness: due times, and judgements that are written once whoever looks, and whenever."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from lakes import csv, make_dataset, put, run
from promises import promised, watch_from

from lake_pipeline.contracts import ContractError
from lake_pipeline.datasets import Dataset, load_dataset
from lake_pipeline.datasets.loading import SHIPPED
from lake_pipeline.datasets.promise import due_again, due_at
from lake_pipeline.health.freshness import judge, judged, on_publish, until_next
from lake_pipeline.health.telling import tell_freshness
from lake_pipeline.storage import Lake, ObjectStore

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
    put(lake_root, dataset, "a.csv", csv("a,1,2026-03-01"), "2026-03-01")
    run(lake_root, dataset, "2026-03-01")
    judge(lake_root, dataset, now + timedelta(days=3))
    body = lake_root.zone("ops").read("freshness/sales/since.json")
    since = datetime.fromisoformat(json.loads(body)["since"])
    assert abs(since - now) < timedelta(minutes=10)  # of the manifest, not of the look three days later
    judge(lake_root, dataset, now + timedelta(days=30))
    assert lake_root.zone("ops").read("freshness/sales/since.json") == body


def recurring(folder: Path, number: object, unit: str, at: str = "") -> Dataset:
    """A dataset without partitions that is to be published every so often."""
    made = make_dataset(folder / "defs", partitions={"by": "none"}, landing="sales/").folder
    contract = yaml.safe_load((made / "contract.yaml").read_text())
    contract["slaProperties"] = [{"property": "frequency", "value": number, "unit": unit}]
    if at:
        contract["slaProperties"].append({"property": "timeOfAvailability", "value": at, "valueExt": "UTC"})
    (made / "contract.yaml").write_text(yaml.safe_dump(contract))
    return load_dataset(made)


@pytest.mark.parametrize(
    ("number", "unit", "at", "expected"),
    [
        (1, "d", "", "2026-03-02T09:00:00+00:00"),
        (1, "day", "07:30", "2026-03-02T07:30:00+00:00"),
        (6, "h", "07:30", "2026-03-01T15:00:00+00:00"),  # the time of day is for days
        (0.5, "hours", "", "2026-03-01T09:30:00+00:00"),
        (1, "month", "07:30", "2026-04-01T07:30:00+00:00"),
    ],
)
def test_due_again(tmp_path: Path, number: float, unit: str, at: str, expected: str) -> None:
    due = due_again(recurring(tmp_path, number, unit, at), datetime(2026, 3, 1, 9, tzinfo=UTC))
    assert due
    assert due.isoformat() == expected


@pytest.mark.parametrize(("number", "unit"), [("often", "d"), (1, "fortnight"), (0, "d"), (-1, "d")])
def test_a_frequency_that_says_nothing_is_a_problem_of_the_contract(
    tmp_path: Path, number: object, unit: str
) -> None:
    with pytest.raises(ContractError, match="frequency"):
        recurring(tmp_path, number, unit)


def test_a_whole_dataset_that_is_not_published_again_is_missed(lake_folder: Lake, tmp_path: Path) -> None:
    dataset = recurring(tmp_path, 1, "d", "07:30")
    first = datetime(2026, 3, 1, 6, tzinfo=UTC)
    due = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)

    def publish(name: str, at: datetime) -> None:
        put(lake_folder, dataset, name, csv(f"{name},1,2026-03-01"), "all")
        run(lake_folder, dataset, "all")
        newest = max(o.key for o in lake_folder.zone("ops").list("outcomes/sales"))
        os.utime(Path(lake_folder.zone("ops").root) / newest, (at.timestamp(), at.timestamp()))

    publish("a.csv", first)
    assert judge(lake_folder, dataset, due) == []
    (missed,) = judge(lake_folder, dataset, due + HOUR)
    assert (missed.due, missed.met, missed.published) == (due.isoformat(), False, "")
    assert judge(lake_folder, dataset, due + 2 * HOUR) == []  # told once
    assert until_next(lake_folder, dataset, due).met
    overdue = until_next(lake_folder, dataset, due + 2 * HOUR)  # also where a run found nothing to publish
    assert (overdue.met, overdue.published) == (False, "")
    publish("b.csv", due + 3 * HOUR)
    assert on_publish(lake_folder, dataset, ["all"], due + 3 * HOUR) == []  # missed it for ever
    publish("c.csv", due + 20 * HOUR)
    (met,) = on_publish(lake_folder, dataset, ["all"], due + 20 * HOUR)
    assert (met.met, met.due) == (True, (due + timedelta(days=1)).isoformat())
    assert [j.met for j in judged(lake_folder, dataset).values()] == [False, True]


def test_a_producer_that_never_delivers_is_missed(lake_folder: Lake, tmp_path: Path) -> None:
    """No file ever came: the promise holds from when somebody looked first, and what was due before is not missed."""
    dataset, at = promised(tmp_path), datetime(2026, 2, 25, 12, tzinfo=UTC)
    assert judge(lake_folder, dataset, at) == []
    assert judge(lake_folder, dataset, datetime(2026, 2, 26, 7, 30, tzinfo=UTC) - HOUR) == []
    (missed,) = judge(lake_folder, dataset, datetime(2026, 2, 26, 7, 31, tzinfo=UTC))
    assert (missed.partition, missed.met, missed.published) == ("2026-02-25", False, "")
    headlines: list[str] = []
    tell_freshness(lake_folder, dataset, [missed], at, lambda m: headlines.append(m.subject))
    assert headlines == ["sales for 2026-02-25 not available by 07:30; nothing is published yet"]
    assert judge(lake_folder, load_dataset(SHIPPED / "orders"), at + timedelta(days=9)) == []  # an example


def test_a_whole_dataset_that_never_came_is_missed(lake_folder: Lake, tmp_path: Path) -> None:
    dataset, at = recurring(tmp_path, 1, "d"), datetime(2026, 2, 25, 12, tzinfo=UTC)
    assert judge(lake_folder, dataset, at) == []
    (missed,) = judge(lake_folder, dataset, at + timedelta(days=1, minutes=1))
    headlines: list[str] = []
    tell_freshness(lake_folder, dataset, [missed], at, lambda m: headlines.append(m.subject))
    assert headlines == [f"sales not published again by {missed.due}; nothing is published yet"]


def test_a_look_reads_no_judgement_that_was_made_before(
    lake_folder: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = promised(tmp_path)
    watch_from(lake_folder, dataset, datetime(2026, 1, 2, tzinfo=UTC))
    later = datetime(2026, 3, 2, tzinfo=UTC)
    assert len(judge(lake_folder, dataset, later)) > 50
    read: list[str] = []
    real = ObjectStore.read

    def reads(store: ObjectStore, key: str) -> bytes:
        read.append(key)
        return real(store, key)

    monkeypatch.setattr(ObjectStore, "read", reads)
    assert judge(lake_folder, dataset, later) == []
    assert len(judge(lake_folder, dataset, later + timedelta(days=1))) == 1
    assert len(read) < 5
