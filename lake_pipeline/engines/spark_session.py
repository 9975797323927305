"""The Spark session that a job runs in, and what has to be there for one."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lake_pipeline.errors import UsageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# For whoever makes the session: what has to be said before it starts.
SESSION: dict[str, bool | float | int | str | None] = {
    "spark.ui.showConsoleProgress": "false",
    "spark.python.daemon.module": "lake_pipeline.engines.spark_daemon",
}


def session_of() -> SparkSession:
    """The session that spark-submit or Glue has made, or one of this process."""
    check_spark()
    from pyspark.sql import SparkSession

    return SparkSession.builder.config(map=SESSION).getOrCreate()


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
