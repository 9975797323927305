"""Every engine takes the same values from typed Parquet columns, and says the same of those it rejects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from judging import Judged, judged
from parquet_forms import TYPED
from remains import differences
from under_test import ENGINES

from lake_pipeline.contracts import Column
from lake_pipeline.datasets.config import Parquet

COLUMNS = tuple(Column(f"v{n}", type_) for n, (_, type_, _, _) in enumerate(TYPED))
# Each value in a row of its own, which has NULL in all other columns.
STARTS = [sum(len(v) for _, _, v, _ in TYPED[:n]) for n in range(len(TYPED) + 1)]


def table() -> pa.Table:
    columns = {}
    for n, (_, _, values, _) in enumerate(TYPED):
        parts = [pa.nulls(STARTS[n], values.type), values, pa.nulls(STARTS[-1] - STARTS[n + 1], values.type)]
        columns[f"v{n}"] = pa.chunked_array(parts).combine_chunks()
    return pa.table(columns)


@pytest.fixture(scope="module")
def seen(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """All values, judged in one scan."""
    found = judged(engine, tmp_path_factory.mktemp("typed"), Parquet(type="parquet"), COLUMNS, table())
    assert not found.result.broken, found.result.error
    return found


@pytest.mark.parametrize("number", range(len(TYPED)), ids=[t[0] for t in TYPED])
def test_parquet_types(seen: Judged, number: int) -> None:
    records = range(STARTS[number] + 1, STARTS[number + 1] + 1)
    found = [
        seen.good[n][f"v{number}"] if n in seen.good else seen.rejects[n]["reasons"][0]["code"]
        for n in records
    ]
    assert [(isinstance(v, bool), v) for v in found] == [(isinstance(v, bool), v) for v in TYPED[number][3]]


@pytest.mark.parametrize("name", [n for n in ENGINES if n != "duckdb"])
def test_rejects_are_told_alike(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    told = []
    for which in ("duckdb", name):
        with ENGINES[which].opened(request, tmp_path / which) as engine:
            engine.folder.mkdir(exist_ok=True)
            told.append(judged(engine, tmp_path / f"{which}-in", Parquet(type="parquet"), COLUMNS, table()))
    assert differences(told[1].rejects, told[0].rejects) == []
    rescued = [{n: row["_rescued"] for n, row in t.good.items()} for t in told]
    assert rescued[1] == rescued[0]
