"""Values of typed Parquet columns, and what each becomes under a contract's type: (name, type, values, expected)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal as D
from typing import Any

import pyarrow as pa

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

NOON = datetime(2026, 2, 25, 12, tzinfo=UTC)
NAIVE = datetime(2026, 2, 25, 12)
TYPED: list[tuple[str, Any, pa.Array, list[Any]]] = [
    ("int32 as integer", Integer(), pa.array([1, None], pa.int32()), [1, None]),
    ("uint64 as integer", Integer(), pa.array([1, 2**63], pa.uint64()), [1, "CAST_FAILED"]),
    ("double as integer", Integer(), pa.array([517.0, 1.5, float("nan")]), [517, "CAST_FAILED", "CAST_FAILED"]),
    ("text as integer", Integer(), pa.array(["1", " 2", "x"]), [1, 2, "CAST_FAILED"]),
    ("boolean as integer", Integer(), pa.array([True]), ["CAST_FAILED"]),
    ("int as number", Number(), pa.array([1, -2]), [1.0, -2.0]),
    ("float as number", Number(), pa.array([0.5, float("inf"), float("nan")], pa.float32()), [0.5, "CAST_FAILED", "CAST_FAILED"]),
    ("decimal as number", Number(), pa.array([D("1.25")]), [1.25]),
    ("narrow decimal as decimal", Decimal(10, 2), pa.array([D("1.5"), None], pa.decimal128(4, 1)), [D("1.50"), None]),
    ("wide decimal as decimal", Decimal(4, 1), pa.array([D("1.25"), D("12345.00")], pa.decimal128(10, 2)), [D("1.3"), "CAST_FAILED"]),
    ("double as decimal", Decimal(5, 2), pa.array([1.1, 0.125, 1e9]), [D("1.10"), D("0.13"), "CAST_FAILED"]),
    ("int as decimal", Decimal(5, 2), pa.array([1, 1000]), [D(1), "CAST_FAILED"]),
    ("int as boolean", Boolean(), pa.array([1, 0, 2]), [True, False, "CAST_FAILED"]),
    ("date as date", Date(), pa.array([date(2026, 2, 25)]), [date(2026, 2, 25)]),
    ("timestamp as date", Date(), pa.array([datetime(2026, 2, 25), NAIVE]), [date(2026, 2, 25), "CAST_FAILED"]),
    ("text as date", Date(), pa.array(["2026-02-25", "2026-02-30"]), [date(2026, 2, 25), "CAST_FAILED"]),
    ("local timestamp", Timestamp(), pa.array([NAIVE], pa.timestamp("ms")), [NOON]),
    ("nanoseconds", Timestamp(), pa.array([NAIVE], pa.timestamp("ns")), [NOON]),
    ("instant", Timestamp(timezone="America/New_York"), pa.array([NOON], pa.timestamp("us", "UTC")), [NOON]),
    ("local of a zone", Timestamp(timezone="America/New_York"), pa.array([datetime(2026, 2, 25, 7)]), [NOON]),
    ("date as timestamp", Timestamp(), pa.array([date(2026, 2, 25)]), [datetime(2026, 2, 25, tzinfo=UTC)]),
    ("int as string", String(), pa.array([1]), ["1"]),
    ("all null", Integer(), pa.nulls(2), [None, None]),
    ("binary as string", String(), pa.array([b"abc"]), ["abc"]),
    ("list", Array(Integer()), pa.array([[1, None], [], None]), [[1, None], [], None]),
    ("list of text", Array(Integer()), pa.array([["1"], ["x"]]), [[1], "CAST_FAILED"]),
    ("int as array", Array(Integer()), pa.array([1]), ["CAST_FAILED"]),
    ("JSON text as array", Array(Integer()), pa.array(["[1]", "x"]), [[1], "CAST_FAILED"]),
    ("struct", Object((Column("x", Integer()), Column("y", String()))),
     pa.array([{"x": 1, "z": True}, {"x": None, "z": None}, None]), [{"x": 1, "y": None}, {"x": None, "y": None}, None]),
    ("struct of other fields", Object((Column("x", Integer()),)), pa.array([{"z": 1}, None]), [{"x": None}, None]),
    ("struct of texts", Object((Column("x", Integer()),)), pa.array([{"x": "1"}, {"x": "a"}]), [{"x": 1}, "CAST_FAILED"]),
    ("struct as text", String(), pa.array([{"x": 1}]), ['{"x":1}']),
    ("list of structs", Array(Object((Column("p", Decimal(5, 2)),))), pa.array([[{"p": D("1.50")}], [{"p": D("9999.00")}]]),
     [[{"p": D("1.50")}], "CAST_FAILED"]),
    ("dictionary", String(), pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
    ("double as string", String(), pa.array([0.5, 1e7, 12345678.9, 1e-5, 1e16, 1e15, -0.0, 1.5e300, 123456.0, 1e-4]),
     ["0.5", "10000000.0", "12345678.9", "1e-05", "1e+16", "1000000000000000.0", "-0.0", "1.5e+300", "123456.0", "0.0001"]),
    ("float as string", String(), pa.array([0.1, 1e10], pa.float32()), ["0.1", "10000000000.0"]),
    ("doubles as text", String(), pa.array([[1e7, 1e-5, 1e22, 1e21, 1e20, 0.0, None, 1e-6, 1e-7]]),
     ["[10000000.0,0.00001,1e22,1e21,100000000000000000000.0,0.0,null,0.000001,1e-7]"]),
    ("times as text", String(), pa.array([{"l": datetime(2026, 3, 1, 5, 0, 0, 500000), "d": date(2026, 3, 1)}]),
     ['{"l":"2026-03-01 05:00:00.5","d":"2026-03-01"}']),
    ("instant as text", String(), pa.array([NOON], pa.timestamp("us", "UTC")), ["2026-02-25 12:00:00+00"]),
    ("local time as text", String(), pa.array([NAIVE], pa.timestamp("us")), ["2026-02-25 12:00:00"]),
    ("boolean as text", String(), pa.array([True]), ["true"]),
    ("decimal as text", String(), pa.array([D("1.50")]), ["1.50"]),
]  # fmt: skip
