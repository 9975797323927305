"""The one Spark of a test process: on this machine's cores, in UTC, and small, since starting it takes longest."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import warnings
from functools import cache
from importlib.util import find_spec
from typing import Any

from lake_pipeline.engines.spark_session import SESSION

SETTINGS = {
    **SESSION,
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.default.parallelism": "1",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.adaptive.enabled": "false",  # plans for a few rows need no second thoughts
}


def missing() -> str | None:
    """Why Spark cannot run here; None where it can."""
    if find_spec("pyspark") is None:
        return "PySpark is not installed (the extra lake-pipeline[spark])"
    if shutil.which("java") is None:
        return "Java is not installed (17 is what Spark 3.5 runs on)"
    return None


@cache
def spark_session() -> Any:
    """The process's session; it ends with the process, so that no test can end another's."""
    os.environ["PYSPARK_PYTHON"] = sys.executable  # of the workers, which Spark starts by itself
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyspark.sql import SparkSession

        folder = tempfile.mkdtemp(prefix="spark-")
        settings: dict[str, Any] = {**SETTINGS, "spark.sql.warehouse.dir": folder}
        builder = SparkSession.builder.master("local[2]").appName("tests")
        session = builder.config(map=settings).getOrCreate()
        session.sparkContext.setLogLevel("OFF")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(session.stop)
    return session
