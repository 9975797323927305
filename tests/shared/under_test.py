"""The engines that must agree, each as tests open it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from spark_session import missing

from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.flow.context import Engines


@dataclass(frozen=True)
class UnderTest:
    """An engine as tests use it. opened: by itself, with a folder; engines: as a dataset of it needs it."""

    opened: Callable[[pytest.FixtureRequest, Path], AbstractContextManager[Any]]
    engines: Callable[[pytest.FixtureRequest], Engines]


@contextmanager
def duckdb_engine(_: pytest.FixtureRequest, folder: Path) -> Iterator[DuckDB]:
    """The embedded engine."""
    engine = DuckDB(folder, threads=2)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def spark_engine(request: pytest.FixtureRequest, folder: Path) -> Iterator[Any]:
    """Spark on this machine's cores."""
    from lake_pipeline.engines.spark import Spark

    engine = Spark(folder, request.getfixturevalue("spark_session"))
    try:
        yield engine
    finally:
        engine.close()


def spark_engines(request: pytest.FixtureRequest) -> Engines:
    """What a dataset with `engine: spark` runs on."""
    from lake_pipeline.engines.spark import Spark

    session = request.getfixturevalue("spark_session")
    return Engines(spark=lambda lake, folder: Spark.of(lake, folder, session))


# An engine of `engine:` in defs.yaml without an entry here fails `test_every_engine_is_here`.
HAVE_SPARK = missing() is None
ENGINES: dict[str, UnderTest] = {
    "duckdb": UnderTest(duckdb_engine, lambda _: Engines()),
    **({"spark": UnderTest(spark_engine, spark_engines)} if HAVE_SPARK else {}),
}
# Of `engine:`, but none of their own: what runs is the code of another. auto chooses one; a job of Glue is Spark.
NO_ENGINES = {"auto", "glue"}
