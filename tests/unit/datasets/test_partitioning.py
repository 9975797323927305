"""Partition keys and the path template."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake_pipeline.datasets.config import Partitions
from lake_pipeline.datasets.partitioning import (
    Placement,
    Template,
    check_key,
    following,
    keys_between,
    misfit,
    runs_of,
)
from lake_pipeline.errors import UsageError

DAILY = Template("orders/{yyyy}/{mm}/{dd}/", "daily")
HOURLY = Template("orders/{yyyy}{mm}{dd}T{hh}/", "hourly")
MONTHLY = Template("landing/orders-{yyyy}-{mm}/*.csv", "monthly")
NONE = Template("ref/airlines/", "none")
DATED = Template("w/{yyyy}/{mm}/{dd}/w_{yyyy}{mm}{dd}.csv", "daily")


@pytest.mark.parametrize(
    ("template", "key", "partition"),
    [
        (DAILY, "orders/2026/02/25/a.csv", "2026-02-25"),
        (DAILY, "orders/2026/02/25/sub/a b+%=é.csv", "2026-02-25"),
        (DAILY, "orders/2026/02/25/a\nb.csv", "2026-02-25"),
        (DAILY, "orders/2024/02/29/a.csv", "2024-02-29"),
        (DAILY, "orders/2026/2/25/a.csv", None),
        (DAILY, "orders/2026/02/25/", None),
        (DAILY, "orders/2026/02/25", None),
        (DAILY, "x/orders/2026/02/25/a.csv", None),
        (DAILY, "orders_eu/2026/02/25/a.csv", None),
        (DAILY, "orders/２０２６/02/25/a.csv", None),
        (HOURLY, "orders/20260225T07/a.csv", "2026-02-25-07:00"),
        (MONTHLY, "landing/orders-2026-02/a.csv", "2026-02-01"),
        (MONTHLY, "landing/orders-2026-02/sub/a.csv", None),
        (MONTHLY, "landing/orders-2026-02/a.csv.gz", None),
        (MONTHLY, "landing/orders-2026-02/.csv", "2026-02-01"),
        (NONE, "ref/airlines/airlines.csv", "all"),
        (NONE, "ref/airlines/2013/x", "all"),
        (DATED, "w/2026/02/25/w_20260225.csv", "2026-02-25"),
        (DATED, "w/2026/02/25/other.csv", None),
    ],
)
def test_place(template: Template, key: str, partition: str | None) -> None:
    assert template.place(key) == (None if partition is None else Placement(partition))


def test_a_name_that_contradicts_its_folder() -> None:
    found = DATED.place("w/2026/02/25/w_20260226.csv")
    assert found == Placement("2026-02-25", 'its folder says 2026-02-25, its file name has "26"')


@pytest.mark.parametrize("date", ["2026/02/30", "2026/13/01", "2026/00/10", "0000/01/01"])
def test_a_date_that_does_not_exist(date: str) -> None:
    found = DAILY.place(f"orders/{date}/a.csv")
    assert found is not None
    assert found.partition == date.replace("/", "-"), "named, so that it can be shown"
    assert "no possible date" in str(found.mismatch)


def test_an_hour_that_does_not_exist() -> None:
    found = HOURLY.place("orders/20260225T24/a.csv")
    assert found is not None
    assert (found.partition, bool(found.mismatch)) == ("2026-02-25-24", True)


@pytest.mark.parametrize(
    ("template", "partition", "key"),
    [
        (DAILY, "2026-02-25", "orders/2026/02/25/a b.csv"),
        (HOURLY, "2026-02-25-07:00", "orders/20260225T07/a b.csv"),
        (MONTHLY, "2026-02-01", "landing/orders-2026-02/a b.csv"),
        (NONE, "all", "ref/airlines/a b.csv"),
        (DATED, "2026-02-25", "w/2026/02/25/w_20260225.csv"),
        (Template("{yyyy}-{mm}-{dd}/", "daily"), "2013-01-02", "2013-01-02/a b.csv"),
    ],
)
def test_fill_and_place_agree(template: Template, partition: str, key: str) -> None:
    assert template.fill(partition, "a b.csv") == key
    assert template.place(key) == Placement(partition)


@pytest.mark.parametrize(
    ("text", "by", "message"),
    [
        ("orders/{yyyy}/{mm}/", "daily", "lacks {dd}, which daily partitions need"),
        ("orders/", "monthly", "lacks {yyyy}"),
        ("orders/{yyyy}/{mm}/{dd}/", "monthly", "has {dd}, which monthly partitions do not have"),
        ("orders/{yyyy}/", "none", "has {yyyy}"),
        ("orders/{year}/", "none", "{year} is no placeholder"),
        ("orders/{}/", "none", "{} is no placeholder"),
        ("/orders/", "none", "below the raw zone"),
        ("orders/../x/", "none", "below the raw zone"),
        ("../orders/", "none", "below the raw zone"),
    ],
)
def test_template_errors(text: str, by: str, message: str) -> None:
    with pytest.raises(UsageError) as e:
        Template(text, by)
    assert message in str(e.value)


def test_prefix() -> None:
    templates = (DAILY, HOURLY, MONTHLY, NONE, DATED, Template("{yyyy}/{mm}/", "monthly"))
    assert [t.prefix for t in templates] == ["orders", "orders", "landing", "ref/airlines", "w", ""]


START = {"start": "2013-01-01"}
BY = {b: Partitions(by=b, **START) for b in ("monthly", "daily", "hourly")}


@pytest.mark.parametrize(
    ("by", "given_key", "key"),
    [
        ("daily", "2013-11-03", "2013-11-03"),
        ("daily", "2013-1-2", "2013-01-02"),
        ("monthly", "2013-11-03", "2013-11-01"),
        ("hourly", "2013-11-03-14:00", "2013-11-03-14:00"),
        ("hourly", "2013-11-03-14:30", "2013-11-03-14:00"),
        ("monthly", "2013-01-01", "2013-01-01"),
    ],
)
def test_check_key(by: str, given_key: str, key: str) -> None:
    assert check_key(BY[by], given_key) == key


@pytest.mark.parametrize(
    ("partitions", "key", "message"),
    [
        (BY["daily"], "2013-02-30", 'write it like "2013-01-01"'),
        (BY["hourly"], "2013-11-03", 'write it like "2013-01-01-00:00"'),
        (BY["daily"], "2012-12-31", "before the first partition"),
        (BY["daily"], "all", "no daily partition"),
        (Partitions(), "2013-01-01", "has no partitions"),
        (
            Partitions(by="daily", start="2013-01-01", end="2014-01-01"),
            "2014-01-01",
            "ends before 2014-01-01",
        ),
    ],
)
def test_check_key_errors(partitions: Partitions, key: str, message: str) -> None:
    with pytest.raises(UsageError) as e:
        check_key(partitions, key)
    assert message in str(e.value)


def test_monthly_with_a_start_within_a_month() -> None:
    partitions = Partitions(by="monthly", start="2013-01-15")
    assert keys_between(partitions, "2013-02-01", "2013-03-01") == ["2013-02-01", "2013-03-01"]


def test_keys_between() -> None:
    assert keys_between(BY["monthly"], "2013-11-01", "2014-02-01") == [
        *("2013-11-01", "2013-12-01", "2014-01-01", "2014-02-01"),
    ]
    assert len(keys_between(BY["daily"], "2016-01-01", "2016-12-31")) == 366
    hours = keys_between(BY["hourly"], "2013-11-02-23:00", "2013-11-03-01:00")
    assert hours == ["2013-11-02-23:00", "2013-11-03-00:00", "2013-11-03-01:00"]
    assert keys_between(BY["daily"], "2013-01-02", "2013-01-01") == []


def test_runs_of() -> None:
    keys = ["2013-11-05", "2013-11-01", "2013-11-02", "2013-11-02", "2013-11-30", "2013-12-01"]
    assert runs_of(BY["daily"], keys) == [
        ["2013-11-01", "2013-11-02"],
        ["2013-11-05"],
        ["2013-11-30", "2013-12-01"],
    ]
    assert runs_of(Partitions(), ["all"]) == [["all"]]
    assert runs_of(BY["daily"], []) == []


@given(st.datetimes().map(lambda d: d.replace(year=max(d.year, 2013))), st.sampled_from(sorted(BY)))
@settings(max_examples=100, derandomize=True, database=None)
def test_windows_follow_one_another_without_gaps(moment: object, by: str) -> None:
    formats = {"monthly": "%Y-%m-%d", "daily": "%Y-%m-%d", "hourly": "%Y-%m-%d-%H:%M"}
    if moment.year == 9999:  # type: ignore[attr-defined]
        return
    key = check_key(BY[by], moment.strftime(formats[by]))  # type: ignore[attr-defined]
    after = following(BY[by], key)
    assert after > key
    assert runs_of(BY[by], [after, key]) == [[key, after]]


def test_an_hour_that_clocks_skip_is_no_partition() -> None:
    """Dagster has none of that name: what landed there would wait for ever."""
    berlin = Partitions(by="hourly", start="2026-01-01", timezone="Europe/Berlin")
    with pytest.raises(UsageError, match="clocks went forward"):
        check_key(berlin, "2026-03-29-02:00")
    assert misfit(berlin, "2026-03-29-02:00")
    assert keys_between(berlin, "2026-03-29-01:00", "2026-03-29-04:00") == [
        *("2026-03-29-01:00", "2026-03-29-03:00", "2026-03-29-04:00"),
    ]
    assert runs_of(berlin, ["2026-03-29-01:00", "2026-03-29-03:00"]) == [
        ["2026-03-29-01:00", "2026-03-29-03:00"]
    ]
    assert check_key(berlin, "2026-10-25-02:00") == "2026-10-25-02:00"
    assert check_key(Partitions(by="hourly", start="2026-01-01"), "2026-03-29-02:00") == "2026-03-29-02:00"
