"""Spark as a Dagster resource: a session of dagster-pyspark's, made when a step needs it."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from lake_pipeline.engines.engine import Engine
from lake_pipeline.engines.spark_session import check_spark, settings_of, warm
from lake_pipeline.storage import Lake


class SparkSessions(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Any Spark master. What is not said here is as ``spark-defaults.conf`` in SPARK_CONF_DIR says.

    Executors run Python of the driver's version, with lake_pipeline and its extra `glue` installed, or
    shipped to them by ``spark.submit.pyFiles``.
    """

    master: str = Field(
        default="", description="e.g. spark://host:7077; LAKE_SPARK_MASTER by default, then local[*]"
    )
    conf: dict[str, str] = Field(default={}, description="Spark settings, e.g. spark.executor.memory")

    def engine(self, lake: Lake, folder: Path) -> Engine:
        """Spark as the engine of a lake's work; raises `UsageError` where there is no Spark or no Java."""
        check_spark()
        from dagster_pyspark.resources import spark_session_from_config

        from lake_pipeline.engines.spark import Spark

        session = spark_session_from_config(settings_of(self.master, self.conf))  # type: ignore[no-untyped-call]
        warm(session)
        return Spark.of(lake, folder, session)
