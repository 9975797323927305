"""A launched run, and how one looks at it, looks for it and stops it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lake_pipeline.resources.glue.calls import Backoff, Calls
from lake_pipeline.resources.glue.endings import ACTIVE, FINAL
from lake_pipeline.resources.glue.errors import JobRunNotStopped
from lake_pipeline.resources.glue.records import RunRecords
from lake_pipeline.resources.glue.request import ATTEMPT, RUN_KEY, JobRequest

PAGE = 200  # the most that GetJobRuns gives at once
How = Literal["started", "attached", "reused"]


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, in seconds.

    poll: pauses between looks at a run. stop: for a run to stop. lease: for another worker that claimed an
    attempt to start it. longest: for a run without a deadline (Glue ends a queued one itself, as EXPIRED).
    """

    poll: Backoff = field(default_factory=lambda: Backoff(first=2.0, factor=1.5, most=30.0))
    stop: float = 120.0
    lease: float = 60.0
    longest: float = 8 * 24 * 3600.0


@dataclass
class Flight:
    """A wanted run on its way.

    until: the deadline, by the clock. claimed: this worker may start the attempt. sent: StartJobRun may have
    had its effect. doubtful: it may have had it twice. over: Glue says that the run has ended. run: as Glue
    described it last.
    """

    request: JobRequest
    records: RunRecords
    until: float
    attempt: int = 0
    run_id: str = ""
    how: How = "started"
    claimed: bool = False
    sent: bool = False
    doubtful: bool = False
    run: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The run key."""
        return self.request.key

    @property
    def over(self) -> bool:
        """Whether the run is known to have ended."""
        return self.run.get("JobRunState") in FINAL

    @property
    def about(self) -> str:
        """The run, as messages name it."""
        return about(self.request.job, self.run_id)

    def begin(self, attempt: int) -> None:
        """Turn to an attempt of which nothing is known yet."""
        self.attempt, self.run_id, self.how, self.run = attempt, "", "started", {}
        self.claimed = self.sent = self.doubtful = False


def about(job: str, run_id: str = "") -> str:
    """A run, or while it has no id its job, as messages name it."""
    return f'the run {run_id} of the job "{job}"' if run_id else f'the job "{job}"'


def begun(text: str) -> str:
    """The text as the beginning of a sentence."""
    return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class Runs:
    """The job runs of Glue."""

    calls: Calls
    patience: Patience

    def after(self, seconds: float) -> float:
        """The clock's time in so many seconds."""
        return self.calls.timing.clock() + seconds

    def pause(self, tries: int, until: float) -> bool:
        """Sleep before the next look; False, without sleeping, once the time is up."""
        left = until - self.calls.timing.clock()
        if left > 0:
            self.calls.timing.sleep(min(self.patience.poll.delay(tries), left))
        return left > 0

    def look(self, job: str, run_id: str, until: float) -> dict[str, Any]:
        """The run as Glue describes it; raises `JobMissing` where it has forgotten it."""
        answer = self.calls.repeated(until, "get_job_run", about(job, run_id), JobName=job, RunId=run_id)
        run: dict[str, Any] = answer["JobRun"]
        return run

    def find(
        self, flight: Flight, until: float, *, only_active: bool = False, pages: int | None = None
    ) -> Iterator[str]:
        """The ids of runs that carry the flight's key and attempt, from so many pages (None: all)."""
        mine = (flight.key, str(flight.attempt))
        parameters: dict[str, Any] = {"JobName": flight.request.job, "MaxResults": PAGE}
        for _ in itertools.count() if pages is None else range(pages):
            page = self.calls.repeated(until, "get_job_runs", about(flight.request.job), **parameters)
            for run in page.get("JobRuns") or ():
                carried = run.get("Arguments") or {}
                alive = run.get("JobRunState") in ACTIVE
                if (carried.get(RUN_KEY), carried.get(ATTEMPT)) == mine and (alive or not only_active):
                    yield str(run["Id"])
            if not page.get("NextToken"):
                return
            parameters["NextToken"] = page["NextToken"]

    def stop(self, job: str, run_id: str) -> dict[str, Any]:
        """Stop a run and wait until it is over; returns it as it ended, raises `JobRunNotStopped`."""
        until, name = self.after(self.patience.stop), about(job, run_id)
        answer = self.calls.repeated(until, "batch_stop_job_run", name, JobName=job, JobRunIds=[run_id])
        for tries in itertools.count():
            run = self.look(job, run_id, until)
            if run.get("JobRunState") in FINAL:
                return run
            if not self.pause(tries, until):
                break
        refused = [e.get("ErrorDetail", {}).get("ErrorMessage", "") for e in answer.get("Errors") or ()]
        raise JobRunNotStopped(
            f"{begun(name)} is {run.get('JobRunState')} {self.patience.stop:g} s after it was told "
            f"to stop{f' ({refused[0]})' if refused else ''}. It may still cost money; stop it with: "
            f"aws glue batch-stop-job-run --job-name {job} --job-run-ids {run_id}"
        )
