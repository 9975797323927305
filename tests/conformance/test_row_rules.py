"""Every row reason code, from real files: its code, column, value and sentence."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal as D
from typing import Any

import pytest

from lake_pipeline.contracts import (
    Array,
    Boolean,
    Column,
    Date,
    Decimal,
    Integer,
    Number,
    Object,
    String,
    Timestamp,
)
from lake_pipeline.datasets.config import Csv, Jsonl, Partitions

JSONL = Jsonl(type="jsonl")
QUOTED = Csv(nulls=("", "NA"))

# column, texts that hold, text that does not, code, message
RULES: list[tuple[Column, tuple[str, ...], str, str, str]] = [
    (Column("v", String(), required=True), ("x",), "", "REQUIRED_NULL", "a value is required"),
    (Column("v", Integer(), required=True), ("0",), "NA", "REQUIRED_NULL", "a value is required"),
    (Column("v", String(), enum=("USD", "EUR")), ("USD", ""), "usd", "NOT_ALLOWED", "allowed are USD, EUR"),
    (Column("v", String(), enum=("it's", 'a"b')), ("it's",), "its", "NOT_ALLOWED", "allowed are it's, a\"b"),
    (Column("v", Integer(), enum=(1, 12)), ("1", "+12", ""), "2", "NOT_ALLOWED", "allowed are 1, 12"),
    (Column("v", Number(), enum=(0.5, 2)), (".5", "2.0"), "0.51", "NOT_ALLOWED", "allowed are 0.5, 2"),
    (
        *(Column("v", Decimal(5, 2), enum=(D("0.10"), D(1))), ("0.1", "1.00"), "0.11"),
        *("NOT_ALLOWED", "allowed are 0.10, 1"),
    ),
    (
        *(Column("v", Date(), enum=(date(2026, 1, 1),)), ("2026-01-01",), "2026-01-02"),
        *("NOT_ALLOWED", "allowed are 2026-01-01"),
    ),
    (Column("v", Integer(), minimum=0), ("0", "9"), "-1", "OUT_OF_RANGE", "must be at least 0"),
    (
        Column("v", Integer(), maximum=2**62),
        (str(2**62),),
        str(2**62 + 1),
        "OUT_OF_RANGE",
        f"must be at most {2**62}",
    ),
    (Column("v", Number(), exclusive_minimum=0), ("1e-300",), "0", "OUT_OF_RANGE", "must be greater than 0"),
    (Column("v", Number(), exclusive_maximum=0.3), ("0.29",), "0.3", "OUT_OF_RANGE", "must be less than 0.3"),
    (
        *(Column("v", Decimal(10, 2), minimum=D("0.01")), ("0.01", "99999999.99"), "0.00"),
        *("OUT_OF_RANGE", "must be at least 0.01"),
    ),
    (
        *(Column("v", Decimal(38, 2), maximum=D("9" * 36 + ".98")), ("9" * 36 + ".98",), "9" * 36 + ".99"),
        *("OUT_OF_RANGE", "must be at most " + "9" * 36 + ".98"),
    ),
    (
        *(Column("v", Decimal(38, 38), maximum=D(1), minimum=D("0.5")), (".5", "0." + "9" * 38), "0.4"),
        *("OUT_OF_RANGE", "must be at least 0.5"),
    ),
    (
        *(Column("v", Date(), minimum=date(2026, 1, 1)), ("2026-01-01",), "2025-12-31"),
        *("OUT_OF_RANGE", "must be at least 2026-01-01"),
    ),
    (
        *(Column("v", Timestamp(timezone="America/New_York"), maximum=datetime(2026, 1, 1, 5, tzinfo=UTC)),),
        *(("2026-01-01T00:00:00", "2026-01-01T05:00:00Z"), "2026-01-01T00:00:01"),
        *("OUT_OF_RANGE", "must be at most 2026-01-01 05:00:00+00:00"),
    ),
    (
        Column("v", String(), pattern="^N[0-9]{3}$"),
        ("N123", ""),
        "N12",
        "PATTERN_MISMATCH",
        "must match ^N[0-9]{3}$",
    ),
    (Column("v", String(), pattern=r"'|\d"), ("x'", "7"), "x", "PATTERN_MISMATCH", r"must match '|\d"),
    (Column("v", String(), pattern="é"), ("café",), "cafe", "PATTERN_MISMATCH", "must match é"),
    (
        *(Column("v", String(), min_length=2), ("ab", "éé"), "é"),
        *("LENGTH_OUT_OF_RANGE", "must have at least 2 characters"),
    ),
    (
        *(Column("v", String(), max_length=2), ("ab", "🛩🛩", ""), "abc"),
        *("LENGTH_OUT_OF_RANGE", "must have at most 2 characters"),
    ),
    (Column("v", Boolean()), ("true", ""), "maybe", "CAST_FAILED", "not a valid boolean"),
]


def field(text: str) -> str:
    """A CSV field."""
    return '"' + text.replace('"', '""') + '"'


@pytest.mark.parametrize("rule", RULES, ids=lambda r: f"{r[3]}-{r[0].type}")
def test_rule(judge: Any, rule: tuple[Column, tuple[str, ...], str, str, str]) -> None:
    column, holding, failing, code, message = rule
    lines = ["v,w", *(f"{field(text)},x" for text in (*holding, failing))]
    seen = judge(QUOTED, (column,), "\n".join(lines) + "\n", names=("v", "w"), extra=("w",))
    assert sorted(seen.good) == list(range(1, len(holding) + 1)), dict(seen.rejects)
    value = None if failing in QUOTED.nulls else failing
    (reason,) = seen.rejects[len(holding) + 1]["reasons"]
    assert reason == {"code": code, "column": "v", "value": value, "message": message}
    assert all(row["w"] == "x" for row in seen.good.values()), "extra columns are kept"


def test_a_row_with_three_faults_has_three_reasons(judge: Any) -> None:
    columns = (
        Column("id", String(), required=True),
        Column("amount", Decimal(10, 2)),
        Column("currency", String(), enum=("USD",), max_length=3, pattern="^[A-Z]+$"),
    )
    seen = judge(Csv(), columns, "id,amount,currency\n,N/A,euro\n1,2,USD\n")
    assert seen.reasons(1) == [
        ("REQUIRED_NULL", "id"),
        ("CAST_FAILED", "amount"),
        ("NOT_ALLOWED", "currency"),
        ("PATTERN_MISMATCH", "currency"),
        ("LENGTH_OUT_OF_RANGE", "currency"),
    ]
    assert [r["value"] for r in seen.rejects[1]["reasons"]] == [None, "N/A", "euro", "euro", "euro"]
    assert json.loads(seen.rejects[1]["original"]) == {"id": None, "amount": "N/A", "currency": "euro"}
    assert sorted(seen.good) == [2]
    assert seen.result.counts == {"source-1": (1, 1)}


def test_a_required_value_that_cannot_be_cast_has_one_reason(judge: Any) -> None:
    seen = judge(Csv(), (Column("n", Integer(), required=True, minimum=0),), "n\nx\n")
    assert seen.reasons(1) == [("CAST_FAILED", "n")]


def test_a_long_value_is_cut_in_the_reason_and_whole_in_the_original(judge: Any) -> None:
    seen = judge(Csv(), (Column("n", Integer()),), "n\n" + "x" * 5000 + "\n")
    assert seen.rejects[1]["reasons"][0]["value"] == "x" * 1000
    assert json.loads(seen.rejects[1]["original"]) == {"n": "x" * 5000}


def test_optional_columns_may_be_absent(judge: Any) -> None:
    columns = (Column("a", Integer()), Column("b", Timestamp()), Column("c", Array(String())))
    seen = judge(Csv(), columns, "a\n1\n", names=("a",))
    assert {k: seen.good[1][k] for k in "abc"} == {"a": 1, "b": None, "c": None}


def test_counts_of_coerced_values_by_column(judge: Any) -> None:
    columns = (Column("a", Integer()), Column('q"uo.te', Integer()), Column("$x/y~", Boolean()))
    lines = ['a,"q""uo.te",$x/y~', "1,1,true", " 1,1,TRUE", " 1, 1,", "x, 1,yes"]
    seen = judge(Csv(), columns, "\n".join(lines) + "\n")
    assert seen.result.coerced == {"source-1": {"a": 2, 'q"uo.te': 1, "$x/y~": 1}}
    assert [json.loads(seen.good[n]["_rescued"] or "{}") for n in (1, 2, 3)] == [
        {},
        {"a": " 1", 'q"uo.te': None, "$x/y~": "TRUE"},
        {"a": " 1", 'q"uo.te': " 1", "$x/y~": None},
    ]


def test_originals_of_columns_with_unknown_fields_are_kept(judge: Any) -> None:
    columns = (Column("o", Object((Column("a", Integer()),))), Column("n", Integer()))
    text = '{"o": {"a": 1, "b": 2}, "n": 1}\n{"o": null, "n": 2}\n'
    seen = judge(JSONL, columns, text, keep_original=("o",))
    assert seen.good[1]["o"] == {"a": 1}
    assert json.loads(json.loads(seen.good[1]["_rescued"])["o"]) == {"a": 1, "b": 2}
    assert seen.good[2]["_rescued"] is None


ADDRESS = Column(
    "address",
    Object(
        (
            Column("zip", Integer(), required=True, minimum=1000),
            Column("country", String(), enum=("IT", "FR")),
            Column("geo", Object((Column("lat", Number(), required=True, minimum=-90, maximum=90),))),
        )
    ),
)
NESTED = [
    ('{"zip": 1000, "country": "IT", "geo": {"lat": 90}}', []),
    ('{"zip": 1000}', []),
    ("null", []),
    ("{}", [("REQUIRED_NULL", "address.zip", None, "a value is required")]),
    ('{"zip": null, "geo": null}', [("REQUIRED_NULL", "address.zip", None, "a value is required")]),
    (
        '{"zip": 999, "country": "it", "geo": {}}',
        [
            ("OUT_OF_RANGE", "address.zip", "999", "must be at least 1000"),
            ("NOT_ALLOWED", "address.country", "it", "allowed are IT, FR"),
            ("REQUIRED_NULL", "address.geo.lat", None, "a value is required"),
        ],
    ),
    (
        '{"zip": 1000, "geo": {"lat": -90.5}}',
        [("OUT_OF_RANGE", "address.geo.lat", "-90.5", "must be at least -90")],
    ),
]


@pytest.mark.parametrize(("text", "expected"), NESTED)
def test_rules_of_fields_within_objects(judge: Any, text: str, expected: list[tuple[str, ...]]) -> None:
    seen = judge(JSONL, (ADDRESS,), f'{{"address": {text}}}\n')
    found = [
        tuple(r[k] for k in ("code", "column", "value", "message"))
        for _, row in seen.rejects.items()
        for r in row["reasons"]
    ]
    assert found == expected


def test_a_required_object(judge: Any) -> None:
    seen = judge(JSONL, (Column("o", ADDRESS.type, required=True),), '{"o": null}\n{}\n{"o": {"zip": 1}}\n')
    assert [seen.reasons(n) for n in (1, 2, 3)] == [
        [("REQUIRED_NULL", "o")],
        [("REQUIRED_NULL", "o")],
        [("OUT_OF_RANGE", "o.zip")],
    ]


NEW_YORK = "America/New_York"
# by, zone, partition, texts inside, texts outside
WINDOWS = [
    ("daily", "UTC", "2026-02-25", ["2026-02-25T00:00:00Z", "2026-02-25T23:59:59.999999Z", "2026-02-26T01:00:00+02:00"],
     ["2026-02-24T23:59:59.999999Z", "2026-02-26T00:00:00Z", "2026-02-25T00:00:00+01:00"]),
    ("daily", NEW_YORK, "2026-02-25", ["2026-02-25T05:00:00Z", "2026-02-26T04:59:59Z"],
     ["2026-02-25T04:59:59Z", "2026-02-26T05:00:00Z"]),
    ("daily", NEW_YORK, "2026-03-08", ["2026-03-08T05:00:00Z", "2026-03-09T03:59:59Z"],
     ["2026-03-08T04:59:59Z", "2026-03-09T04:00:00Z"]),
    ("daily", NEW_YORK, "2026-11-01", ["2026-11-01T04:00:00Z", "2026-11-02T04:59:59Z"],
     ["2026-11-01T03:59:59Z", "2026-11-02T05:00:00Z"]),
    ("monthly", "UTC", "2026-02-01", ["2026-02-01T00:00:00Z", "2026-02-28T23:59:59Z"],
     ["2026-01-31T23:59:59Z", "2026-03-01T00:00:00Z", "2025-02-01T00:00:00Z"]),
    ("monthly", NEW_YORK, "2026-02-01", ["2026-02-01T05:00:00Z", "2026-03-01T04:59:59Z"],
     ["2026-02-01T04:59:59Z", "2026-03-01T05:00:00Z"]),
    ("hourly", "UTC", "2026-02-25-07:00", ["2026-02-25T07:00:00Z", "2026-02-25T07:59:59Z"],
     ["2026-02-25T06:59:59Z", "2026-02-25T08:00:00Z", "2026-02-26T07:00:00Z"]),
    # both hours that the clock shows as 01 when it goes back
    ("hourly", NEW_YORK, "2026-11-01-01:00", ["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"],
     ["2026-11-01T04:59:59Z", "2026-11-01T07:00:00Z"]),
]  # fmt: skip


@pytest.mark.parametrize(("by", "zone", "partition", "inside", "outside"), WINDOWS)
def test_partition_of_an_instant(
    judge: Any, by: Any, zone: str, partition: str, inside: list[str], outside: list[str]
) -> None:
    cut = Partitions(by=by, start="2020-01-01", column="at", timezone=zone)
    text = "at\n" + "\n".join([*inside, *outside]) + "\n"
    seen = judge(Csv(), (Column("at", Timestamp()),), text, partition=partition, partitions=cut)
    assert [seen.good[n]["_partition"] for n in sorted(seen.good)] == [partition] * len(inside)
    assert sorted(seen.good) == list(range(1, len(inside) + 1))
    for number, value in enumerate(outside, len(inside) + 1):
        (reason,) = seen.rejects[number]["reasons"]
        assert reason == {
            "code": "PARTITION_MISMATCH",
            "column": "at",
            "value": value,
            "message": f"the row belongs to another partition ({by}, {zone})",
        }


@pytest.mark.parametrize(
    ("by", "partition", "outside"),
    [("daily", "2026-02-25", "2026-02-26"), ("monthly", "2026-02-01", "2026-03-25")],
)
def test_partition_of_a_date(judge: Any, by: Any, partition: str, outside: str) -> None:
    """A date is a date of the partitions' own zone: no zone shifts it."""
    cut = Partitions(by=by, start="2020-01-01", column="on", timezone=NEW_YORK)
    columns = (Column("on", Date()),)
    seen = judge(Csv(), columns, f'on\n2026-02-25\n{outside}\n""\nx\n', partition=partition, partitions=cut)
    assert sorted(seen.good) == [1, 3], "NULL is not of another partition"
    assert seen.reasons(2) == [("PARTITION_MISMATCH", "on")]
    assert seen.reasons(4) == [("CAST_FAILED", "on")]


def test_nulls_are_the_formats(judge: Any) -> None:
    form = Csv(nulls=("NA", "-"))
    columns = (Column("s", String()), Column("n", Integer()))
    seen = judge(form, columns, 's,n\nNA,"NA"\n"",1\nna,-\nx,\n')
    assert [(r["s"], r["n"]) for _, r in sorted(seen.good.items())] == [(None, None), ("", 1), ("na", None)]
    assert seen.rejects[4]["reasons"][0] == {
        "code": "CAST_FAILED",
        "column": "n",
        "value": "",
        "message": "not a valid integer",
    }
