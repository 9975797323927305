"""The engines that rules are evaluated on, as one fixture.

The shared corpus of cases is outside the repository; without it, its module is not collected. Spark's half of
the tests is skipped where PySpark or Java is missing.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("LAKE_SHARED") or REPOSITORY.parent / "shared")
CASES = SHARED / "dqdl" / "cases.json"

collect_ignore = [] if CASES.exists() else ["test_dqdl_shared_cases.py"]

OnEngine = Callable[[pa.Table], Any]


def missing_for_spark() -> str | None:
    """Why Spark cannot run here."""
    if importlib.util.find_spec("pyspark") is None:
        return "PySpark is not installed (the extra lake-pipeline[spark])"
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        return "Java is not installed (17 is what Spark 3.5 runs on)"
    return None


@pytest.fixture(scope="session")
def spark() -> Iterator[OnEngine]:
    """Puts an Arrow table into a local Spark, in UTC."""
    why_not = missing_for_spark()
    if why_not:
        pytest.skip(why_not)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from _spark_session()


def _spark_session() -> Iterator[OnEngine]:
    from ibis.backends.pyspark.datatypes import PySparkSchema
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]")
    for key, value in {
        "spark.ui.enabled": "false",
        "spark.default.parallelism": "1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
    }.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate().newSession()  # the context may be another test's
    session.conf.set("spark.sql.session.timeZone", "UTC")
    session.conf.set("spark.sql.shuffle.partitions", "1")
    session.sparkContext.setLogLevel("OFF")
    connection = ibis.pyspark.connect(session)
    names = count()

    def put(table: pa.Table) -> Any:
        schema = PySparkSchema.from_ibis(ibis.Schema.from_pyarrow(table.schema))
        rows = [tuple(_aware(v) for v in row.values()) for row in table.to_pylist()]
        name = f"arrow_{next(names)}"
        session.createDataFrame(rows, schema).createOrReplaceTempView(name)
        return connection.table(name)

    yield put


def _aware(value: Any) -> Any:
    """Spark takes a naive timestamp for local time."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


@pytest.fixture(params=["duckdb", "spark"])
def on_engine(request: pytest.FixtureRequest) -> OnEngine:
    """Puts an Arrow table where an engine evaluates it."""
    if request.param == "duckdb":
        return lambda table: table
    put: OnEngine = request.getfixturevalue("spark")
    return put
