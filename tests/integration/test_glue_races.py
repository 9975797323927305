"""Workers that race for one key, or are interrupted while they launch: in the end one run counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from glue_endpoint import Endpoint, Fault, Run, Time, complete

from lake_pipeline.resources.glue.calls import Timing
from lake_pipeline.resources.glue.errors import GlueRefused, GlueUnavailable
from lake_pipeline.resources.glue.request import JobRequest
from lake_pipeline.resources.glue.runs import JobRunner
from lake_pipeline.storage import ObjectStore

REQUEST = JobRequest(
    "validate", "orders/1/ab12", {"contract": "s3://b/c.yaml"}, deadline=600.0, owner="dagster-1"
)
OTHER = replace(REQUEST, owner="dagster-2")


def test_racing_workers_share_one_run(glue: Endpoint, store: ObjectStore) -> None:
    start, done, failed = threading.Barrier(6), [], []

    def work(number: int) -> None:
        client, own = glue.client(), Time()
        timing = Timing(own.clock, own.sleep)
        start.wait(30)
        try:
            runner = JobRunner(client, store, timing=timing)
            done.append(runner.run(replace(REQUEST, owner=f"dagster-{number}")))
        except Exception as e:
            failed.append(e)
        client.close()

    def patient(run: Run) -> Iterator[str]:  # each of the six looks often enough
        yield from ["RUNNING"] * 5
        complete(run)
        yield "SUCCEEDED"

    glue.play = patient
    # by their own clocks the others' leases are over at once: any of them may start a run as well
    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert len(done) == 6
    assert len({d.run_id for d in done}) == 1
    assert [r.id for r in glue.runs if r.state != "STOPPED"] == [done[0].run_id]


def test_two_that_start_at_once_keep_one(
    glue: Endpoint, runner: JobRunner, store: ObjectStore, client: Any
) -> None:
    """A worker was paused in StartJobRun for longer than its lease; another one took over meanwhile."""
    later = Time()
    other = JobRunner(client, store, timing=Timing(later.clock, later.sleep))

    def take_over(operation: str, _: dict[str, Any]) -> None:
        if operation == "StartJobRun":
            glue.hook = lambda *_: None
            other.launch(OTHER)

    glue.hook = take_over
    done = runner.run(REQUEST)
    assert (done.run_id, done.how) == ("jr_0001", "attached")
    assert sum(later.slept) >= 60
    assert {run.id: run.state for run in glue.runs} == {"jr_0001": "SUCCEEDED", "jr_0002": "STOPPED"}


def test_a_claim_given_up_meanwhile_ends_the_attempt(
    glue: Endpoint, runner: JobRunner, store: ObjectStore, client: Any
) -> None:
    """The paused worker was refused at last, and recorded that, after another one took over."""
    later = Time()
    other = JobRunner(client, store, timing=Timing(later.clock, later.sleep))
    glue.fail("StartJobRun", Fault("AccessDeniedException"))

    def take_over(operation: str, _: dict[str, Any]) -> None:
        if operation != "StartJobRun":
            return
        glue.hook = lambda *_: None
        with pytest.raises(GlueRefused):
            other.run(OTHER)

    glue.hook = take_over
    done = runner.run(REQUEST)
    assert (done.run_id, done.attempt) == ("jr_0002", 2)
    assert {run.id: run.state for run in glue.runs} == {"jr_0001": "STOPPED", "jr_0002": "SUCCEEDED"}


def test_a_client_with_hidden_retries_leaves_one_run(glue: Endpoint, store: ObjectStore, now: Time) -> None:
    glue.fail("StartJobRun", Fault("InternalServiceException", 500, after=True))
    client = glue.client(retries={"mode": "standard", "total_max_attempts": 2})
    done = JobRunner(client, store, timing=Timing(now.clock, now.sleep)).run(REQUEST)
    client.close()
    assert {run.id: run.state for run in glue.runs} == {"jr_0001": "STOPPED", "jr_0002": "SUCCEEDED"}
    assert done.run_id == "jr_0002"


def test_while_glue_is_busy_another_workers_run_and_refusal_are_seen(
    glue: Endpoint, runner: JobRunner, now: Time, client: Any, store: ObjectStore
) -> None:
    """It is throttled for longer than its lease; before every try it looks at what is recorded."""
    later = Time()
    other = JobRunner(client, store, timing=Timing(later.clock, later.sleep))
    glue.fail("StartJobRun", Fault(), Fault("AccessDeniedException"), Fault())

    def refused(_: float) -> None:
        now.during = taken
        with pytest.raises(GlueRefused):
            other.run(OTHER)  # ends the first attempt

    def taken(_: float) -> None:
        now.during = lambda _: None
        assert other.run(OTHER).attempt == 2

    now.during = refused
    done = runner.run(REQUEST)
    assert (done.run_id, done.attempt, done.how, len(glue.runs)) == ("jr_0001", 2, "attached", 1)
    assert glue.count("StartJobRun") == 4


def test_a_call_that_changed_nothing_is_repeated_without_a_search(glue: Endpoint, runner: JobRunner) -> None:
    glue.fail("StartJobRun", *[Fault("ConcurrentRunsExceededException")] * 5)
    runner.run(REQUEST)
    assert glue.count("GetJobRuns") == 1
    glue.fail("StartJobRun", Fault(drop=True))
    runner.run(replace(REQUEST, key="orders/2"))
    assert glue.count("GetJobRuns") == 5  # an answer was lost: before, after, and when the run is over


class Interrupted(ObjectStore):
    """A store in which an interruption arrives while the JobRunId is written."""

    def create(self, key: str, body: bytes) -> bool:
        if key.endswith("run.json"):
            raise KeyboardInterrupt
        return super().create(key, body)


def test_an_interruption_before_the_run_is_recorded_stops_it(
    glue: Endpoint, runner: JobRunner, tmp_path: Path
) -> None:
    glue.play = lambda _: iter(["RUNNING"] * 9)
    with pytest.raises(KeyboardInterrupt):
        replace(runner, store=Interrupted(str(tmp_path / "ops"))).run(REQUEST)
    assert glue.runs[0].state == "STOPPED"


def test_an_interruption_while_glue_is_busy_frees_the_attempt(
    glue: Endpoint, runner: JobRunner, now: Time
) -> None:
    glue.fail("StartJobRun", *[Fault("ConcurrentRunsExceededException")] * 3)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    now.during = interrupt
    with pytest.raises(KeyboardInterrupt):
        runner.run(REQUEST)
    now.during = lambda _: None
    assert glue.runs == []
    assert runner.run(OTHER).attempt == 2  # no lease to wait for
    assert sum(now.slept) < 60


def test_a_claim_that_outlasts_the_deadline_is_transient(
    glue: Endpoint, runner: JobRunner, store: ObjectStore, now: Time
) -> None:
    store.create("glue-runs/validate/orders/1/ab12/001/claim.json", b'{"owner": "somebody"}')
    with pytest.raises(GlueUnavailable, match="Another worker claimed"):
        runner.run(replace(REQUEST, deadline=30.0))
    assert (glue.runs, now.now) == ([], 30.0)
