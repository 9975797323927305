"""A Glue job run from its launch to its result: waited for with a deadline, stopped when nobody waits.

No Dagster here: the client, the store of the records, clock and sleep are given, and any of them can be a
test's. `GlueJobs` in `resource.py` makes a `JobRunner` from Dagster's configuration.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from lake_pipeline.errors import LakeError, Transient
from lake_pipeline.resources.glue.calls import Calls, RetryPolicy, Tell, Timing, unsaid
from lake_pipeline.resources.glue.cost import Cost, Rates, cost_of, day_of
from lake_pipeline.resources.glue.endings import ACTIVE, FINAL, completion, driver_log, failure
from lake_pipeline.resources.glue.errors import JobRunOverdue, UnknownState
from lake_pipeline.resources.glue.flight import Flight, How, Patience, Runs, begun
from lake_pipeline.resources.glue.launch import Launcher
from lake_pipeline.resources.glue.records import (
    Deliver,
    Message,
    Messages,
    Objects,
    Record,
    RunRecords,
    folder_of,
)
from lake_pipeline.resources.glue.request import JobRequest, start_parameters


@dataclass(frozen=True)
class Finished:
    """A job run that succeeded.

    how: ``started`` here; ``attached`` to a run that was under way; ``reused``: complete, and paid for, before.
    result: the script's completion record. reports: its messages that are not log lines.
    seconds: its execution time as Glue bills it.
    """

    job: str
    run_id: str
    attempt: int
    how: How
    result: Mapping[str, Any]
    cost: Cost
    seconds: float
    reports: tuple[Message, ...] = ()


HOW: Mapping[How, str] = {
    "started": "was started",
    "attached": "is under way, or ended unseen: this run takes it up",
    "reused": "was complete already, and is used as it is",
}


def unheard(_: Message) -> None:
    """Deliver messages to nobody."""


@dataclass(frozen=True)
class JobRunner:
    """Runs Glue jobs. client: boto3's of Glue. logs: gives boto3's of CloudWatch Logs, or None.

    store, prefix: where the runs' records are, which is also where scripts write results and messages.
    tell: hears what becomes of a run while one waits: its id, its states, why a call is repeated.
    """

    client: Any
    store: Objects
    prefix: str = "glue-runs"
    logs: Callable[[], Any] | None = None
    rates: Rates = field(default_factory=Rates)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    patience: Patience = field(default_factory=Patience)
    timing: Timing = field(default_factory=Timing)
    tell: Tell = unsaid

    @cached_property
    def runs(self) -> Runs:
        """Glue's job runs under this runner's policy."""
        return Runs(Calls(self.client, self.retry, self.timing, self.tell), self.patience)

    @cached_property
    def launcher(self) -> Launcher:
        """What finds or starts them."""
        return Launcher(self.runs, self._record_end)

    def run(self, request: JobRequest, deliver: Deliver = unheard) -> Finished:
        """Start the run or attach to it, wait, and return its result; a failure raises with its log's end.

        `deliver` gets every message of the script, also of one that fails. Whatever interrupts the wait
        stops the run, except a transient error: the next call attaches to the run.
        """
        return self.wait(self.launch(request), deliver)

    def launch(self, request: JobRequest) -> Flight:
        """Start a run, or find the one that is under way or complete under the same key."""
        start_parameters(request)  # what is wrong with it is said before anything is claimed
        seconds = self.patience.longest if request.deadline is None else request.deadline
        records = RunRecords(self.store, folder_of(self.prefix, request.job, request.key))
        flight = Flight(request, records, self.runs.after(seconds))
        with self._guarded(flight):
            self.launcher.launch(flight)
        self.tell(f"{begun(flight.about)} {HOW[flight.how]} (attempt {flight.attempt}).", "INFO")
        return flight

    def wait(self, flight: Flight, deliver: Deliver = unheard) -> Finished:
        """Wait for a launched run; see `run`."""
        messages = Messages(flight.records, flight.attempt)
        with self._guarded(flight):
            self._watch(flight, messages, deliver)
            return self._conclude(flight, messages)

    def stop(self, job: str, run_id: str) -> str:
        """Stop a run and wait until it is over; returns its final state, raises `JobRunNotStopped`."""
        return str(self.runs.stop(job, run_id)["JobRunState"])

    def _watch(self, flight: Flight, messages: Messages, deliver: Deliver) -> None:
        """Look until the run is over; its messages are read after each look, so the last look misses none."""
        told: str | None = "STARTING"
        for tries in itertools.count():
            if not flight.over:
                flight.run = self.runs.look(flight.request.job, flight.run_id, flight.until)
            messages.read(deliver)
            if flight.over:
                return
            state = flight.run.get("JobRunState")
            if state != told:
                told = state
                self.tell(f"{begun(flight.about)} is {state}.", "INFO")
            if state not in ACTIVE:
                raise UnknownState(
                    f'{begun(flight.about)} is in the state "{state}", which this version does not know; '
                    f"it knows {', '.join(sorted(ACTIVE | FINAL))}. Update lake_pipeline."
                )
            if not self.runs.pause(tries, flight.until):
                self._overdue(flight, messages, deliver)
                return

    def _overdue(self, flight: Flight, messages: Messages, deliver: Deliver) -> None:
        """The deadline has passed: stop the run; it may have succeeded at the last moment."""
        was, seconds = flight.run["JobRunState"], flight.request.deadline or self.patience.longest
        flight.run = {"JobRunState": "STOPPED"}  # for `_guarded`: it is being stopped here
        flight.run = self.runs.stop(flight.request.job, flight.run_id)
        messages.read(deliver)
        if flight.run["JobRunState"] == "SUCCEEDED":
            return
        self._record_end(flight, flight.run)
        advice = "Give it more time or more workers."
        if was in ("WAITING", "STARTING"):
            advice = "It had not begun: capacity was short, or concurrent runs were many."
        said = f"{begun(flight.about)} was {was} at its deadline of {seconds:g} s and was stopped. {advice}"
        raise JobRunOverdue("\n".join([said, *self._driver_log(flight, messages)]))

    def _conclude(self, flight: Flight, messages: Messages) -> Finished:
        """The result of a run that is over, or its failure."""
        cost = self._record_end(flight, flight.run)
        self.launcher.stop_doubles(flight)
        done = completion(flight.records, flight)
        if flight.run["JobRunState"] != "SUCCEEDED" or done.problem:
            raise failure(flight.about, flight.run, done, self._driver_log(flight, messages))
        return Finished(
            job=flight.request.job,
            run_id=flight.run_id,
            attempt=flight.attempt,
            how=flight.how,
            result=done.document,
            cost=cost,
            seconds=float(flight.run.get("ExecutionTime") or 0),
            reports=tuple(messages.reports),
        )

    def _record_end(self, flight: Flight, run: Mapping[str, Any], double: bool = False) -> Cost:
        """Record what a run cost, whatever came of it."""
        cost, run_id = cost_of(run, self.rates), str(run.get("Id") or flight.run_id)
        how = {
            "run_id": run_id,
            "state": run["JobRunState"],
            "day": day_of(run),
            "seconds": run.get("ExecutionTime") or 0,
            "cost": asdict(cost),
        }
        flight.records.end(flight.attempt, how, run_id if double else "")
        return cost

    def _driver_log(self, flight: Flight, messages: Messages) -> list[str]:
        group = str(flight.run.get("LogGroupName") or "")
        return driver_log(flight.records, flight, messages, self.logs, group)

    @contextmanager
    def _guarded(self, flight: Flight) -> Iterator[None]:
        """Leave no run behind that nobody waits for. A transient error does not count: the next call attaches."""
        try:
            yield
        except Transient as error:
            if not flight.sent:
                self._give_up(flight, error)
            raise
        except BaseException as error:
            if not flight.over:
                self._abandon(flight, error)
            raise

    def _abandon(self, flight: Flight, error: BaseException) -> None:
        try:
            found = [flight.run_id] if flight.run_id else []
            if flight.sent and not found:  # interrupted before StartJobRun's answer was noted
                found = [*self.runs.find(flight, self.runs.after(self.patience.stop), only_active=True)]
            for run_id in found:
                self._record_end(flight, self.runs.stop(flight.request.job, run_id))
            if not found:
                self._give_up(flight, error)
        except LakeError as e:
            error.add_note(str(e))

    def _give_up(self, flight: Flight, error: BaseException) -> None:
        """Nothing was started: record that, so that nobody has to wait for this worker's lease."""
        if not flight.claimed or flight.run_id:
            return
        try:
            reason = f"{type(error).__name__}: {error}"[:500]
            flight.records.keep(flight.attempt, Record("", reason))
        except LakeError as e:
            error.add_note(str(e))
