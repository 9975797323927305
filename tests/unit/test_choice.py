"""`engine: auto`: what is at a limit stays here, what is above any of them goes, and the reason says which."""

from __future__ import annotations

import pytest

from lake_pipeline.datasets.config import DatasetConfig
from lake_pipeline.flow.choice import Size, choose
from lake_pipeline.flow.state import Entry

LIMITS = {"bytes": 1000, "files": 10, "memory": 500}


@pytest.mark.parametrize(
    ("size", "engine", "why"),
    [
        (Size(0, 0, 0), "duckdb", "0 bytes in 0 files → duckdb"),
        (Size(1000, 10, 500), "duckdb", "1 kB in 10 files → duckdb"),
        (Size(1001, 1, 1), "glue", "1.0 kB in 1 file → glue (more than 1 kB)"),
        (Size(1, 11, 1), "glue", "1 bytes in 11 files → glue (more than 10 files)"),
        (Size(1, 1, 501), "glue", "1 bytes in 1 file → glue (more than 500 bytes of memory by estimate)"),
    ],
)
def test_limits(size: Size, engine: str, why: str) -> None:
    choice = choose(DatasetConfig(landing="x/", engine="auto", auto=LIMITS), size)
    assert (choice.engine, choice.reason) == (engine, why)


def test_above_may_be_spark() -> None:
    config = DatasetConfig(landing="x/", engine="auto", auto={**LIMITS, "above": "spark"})
    assert choose(config, Size(1, 11, 1)).reason == "1 bytes in 11 files → spark (more than 10 files)"


@pytest.mark.parametrize("engine", ["duckdb", "spark", "glue"])
def test_one_that_is_named_is_taken_at_any_size(engine: str) -> None:
    config = DatasetConfig(landing="x/", engine=engine, auto=LIMITS)
    assert choose(config, Size(10**12, 10**6, 10**12)).engine == engine


def test_memory_is_estimated_from_what_is_inflated() -> None:
    names = {"a.csv": 400, "b.csv.gz": 100, "c.PARQUET": 100, "d.jsonl.zst": 100, "e.json.zstd": 100}
    entries = [Entry(n, n, size, "e", None, "2026-03-01") for n, size in names.items()]
    assert Size.of(entries) == Size(800, 5, (400 + 4 * 400) // 4)
