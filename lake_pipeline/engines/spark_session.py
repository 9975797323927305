"""The Spark session that a job runs in, and what has to be there for one."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import weakref
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


_warm: weakref.WeakSet[SparkSession] = weakref.WeakSet()


def settings_of(master: str = "", more: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What a run's own session is made with. master: else ``LAKE_SPARK_MASTER``, else all of this machine's cores."""
    master = master or os.environ.get("LAKE_SPARK_MASTER") or "local[*]"
    return {
        "spark.app.name": "lake_pipeline",
        **SESSION,
        **(LOCAL if master.startswith("local") else {}),
        "spark.ui.enabled": "false",
        "spark.master": master,
        **(more or {}),
    }


def begin() -> None:
    """Start the session that a run of this process will need, beside what else it has to load: Java takes seconds.

    Nothing waits for it before its first step on Spark, which makes it where this could not, and says why not. Of a
    cluster nothing is asked before it is known to be needed.
    """
    settings = settings_of()
    if not settings["spark.master"].startswith("local"):
        return

    try:
        check_spark()
    except UsageError:
        return
    from pyspark.sql import SparkSession  # not in the thread: two that import at once may meet half a module

    def make() -> None:
        with suppress(Exception):
            session = SparkSession.builder.config(map=settings).getOrCreate()
            session.sparkContext.setLogLevel("FATAL")  # else its second user is told that settings come late
            warm(session)

    threading.Thread(target=make).start()


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


def warm(session: SparkSession) -> None:
    """Have a local Spark start its Python, and load what rows will need, beside what the driver does meanwhile.

    What fails here, for the session may end first, is no error: it would fail again where rows need it, and say so.
    """
    if session in _warm or not str(session.sparkContext.master).startswith("local"):
        return
    _warm.add(session)
    lend_environment(session)

    def python() -> None:
        with suppress(Exception):
            session.sparkContext.parallelize([0], 1).mapPartitions(list).count()

    def sql() -> None:
        schema = "c0 string, c1 string"
        with suppress(Exception):
            frame = session.range(1).selectExpr("CAST(id AS STRING) AS c0", "to_json(struct(id)) AS c1")
            frame.mapInArrow(passed, schema).filter("c0 RLIKE '0'").mapInArrow(passed, schema).collect()

    for load in (python, sql):
        threading.Thread(target=load, daemon=True).start()


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
