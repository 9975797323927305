"""AWS Glue job runs: one run per key, whatever dies in between.

`GlueJobs` (`resource.py`) is the Dagster resource; all other files know no Dagster.
"""

from lake_pipeline.resources.glue.bundle import bundle_jobs
from lake_pipeline.resources.glue.cost import Cost, Rates, cost_of
from lake_pipeline.resources.glue.definition import JobDefinition
from lake_pipeline.resources.glue.request import JobRequest, RunOptions
from lake_pipeline.resources.glue.resource import GlueJobs, into_log
from lake_pipeline.resources.glue.runs import Finished, JobRunner
from lake_pipeline.resources.glue.sizing import Limits, Workers, size_for

__all__ = [
    "Cost",
    "Finished",
    "GlueJobs",
    "JobDefinition",
    "JobRequest",
    "JobRunner",
    "Limits",
    "Rates",
    "RunOptions",
    "Workers",
    "bundle_jobs",
    "cost_of",
    "into_log",
    "size_for",
]
