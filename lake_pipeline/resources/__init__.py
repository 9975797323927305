"""Dagster resources of the code location."""

from typing import Any

from lake_pipeline.resources.alerts import Alerts
from lake_pipeline.resources.glue import GlueJobs
from lake_pipeline.resources.glue.environment import glue_jobs
from lake_pipeline.resources.lake import LakeResource
from lake_pipeline.resources.spark import SparkSessions
from lake_pipeline.resources.sqs import SqsQueue

__all__ = ["Alerts", "GlueJobs", "LakeResource", "SparkSessions", "SqsQueue", "resources"]


def resources() -> dict[str, Any]:
    """What datasets' assets need, configured by the environment; a code location may give others."""
    return {
        "lake": LakeResource(),
        "spark": SparkSessions(),
        "glue": glue_jobs(),
        "alerts": Alerts(),
        "queue": SqsQueue(),
    }
