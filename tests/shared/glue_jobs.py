"""Jobs of Glue that run in this process: the endpoint's runs are the scripts, on the session of the tests.

All but the process is as on Glue: StartJobRun over HTTP, the arguments, documents, records and messages in the
lake, the answer that is read back. What a process of its own adds is for `test_glue_steps`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from glue_endpoint import Endpoint, Run, Time

from lake_pipeline.flow.away import Away
from lake_pipeline.flow.context import Engines
from lake_pipeline.jobs import main
from lake_pipeline.resources.glue import GlueJobs
from lake_pipeline.resources.glue.calls import Timing
from lake_pipeline.resources.glue.records import Objects
from lake_pipeline.resources.glue.runs import JobRunner
from lake_pipeline.resources.steps import GlueSteps

STEPS = ("validate", "curate", "compact")


class Instant(GlueJobs):
    """A resource that never really waits."""

    def runner(self, store: Objects) -> JobRunner:
        """The resource's own, with a clock that only sleeping moves."""
        made, now = super().runner(store), Time()
        timing = Timing(now.clock, now.sleep, lambda: 1.0)
        return JobRunner(made.client, store, rates=made.rates, patience=made.patience, timing=timing)


def script(run: Run) -> Iterator[str]:
    """The play of a run that does what its script does."""
    yield "RUNNING"
    arguments = [part for pair in run.arguments.items() for part in pair]
    try:
        main(run.job.removeprefix("lake-"), ["script.py", *arguments])
    except SystemExit:
        run.extra["ErrorMessage"] = "SystemExit: 1"
        yield "FAILED"
    yield "SUCCEEDED"


def jobs_of(endpoint: Endpoint, client: Any, play: Callable[[Run], Iterator[str]] = script) -> Engines:
    """What a dataset with `engine: glue` runs on, where `endpoint` is Glue."""
    endpoint.play = play
    for step in STEPS:
        endpoint.job(f"lake-{step}")
    return Engines(glue=Away(GlueSteps(Instant(client=client), logging.getLogger("jobs"))))
