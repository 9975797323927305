"""Runs a partition on a Spark master, as a process of its own: master, lake's root, dataset's folder, partition."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from lake_pipeline.datasets import load_dataset
from lake_pipeline.engines.spark import Spark
from lake_pipeline.engines.spark_session import SESSION
from lake_pipeline.flow.context import Engines
from lake_pipeline.flow.run import STAGES, run_stages
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake


def main(master: str, root: str, folder: str, partition: str) -> None:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    settings: dict[str, Any] = {
        **SESSION,
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.executor.memory": "900m",
        "spark.sql.shuffle.partitions": "4",
    }
    session = SparkSession.builder.master(master).appName("test").config(map=settings).getOrCreate()
    engines = Engines(spark=lambda lake, where: Spark.of(lake, where, session))
    lake = Lake(Settings.at(root))
    result = run_stages(lake, load_dataset(Path(folder)), [partition], STAGES, "run-1", engines=engines)
    print({p: c.action for p, c in result.curated.items()})  # noqa: T201
    session.stop()
    sys.exit(bool(result.problems()))


if __name__ == "__main__":
    main(*sys.argv[1:])
