"""One DuckDB for the tests of its readers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lake_pipeline.engines.duckdb import DuckDB


@pytest.fixture(scope="package")
def duckdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    """One engine."""
    engine = DuckDB(tmp_path_factory.mktemp("duckdb"), threads=2)
    yield engine
    engine.close()
