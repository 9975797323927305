"""The engines that rules are evaluated on, as one fixture.

Every evaluation case is one for both engines. The shared corpus of cases is outside the repository; without it,
its module is not collected. Spark's half of the tests is skipped where PySpark or Java is missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest
from spark_session import missing, spark_session

REPOSITORY = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("LAKE_SHARED") or REPOSITORY.parent / "shared")
CASES = SHARED / "dqdl" / "cases.json"

collect_ignore = [] if CASES.exists() else ["test_dqdl_shared_cases.py"]

OnEngine = Callable[[pa.Table], Any]


@pytest.fixture(scope="session")
def spark() -> OnEngine:
    """Puts an Arrow table into a local Spark, in UTC."""
    why_not = missing()
    if why_not:
        pytest.skip(why_not)
    from ibis.backends.pyspark.datatypes import PySparkSchema

    session = spark_session().newSession()
    connection = ibis.pyspark.connect(session)
    names = count()

    def put(table: pa.Table) -> Any:
        schema = PySparkSchema.from_ibis(ibis.Schema.from_pyarrow(table.schema))
        rows = [tuple(_aware(v) for v in row.values()) for row in table.to_pylist()]
        name = f"arrow_{next(names)}"
        session.createDataFrame(rows, schema).createOrReplaceTempView(name)
        return connection.table(name)

    return put


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
