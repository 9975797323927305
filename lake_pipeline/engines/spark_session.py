"""The Spark session that a job runs in, and what has to be there for one."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lake_pipeline.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession


# For whoever makes the session: what has to be said before it starts.
SESSION: dict[str, bool | float | int | str | None] = {
    "spark.ui.showConsoleProgress": "false",
    "spark.python.daemon.module": "lake_pipeline.engines.spark_daemon",
}
# For a Java of our own on this machine: it compiles again what rows run through, and not what plans queries,
# which would take a third of a run's processor time. Options that somebody gives come after it, and win.
LOCAL = {
    "spark.driver.defaultJavaOptions": (
        "-XX:Tier4InvocationThreshold=50000 -XX:Tier4MinInvocationThreshold=6000 "
        "-XX:Tier4CompileThreshold=150000 -XX:Tier4BackEdgeThreshold=400000"
    )
}


def session_of() -> SparkSession:
    """The session that spark-submit or Glue has made, or one of this process."""
    check_spark()
    restore_numpy_names()
    from pyspark.sql import SparkSession

    return SparkSession.builder.config(map=SESSION).getOrCreate()


def lend_environment(session: SparkSession) -> None:
    """Have a local master's tasks use storage as this process does. Spark keeps Python workers for each environment."""
    environment = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
    session.sparkContext.environment.update(environment)


def warm(session: SparkSession) -> list[threading.Thread]:
    """Have Spark start its Python, and load what rows will need, beside what the driver does meanwhile.

    What fails here, for the session may end first, is no error: it would fail again where rows need it, and say so.
    """
    lend_environment(session)

    def python() -> None:
        with suppress(Exception):
            session.sparkContext.parallelize([0], 1).mapPartitions(list).count()

    def sql() -> None:
        schema = "c0 string, c1 string"
        with suppress(Exception):
            frame = session.range(1).selectExpr("CAST(id AS STRING) AS c0", "to_json(struct(id)) AS c1")
            frame.mapInArrow(passed, schema).filter("c0 RLIKE '0'").mapInArrow(passed, schema).collect()

    threads = [threading.Thread(target=load, daemon=True) for load in (python, sql)]
    for thread in threads:
        thread.start()
    return threads


def passed(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    """The rows as they are."""
    return batches


def restore_numpy_names() -> None:
    """Give NumPy 2 the names of NumPy 1 that PySpark 3.5 uses in its pandas API, which pandera imports.

    pandera does the same, but only where PySpark is an installed distribution; on Glue it comes in a zip.
    """
    import numpy as np

    for name, value in {
        "NaN": np.nan,
        "float_": np.float64,
        "string_": np.bytes_,
        "unicode_": np.str_,
    }.items():
        if name not in vars(np):
            setattr(np, name, value)


def check_spark() -> None:
    """Raise `UsageError` where Spark cannot be started, with how to get what is missing."""
    if find_spec("pyspark") is None:
        raise UsageError("Spark is not installed: pip install 'lake-pipeline[spark]', or use engine: duckdb.")
    home = os.environ.get("JAVA_HOME", "")
    if not (Path(home, "bin", "java").is_file() if home else shutil.which("java")):
        raise UsageError(
            "Spark needs Java 17, and there is no java on PATH or in JAVA_HOME: "
            "apt-get install openjdk-17-jre-headless (or your system's package), or use engine: duckdb."
        )
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # the workers', which Spark starts by itself
