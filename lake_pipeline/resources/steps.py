"""Steps of the flow as AWS Glue job runs: which job, of which size, with which options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from lake_pipeline.flow.away import Order
from lake_pipeline.resources.glue import Finished, GlueJobs, JobRequest, RunOptions, Workers
from lake_pipeline.storage import ObjectStore


@dataclass(frozen=True)
class GlueSteps:
    """Runs an order as a Glue job run, its log lines going to Dagster's log; see `flow.away.Runner`."""

    jobs: GlueJobs
    log: dg.DagsterLogManager

    def __call__(self, store: ObjectStore, order: Order) -> Mapping[str, Any]:
        return facts_of(self.jobs.run(store, self.request(order), self.log))

    def request(self, order: Order) -> JobRequest:
        """The job run of an order: its workers follow from the bytes, unless the dataset says them."""
        given = order.dataset.config.glue
        flex = given.execution == "FLEX" or (given.execution == "auto" and given.deadline_minutes is None)
        workers = self.jobs.size(order.size.bytes, order.size.files, flex=flex)
        if given.worker_type:
            workers = Workers(given.worker_type, given.workers or workers.number)
        options = RunOptions(
            workers=workers,
            execution=given.execution,
            timeout_minutes=given.timeout_minutes,
            security_configuration=given.security_configuration,
            py_files=given.py_files,
            modules=given.modules,
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
