"""Steps of the flow as AWS Glue job runs: which job, of which size, with which options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lake_pipeline.datasets.config import Glue
from lake_pipeline.errors import UsageError
from lake_pipeline.flow.away import Order
from lake_pipeline.flow.choice import Size
from lake_pipeline.resources.glue import Finished, GlueJobs, JobRequest, RunOptions, Workers
from lake_pipeline.resources.glue.resource import Log
from lake_pipeline.resources.glue.sizing import FLEX_TYPES
from lake_pipeline.storage import ObjectStore

FLEX = frozenset(FLEX_TYPES)


@dataclass(frozen=True)
class GlueSteps:
    """Runs an order as a Glue job run, its log lines going to Dagster's log; see `flow.away.Runner`."""

    jobs: GlueJobs
    log: Log

    def __call__(self, store: ObjectStore, order: Order) -> Mapping[str, Any]:
        if store.local and self.jobs.is_awss():
            raise UsageError(
                f"engine: glue of {order.dataset.name}: jobs on AWS do not see the folder {store.root}. "
                "Put the lake on S3 (LAKE_ROOT=s3://…, docs/guides/glue.md), or use engine: duckdb or spark."
            )
        return facts_of(self.jobs.run(store, self.request(order), self.log))

    def request(self, order: Order) -> JobRequest:
        """The job run of an order: its workers follow from the bytes, unless the dataset says them."""
        given = order.dataset.config.glue
        options = RunOptions(
            workers=self.workers(given, order.size),
            execution=given.execution,
            timeout_minutes=given.timeout_minutes,
            security_configuration=given.security_configuration,
            py_files=given.py_files,
            spark_conf=given.spark_conf,
        )
        return JobRequest(
            job=given.jobs.format(step=order.step),
            key=order.key,
            arguments=order.arguments,
            options=options,
            deadline=None if given.deadline_minutes is None else given.deadline_minutes * 60,
            owner=order.owner,
        )

    def workers(self, given: Glue, size: Size) -> Workers:
        """The workers of a job run; of types that can be FLEX where it is to be, or may be and can."""
        if given.worker_type and given.workers:
            return Workers(given.worker_type, given.workers)
        may = given.execution == "auto" and given.deadline_minutes is None
        flex = given.execution == "FLEX" or (may and not FLEX.isdisjoint(self.jobs.worker_types))
        return self.jobs.size(size.bytes, size.files, flex=flex, type_=given.worker_type)


def facts_of(done: Finished) -> dict[str, Any]:
    """A job run as an asset's metadata shows it."""
    return {
        "glue_job": done.job,
        "glue_job_run": done.run_id,
        "glue_how": done.how,
        "glue_seconds": done.seconds,
        "dpu_hours": done.cost.dpu_hours,
        "price": done.cost.price,
        "currency": done.cost.currency,
    }
