"""One run for one key, whatever dies: killed workers, lost answers, racing workers, lost records."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from glue_endpoint import Endpoint, Fault, Refusal, Run, Time, complete, succeeds

from lake_pipeline.resources.glue.errors import JobRunFailed
from lake_pipeline.resources.glue.request import JobRequest
from lake_pipeline.resources.glue.runs import JobRunner
from lake_pipeline.storage import ObjectStore

REQUEST = JobRequest(
    "validate", "orders/1/ab12", {"contract": "s3://b/c.yaml"}, deadline=600.0, owner="dagster-1"
)
OTHER = replace(REQUEST, owner="dagster-2")
FOLDER = "glue-runs/validate/orders/1/ab12"

WORKER = """
import sys, time
import boto3
from botocore.config import Config
from lake_pipeline.resources.glue.calls import Timing
from lake_pipeline.resources.glue.request import JobRequest
from lake_pipeline.resources.glue.runs import JobRunner
from lake_pipeline.storage import ObjectStore
client = boto3.client("glue", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="a",
    aws_secret_access_key="b", config=Config(retries={"total_max_attempts": 1}))
runner = JobRunner(client, ObjectStore(sys.argv[2]), timing=Timing(sleep=lambda _: time.sleep(0.01)))
runner.run(JobRequest("validate", "orders/1/ab12", {"contract": "s3://b/c.yaml"}, owner="dagster-1"))
"""


class Victim:
    """A worker in a process of its own, to be killed."""

    def __init__(self, glue: Endpoint, store: ObjectStore) -> None:
        command = [sys.executable, "-c", WORKER, glue.url, store.root]
        self.process = subprocess.Popen(command, cwd=Path(__file__).parents[2])

    def kill(self) -> None:
        """As the kernel kills: no handler, no finally."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def died(self) -> bool:
        return self.process.wait(60) == -signal.SIGKILL


def before_start(glue: Endpoint, kill: Callable[[], None]) -> None:
    def killing(operation: str, _: dict[str, Any]) -> None:
        if operation == "StartJobRun":
            kill()
            raise Refusal("ThrottlingException", "nobody hears this")

    glue.hook = killing


def after_start(glue: Endpoint, kill: Callable[[], None]) -> None:
    def killing(run: Run) -> Iterator[str]:
        kill()
        return succeeds(run)

    glue.play = killing


def while_waiting(glue: Endpoint, kill: Callable[[], None]) -> None:
    def killing(run: Run) -> Iterator[str]:
        yield "STARTING"
        kill()
        yield from ["RUNNING"] * 3
        complete(run)
        yield "SUCCEEDED"

    glue.play = killing


def after_success(glue: Endpoint, kill: Callable[[], None]) -> None:
    def killing(run: Run) -> Iterator[str]:
        complete(run)
        kill()
        yield "SUCCEEDED"

    glue.play = killing


@pytest.mark.parametrize("request_again", [REQUEST, OTHER], ids=["same owner", "another owner"])
@pytest.mark.parametrize(
    ("point", "how"),
    [
        (before_start, "started"),
        (after_start, "attached"),
        (while_waiting, "attached"),
        (after_success, "reused"),
    ],
)
def test_a_killed_workers_run_is_taken_up(
    glue: Endpoint,
    store: ObjectStore,
    runner: JobRunner,
    now: Time,
    point: Callable[[Endpoint, Callable[[], None]], None],
    how: str,
    request_again: JobRequest,
) -> None:
    ready = threading.Event()
    victims: list[Victim] = []

    def kill() -> None:
        if ready.wait(60) and victims:
            victims.pop().kill()

    point(glue, kill)
    victim = Victim(glue, store)
    victims.append(victim)
    ready.set()
    assert victim.died()
    glue.hook, glue.play = lambda *_: None, succeeds
    done = runner.run(request_again)
    assert (done.run_id, done.attempt, done.how) == ("jr_0001", 1, how)
    assert len(glue.runs) == 1
    waited = point is before_start and request_again is OTHER  # nobody knows whether the claimant lives
    assert (sum(now.slept) >= 60) == waited


