"""How a run comes to be launched once, whatever dies in between.

An attempt is claimed (a conditional write) before StartJobRun, and the JobRunId is recorded (another one)
after it. A worker that finds a claim without a JobRunId asks GetJobRuns for a run that carries its key and
attempt, and starts one only if there is none. Should two workers start one all the same (one was paused for
longer than the lease of its claim), the record decides, and the other run is stopped.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lake_pipeline.resources.glue.endings import FINAL, completion
from lake_pipeline.resources.glue.errors import GlueRefused, GlueUnavailable, JobMissing
from lake_pipeline.resources.glue.flight import Flight, Runs
from lake_pipeline.resources.glue.records import Record
from lake_pipeline.resources.glue.request import (
    ATTEMPT,
    DRIVER_LOG,
    MESSAGES,
    RESULT,
    RUN_KEY,
    start_parameters,
)


@dataclass(frozen=True)
class Launcher:
    """Finds the run of a key, or starts it.

    ended: told of every run that is over and has no success to show, with how Glue describes it, and whether
    it was a second run of its attempt.
    """

    runs: Runs
    ended: Callable[[Flight, Mapping[str, Any], bool], object]

    def launch(self, flight: Flight) -> None:
        """Bring the flight to a run that is under way, complete, or ended unseen."""
        attempt = flight.records.last() or 1
        while not self._take(flight, attempt):
            attempt += 1

    def _take(self, flight: Flight, attempt: int) -> bool:
        """Whether this attempt is the one to wait for; not, if it has ended without success."""
        flight.begin(attempt)
        fresh = flight.records.claim(attempt, flight.request.owner)
        known = None if fresh else self._known(flight)
        if known is None:
            return self._start(flight, fresh)
        if not known.run_id:
            return False
        return self._attach(flight, known.run_id)

    def _known(self, flight: Flight) -> Record | None:
        """The run of an attempt that somebody claimed; None if it is for us to start."""
        records, attempt = flight.records, flight.attempt
        own, lease = self._owns(flight), self.runs.after(self.runs.patience.lease)
        for tries in itertools.count():
            record = records.kept(attempt)
            found = "" if record else next(self.runs.find(flight, flight.until), "")
            if found:
                record = records.keep(attempt, Record(found))
            if record or own or not self.runs.pause(tries, min(lease, flight.until)):
                break
        if not record and not own and self.runs.after(0) >= flight.until:
            raise GlueUnavailable(
                f"Another worker claimed {flight.about} under the key {flight.key} and has not started it at the "
                "deadline. Repeat it."
            )
        return record

    def _owns(self, flight: Flight) -> bool:
        owner = flight.request.owner
        return bool(owner) and flight.records.owner(flight.attempt) == owner

    def _attach(self, flight: Flight, run_id: str) -> bool:
        """Whether a known run is under way, complete, or ended while its owner was away."""
        flight.run_id, flight.how = run_id, "attached"
        for tries in itertools.count():
            flight.run = self._look(flight)
            state = flight.run["JobRunState"]
            if state != "STOPPING" or not self.runs.pause(tries, flight.until):
                break
        if state not in FINAL:  # a state that nobody knows is for the wait to refuse
            return True
        if state == "SUCCEEDED" and not completion(flight.records, flight).problem:
            flight.how = "reused"
            return True
        unseen = flight.records.ended(flight.attempt) is None and state != "STOPPED"
        if unseen and self._owns(flight):
            return True
        self.ended(flight, flight.run, False)
        return False

    def _look(self, flight: Flight) -> Mapping[str, Any]:
        """The run as Glue describes it; one that Glue forgot (after 90 days), as the lake remembers it."""
        try:
            return self.runs.look(flight.request.job, flight.run_id, flight.until)
        except JobMissing:
            ended = flight.records.ended(flight.attempt) or {"state": "STOPPED"}
            seconds = float(ended.get("cost", {}).get("dpu_hours", 0)) * 3600
            return {
                "JobRunState": ended["state"],
                "ExecutionTime": ended.get("seconds", 0),
                "DPUSeconds": seconds,
            }

    def _start(self, flight: Flight, fresh: bool) -> bool:
        """StartJobRun, repeated with care: before every call that could be a second one, look for the first."""
        flight.claimed = True
        parameters = self._parameters(flight)

        def attempt(tries: int) -> str:
            kept = flight.records.kept(flight.attempt) if tries or not fresh else None
            if kept:
                return kept.run_id
            found: Iterator[str]
            if flight.sent or not fresh:
                found = self.runs.find(flight, flight.until)
            else:  # has no run, unless its records were lost; then the newest page shows one that lives
                found = self.runs.find(flight, flight.until, only_active=True, pages=0 if tries else 1)
            return next(found, "") or self._send(flight, parameters, fresh)

        started = self.runs.calls.retry(attempt, flight.until)
        if not started:  # another worker took over meanwhile, and gave up
            return False
        flight.how = "started" if started == flight.run_id else "attached"
        flight.run_id = started
        kept = flight.records.keep(flight.attempt, Record(started)).run_id
        if kept == started:
            self.stop_doubles(flight)
            return True
        # another worker's run, or its refusal, was recorded first
        self.ended(flight, self.runs.stop(flight.request.job, started), True)
        return bool(kept) and self._attach(flight, kept)

    def _send(self, flight: Flight, parameters: Mapping[str, Any], fresh: bool) -> str:
        before, flight.sent = flight.sent, True
        try:
            answer = self.runs.calls.once("start_job_run", flight.about, **parameters)
        except GlueUnavailable as e:
            flight.sent = before or e.ambiguous
            raise
        except GlueRefused:
            flight.sent = before
            raise
        flight.run_id = str(answer["JobRunId"])
        hidden = bool(answer.get("ResponseMetadata", {}).get("RetryAttempts"))
        flight.doubtful = before or not fresh or hidden
        return flight.run_id

    def stop_doubles(self, flight: Flight) -> None:
        """Where StartJobRun may have had its effect twice, stop every run of the attempt but the recorded one.

        GetJobRuns need not show at once what a lost answer started, and a client that retries by itself (see
        `CLIENT_RETRIES`) may have started more runs than it says.
        """
        if not flight.doubtful:
            return
        for run_id in [*self.runs.find(flight, flight.until, only_active=True)]:
            if run_id != flight.run_id:
                self.ended(flight, self.runs.stop(flight.request.job, run_id), True)

    def _parameters(self, flight: Flight) -> dict[str, Any]:
        parameters, attempt, records = start_parameters(flight.request), flight.attempt, flight.records
        own = {
            RUN_KEY: flight.key,
            ATTEMPT: str(attempt),
            RESULT: records.uri(attempt, "result.json"),
            MESSAGES: records.uri(attempt, "messages"),
            DRIVER_LOG: records.uri(attempt, "driver.log"),
        }
        return {**parameters, "Arguments": {**parameters["Arguments"], **own}}
