"""Parquet as producers write it: other types than the contract's, nested ones, damage."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from judging import judged, judged_part

from lake_pipeline.contracts import (
    Array,
    Column,
    Decimal,
    Integer,
    Number,
    Object,
    String,
    Timestamp,
)
from lake_pipeline.datasets.config import Jsonl, Parquet
from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.engines.parts import Part, PartFile
from lake_pipeline.engines.rows import RowRules

JSONL, PARQUET = Jsonl(type="jsonl"), Parquet(type="parquet")
AB = (Column("a", Integer()), Column("b", String()))


def parquet_rows(duckdb: DuckDB, tmp_path: Path, type_: Any, values: pa.Array, **column: Any) -> list[Any]:
    """What each value of a Parquet column becomes: a value, or its reason code."""
    seen = judged(duckdb, tmp_path, PARQUET, (Column("v", type_, **column),), pa.table({"v": values}))
    assert not seen.result.broken, seen.result.error
    return [
        seen.good[n]["v"] if n in seen.good else seen.rejects[n]["reasons"][0]["code"]
        for n in range(1, len(values) + 1)
    ]


NOON = datetime(2026, 2, 25, 12, tzinfo=UTC)
NAIVE = datetime(2026, 2, 25, 12)


def test_rejects_of_typed_columns_keep_every_value(duckdb: DuckDB, tmp_path: Path) -> None:
    """A rejected row is judged again from its original values: they must survive the way there."""
    values = {
        "d": pa.array([D("1234567890123456789012345678901234.5678")]),
        "t": pa.array([NAIVE], pa.timestamp("us")),
        "z": pa.array([NOON], pa.timestamp("us", "UTC")),
        "f": pa.array([float("nan")]),
        "n": pa.array([2**63], pa.uint64()),
        "l": pa.array([[{"x": 'é\n"'}]]),
        "k": pa.array(["bad"]),
    }
    columns = (
        Column("d", Decimal(38, 4), maximum=D(1)),
        Column("t", Timestamp(timezone="America/New_York"), maximum=datetime(2020, 1, 1, tzinfo=UTC)),
        Column("z", Timestamp(), maximum=datetime(2020, 1, 1, tzinfo=UTC)),
        Column("f", Number()),
        Column("n", Integer()),
        Column("l", Array(Object((Column("x", Integer()),)))),
        Column("k", Integer()),
    )
    seen = judged(duckdb, tmp_path, PARQUET, columns, pa.table(values))
    assert seen.reasons(1) == [
        ("OUT_OF_RANGE", "d"), ("OUT_OF_RANGE", "t"), ("OUT_OF_RANGE", "z"),
        ("CAST_FAILED", "f"), ("CAST_FAILED", "n"), ("CAST_FAILED", "l"), ("CAST_FAILED", "k"),
    ]  # fmt: skip
    said = {r["column"]: r["value"] for r in seen.rejects[1]["reasons"]}
    assert said["d"] == "1234567890123456789012345678901234.5678"
    assert said["n"] == str(2**63)
    assert said["k"] == "bad"
    assert json.loads(said["l"]) == [{"x": 'é\n"'}]


@pytest.mark.parametrize("at", ["footer", "page", "cut", "none"])
def test_damaged_parquet(duckdb: DuckDB, tmp_path: Path, at: str) -> None:
    path = tmp_path / "x.parquet"
    pick = random.Random(1)
    pq.write_table(pa.table({"a": list(range(5000)), "b": [str(pick.random()) for _ in range(5000)]}), path)
    data = bytearray(path.read_bytes())
    damage = {"footer": slice(-400, -8), "page": slice(40, 2000), "cut": slice(0, 0), "none": slice(0, 0)}[at]
    data[damage] = bytes(len(data[damage]))
    path.write_bytes(data[: len(data) // 2] if at == "cut" else data)
    raw = ibis.schema({"a": "int64", "b": "string"})
    part = Part((PartFile(path, "s", "p"),), PARQUET, raw)
    seen = judged_part(duckdb, part, RowRules(AB))
    if at == "none":
        assert len(seen.good) == 5000
        return
    assert seen.result.broken == {"s"}
    assert seen.result.error