@pytest.mark.parametrize(
    "fault", [Fault(drop=True, after=True), Fault("InternalServiceException", 500, after=True)]
)
def test_a_lost_answer_starts_no_second_run(glue: Endpoint, runner: JobRunner, fault: Fault) -> None:
    glue.page = 1
    glue.fail("StartJobRun", fault)
    assert runner.run(REQUEST).run_id == "jr_0001"
    assert (len(glue.runs), glue.count("StartJobRun")) == (1, 1)


def test_the_run_is_found_on_any_page(glue: Endpoint, runner: JobRunner, store: ObjectStore) -> None:
    """The window between StartJobRun's answer and the record, with many runs since."""
    runner.run(REQUEST)
    for file in ("run.json", "end.json"):
        store.delete([f"{FOLDER}/001/{file}"])
    for number in range(7):
        runner.run(JobRequest("validate", f"orders/other/{number}"))
    glue.page, before = 2, glue.count("GetJobRuns")
    assert runner.run(REQUEST).run_id == "jr_0001"
    assert glue.count("GetJobRuns") == before + 4
    assert len(glue.runs) == 8


def test_a_complete_run_is_used_as_it_is(glue: Endpoint, runner: JobRunner) -> None:
    first = runner.run(REQUEST)
    starts = glue.count("StartJobRun")
    again = runner.run(OTHER)
    assert again == replace(first, how="reused")
    assert glue.count("StartJobRun") == starts == 1


def test_also_when_glue_has_forgotten_it(glue: Endpoint, runner: JobRunner) -> None:
    first = runner.run(REQUEST)
    glue.runs.clear()
    again = runner.run(REQUEST)
    assert (again.run_id, again.how, again.cost) == (first.run_id, "reused", first.cost)
    assert glue.runs == []


def test_a_success_whose_record_is_gone_is_run_again(
    glue: Endpoint, runner: JobRunner, store: ObjectStore
) -> None:
    runner.run(REQUEST)
    store.delete([f"{FOLDER}/001/result.json"])
    assert runner.run(REQUEST).attempt == 2
    assert len(glue.runs) == 2


def test_lost_records_still_find_the_run_that_lives(
    glue: Endpoint, runner: JobRunner, store: ObjectStore
) -> None:
    runner.launch(REQUEST)
    store.delete([o.key for o in store.list()])
    done = runner.run(REQUEST)
    assert (done.run_id, done.how, len(glue.runs)) == ("jr_0001", "attached", 1)


def failing(_: Run) -> Iterator[str]:
    yield "FAILED"


def test_after_a_failure_the_next_call_is_a_new_attempt_with_its_own_objects(
    glue: Endpoint, runner: JobRunner
) -> None:
    glue.play = failing
    with pytest.raises(JobRunFailed):
        runner.run(REQUEST)
    glue.play = succeeds
    done = runner.run(REQUEST)
    assert (done.run_id, done.attempt) == ("jr_0002", 2)
    assert glue.runs[1].arguments["--lake-result"].endswith("/ab12/002/result.json")


def test_a_failure_that_nobody_saw_is_told_to_its_owner_once(glue: Endpoint, runner: JobRunner) -> None:
    glue.play = failing
    runner.launch(REQUEST)
    glue.play = succeeds
    with pytest.raises(JobRunFailed):
        runner.run(REQUEST)
    assert runner.run(REQUEST).attempt == 2


def test_a_failure_that_nobody_saw_does_not_stop_another_owner(glue: Endpoint, runner: JobRunner) -> None:
    glue.play = failing
    runner.launch(REQUEST)
    glue.play = succeeds
    assert runner.run(OTHER).attempt == 2


def test_a_run_that_is_being_stopped_is_waited_for_and_replaced(glue: Endpoint, runner: JobRunner) -> None:
    glue.play = lambda _: iter(["RUNNING", "STOPPING", "STOPPING", "STOPPED"])
    flight = runner.launch(REQUEST)
    runner.runs.look("validate", flight.run_id, 600)
    glue.play = succeeds
    done = runner.run(OTHER)
    assert (done.run_id, done.attempt) == ("jr_0002", 2)
    assert glue.runs[0].state == "STOPPED"
