"""Dagster resources of the code location."""

from lake_pipeline.resources.alerts import Alerts
from lake_pipeline.resources.glue import GlueJobs
from lake_pipeline.resources.lake import LakeResource

__all__ = ["Alerts", "GlueJobs", "LakeResource"]
