"""Waiting for a Glue job run, over real HTTP: every state, retries, deadlines, messages, results, cancelling."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from glue_endpoint import Endpoint, Fault, Run, Time, complete, glue_endpoint, log, play, say, succeeds

from lake_pipeline.errors import LakeError, Terminal, Transient
from lake_pipeline.resources.glue.calls import Backoff, RetryPolicy, Timing
from lake_pipeline.resources.glue.cost import Cost
from lake_pipeline.resources.glue.errors import (
    ArgumentRefused,
    GlueRefused,
    GlueUnavailable,
    JobMissing,
    JobRunFailed,
    JobRunLost,
    JobRunNotStopped,
    JobRunOverdue,
    UnknownState,
)
from lake_pipeline.resources.glue.request import JobRequest, RunOptions
from lake_pipeline.resources.glue.runs import JobRunner
from lake_pipeline.resources.glue.sizing import Workers
from lake_pipeline.storage import ObjectStore

REQUEST = JobRequest("validate", "orders/2024-05-01/ab12", {"contract": "s3://b/c.yaml"}, deadline=600.0)


def test_a_run_succeeds(glue: Endpoint, runner: JobRunner, now: Time) -> None:
    request = JobRequest(
        "validate", "orders/1", {"contract": "s3://b/c.yaml"}, RunOptions(workers=Workers("G.1X", 10))
    )
    done = runner.run(request)
    assert (done.run_id, done.attempt, done.how, done.seconds) == ("jr_0001", 1, "started", 90.0)
    assert done.result["rows"] == 3
    assert done.cost == Cost(0.25, 0.0725, "USD", 0.29)
    assert now.slept == [2.0, 3.0]
    sent = glue.runs[0].parameters
    assert (sent["WorkerType"], sent["NumberOfWorkers"], sent["ExecutionClass"]) == ("G.1X", 10, "FLEX")
    names = {"result": "result.json", "messages": "messages", "driver-log": "driver.log"}
    assert sent["Arguments"] == {
        "--job-bookmark-option": "job-bookmark-disable",
        "--contract": "s3://b/c.yaml",
        "--lake-run-key": "orders/1",
        "--lake-attempt": "1",
        **{
            f"--lake-{name}": runner.store.uri(f"glue-runs/validate/orders/1/001/{file}")
            for name, file in names.items()
        },
    }


ENDINGS: dict[str, tuple[type[LakeError], str]] = {
    "FAILED": (JobRunFailed, "Correct what the log names"),
    "STOPPED": (JobRunFailed, "stopped it"),
    "TIMEOUT": (JobRunFailed, "Raise timeout_minutes"),
    "ERROR": (JobRunLost, "Glue itself failed"),
    "EXPIRED": (JobRunLost, "waited for capacity"),
}


@pytest.mark.parametrize("state", ENDINGS)
def test_every_final_state_ends_the_wait(glue: Endpoint, runner: JobRunner, state: str) -> None:
    glue.play = play("WAITING", "STARTING", "RUNNING", "STOPPING", state, ErrorMessage="It broke.")
    kind, advice = ENDINGS[state]
    with pytest.raises(kind, match=advice) as failed:
        runner.run(REQUEST)
    text = str(failed.value)
    assert f'The run jr_0001 of the job "validate" ended as {state} after 90 s: It broke. ' in text
    assert glue.count("BatchStopJobRun") == 0
    assert runner.store.read("glue-runs/validate/orders/2024-05-01/ab12/001/end.json")


@pytest.mark.parametrize(
    ("extra", "message", "kind"),
    [
        ({"error": "no such column", "status": "failed"}, "", JobRunFailed),
        ({"error": "S3 said SlowDown", "status": "failed", "transient": True}, "", JobRunLost),
        ({"status": "failed"}, "Resource unavailable", JobRunLost),
    ],
)
def test_a_failed_script_may_say_that_it_passes(
    glue: Endpoint, runner: JobRunner, extra: dict[str, Any], message: str, kind: type[LakeError]
) -> None:
    glue.play = play("FAILED", first=lambda run: complete(run, **extra), ErrorMessage=message)
    with pytest.raises(kind, match=extra.get("error", message)):
        runner.run(REQUEST)


def test_a_state_that_nobody_knows_is_named_and_the_run_stopped(glue: Endpoint, runner: JobRunner) -> None:
    glue.play = play("RUNNING", "PONDERING")
    with pytest.raises(UnknownState, match=r'in the state "PONDERING".*it knows ERROR, EXPIRED'):
        runner.run(REQUEST)
    assert glue.runs[0].state == "STOPPED"


BUSY = [
    Fault("ConcurrentRunsExceededException"),
    Fault("ThrottlingException"),
    Fault("TooManyRequestsException", 429),
    Fault("RequestLimitExceeded", 503),
    Fault("ResourceNumberLimitExceededException"),
]
BROKEN = [
    Fault("InternalServiceException", 500),
    Fault("OperationTimeoutException"),
    Fault("", 502),
    Fault(drop=True),
]


@pytest.mark.parametrize("fault", BUSY + BROKEN, ids=lambda f: f.code or str(f.status))
def test_what_passes_is_repeated_after_growing_pauses(
    glue: Endpoint, runner: JobRunner, now: Time, fault: Fault
) -> None:
    glue.fail("StartJobRun", fault, fault)
    glue.fail("GetJobRun", fault)
    glue.fail("GetJobRuns", fault)
    assert runner.run(REQUEST).run_id == "jr_0001"
    assert len(glue.runs) == 1
    assert now.slept == [1.0, 1.0, 2.0, 1.0, 2.0, 3.0]


def test_pauses_are_left_to_chance_in_part(glue: Endpoint, tmp_path: Path, now: Time) -> None:
    glue.fail("StartJobRun", *[Fault()] * 3)
    client = glue.client()
    policy = RetryPolicy(Backoff(first=4, factor=2, most=10, jitter=0.5))
    timing = Timing(now.clock, now.sleep, lambda: 0.0)
    JobRunner(client, ObjectStore(str(tmp_path)), retry=policy, timing=timing).launch(REQUEST)
    client.close()
    assert now.slept == [2.0, 4.0, 5.0]


def test_busy_until_the_deadline_is_transient_and_starts_nothing(
    glue: Endpoint, runner: JobRunner, now: Time
) -> None:
    glue.fail("StartJobRun", *[Fault("ConcurrentRunsExceededException", message="Too many runs")] * 50)
    with pytest.raises(GlueUnavailable, match=r"Too many runs.*Gave up at the deadline after 2[0-9] tries"):
        runner.run(REQUEST)
    assert issubclass(GlueUnavailable, Transient)
    assert now.now <= 600
    assert glue.runs == []


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("InvalidInputException", "Correct the job's options"),
        ("AccessDeniedException", "Allow glue:StartJobRun"),
        ("ExpiredTokenException", "credentials"),
        ("SomethingNewException", "repeating does not help"),
    ],
)
def test_what_does_not_pass_is_terminal(
    glue: Endpoint, runner: JobRunner, now: Time, code: str, says: str
) -> None:
    glue.fail("StartJobRun", Fault(code, message="No"))
    with pytest.raises(GlueRefused, match=says) as refused:
        runner.run(REQUEST)
    assert isinstance(refused.value, Terminal)
    assert code in str(refused.value)
    assert now.slept == []
    assert runner.run(REQUEST).attempt == 2  # without waiting for a lease: the refusal was recorded
    assert glue.count("StartJobRun") == 2


def test_a_job_that_is_not_there_is_named(glue: Endpoint, runner: JobRunner) -> None:
    with pytest.raises(JobMissing, match=r'StartJobRun|the job "nope".*Create it \(`GlueJobs.ensure`\)'):
        runner.run(JobRequest("nope", "k"))
    assert glue.runs == []


def test_what_cannot_be_sent_is_refused_before_anything_is_written(glue: Endpoint, runner: JobRunner) -> None:
    with pytest.raises(ArgumentRefused, match="reserved"):
        runner.run(JobRequest("validate", "k", {"JOB_NAME": "x"}))
    assert glue.calls == []
    assert [*runner.store.list()] == []


def test_at_the_deadline_the_run_is_stopped(glue: Endpoint, runner: JobRunner, now: Time) -> None:
    def forever(run: Run) -> Iterator[str]:
        say(run, 1, log("still at it"))
        while True:
            yield "RUNNING"

    glue.play = forever
    heard: list[Mapping[str, Any]] = []
    with pytest.raises(JobRunOverdue, match="was RUNNING at its deadline of 600 s and was stopped") as late:
        runner.run(REQUEST, heard.append)
    assert "  | still at it" in str(late.value)
    assert glue.runs[0].state == "STOPPED"
    assert glue.count("BatchStopJobRun") == 1
    assert [m["params"]["message"] for m in heard] == ["still at it"]
    assert 600 <= now.now <= 610


def test_a_run_that_succeeds_while_it_is_stopped_counts(glue: Endpoint, runner: JobRunner) -> None:
    def late(run: Run) -> Iterator[str]:
        while not glue.count("BatchStopJobRun"):
            yield "RUNNING"
        complete(run)
        yield "SUCCEEDED"

    glue.play, glue.stubborn = late, True
    assert runner.run(REQUEST).result["rows"] == 3


def test_a_run_that_does_not_stop_is_an_error_that_says_how(glue: Endpoint, runner: JobRunner) -> None:
    glue.play, glue.stubborn = play(*["RUNNING"] * 500), True
    with pytest.raises(
        JobRunNotStopped, match="aws glue batch-stop-job-run --job-name validate --job-run-ids jr_0001"
    ):
        runner.run(REQUEST)
    assert glue.count("BatchStopJobRun") == 1


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, dg.DagsterExecutionInterruptedError, ValueError])
def test_what_interrupts_the_wait_stops_the_run(
    glue: Endpoint, runner: JobRunner, now: Time, interruption: type[BaseException]
) -> None:
    glue.play = play("STARTING", *["RUNNING"] * 50)

    def interrupt(when: float) -> None:
        if when >= 5.0 and not glue.count("BatchStopJobRun"):
            raise interruption

    now.during = interrupt
    with pytest.raises(interruption):
        runner.run(REQUEST)
    assert glue.runs[0].state == "STOPPED"
    now.during = lambda _: None
    glue.play = succeeds
    again = runner.run(REQUEST)
    assert (again.run_id, again.attempt) == ("jr_0002", 2)


def test_an_interruption_is_not_hidden_by_a_run_that_does_not_stop(
    glue: Endpoint, runner: JobRunner, now: Time
) -> None:
    glue.play, glue.stubborn = play(*["RUNNING"] * 500), True

    def interrupt(_: float) -> None:
        if not glue.count("BatchStopJobRun"):
            raise KeyboardInterrupt

    now.during = interrupt
    with pytest.raises(KeyboardInterrupt) as interrupted:
        runner.run(REQUEST)
    assert "aws glue batch-stop-job-run" in interrupted.value.__notes__[0]
    assert now.now <= 130


def test_a_transient_error_leaves_the_run_to_the_next_worker(glue: Endpoint, runner: JobRunner) -> None:
    def breaks(_: Mapping[str, Any]) -> None:
        raise GlueUnavailable("later")

    def talks(run: Run) -> Iterator[str]:
        say(run, 1, log("hello"))
        yield from succeeds(run)

    glue.play = talks
    with pytest.raises(GlueUnavailable):
        runner.run(REQUEST, breaks)
    assert glue.count("BatchStopJobRun") == 0
    heard: list[Any] = []
    done = runner.run(REQUEST, heard.append)
    assert (done.run_id, done.how, len(heard)) == ("jr_0001", "attached", 1)


def test_a_run_that_is_a_process_succeeds_fails_and_is_killed(tmp_path: Path) -> None:
    """The endpoint as others use it: each run is a command line."""
    script = tmp_path / "script.py"
    script.write_text(
        "import json, pathlib, sys, time\n"
        "a = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n"
        "if a['--do'] == 'wait': time.sleep(600)\n"
        "own = {'run_key': a['--lake-run-key'], 'attempt': int(a['--lake-attempt']), 'said': a['--do']}\n"
        "pathlib.Path(a['--lake-result'].removeprefix('file://')).write_text(json.dumps(own))\n"
        "print('did', a['--do'])\n"
        "sys.exit(a['--do'] == 'fail')\n"
    )

    def command(job: str, run_id: str, arguments: Mapping[str, str]) -> list[str]:
        return [sys.executable, str(script), *(part for pair in arguments.items() for part in pair)]

    with glue_endpoint(on_start=command, folder=tmp_path) as glue:
        glue.job("validate")
        client = glue.client()
        timing = Timing(sleep=lambda _: time.sleep(0.01))
        runner = JobRunner(client, ObjectStore(str(tmp_path / "ops")), timing=timing)
        assert runner.run(JobRequest("validate", "a", {"do": "work"}, deadline=60)).result["said"] == "work"
        assert (tmp_path / "jr_0001.log").read_text() == "did work\n"
        with pytest.raises(JobRunFailed, match="exit code 1"):
            runner.run(JobRequest("validate", "b", {"do": "fail"}, deadline=60))
        flight = runner.launch(JobRequest("validate", "c", {"do": "wait"}, deadline=60))
        assert runner.stop("validate", flight.run_id) == "STOPPED"
        process = glue.runs[2].process
        assert process is not None
        assert process.poll() is not None
        client.close()


def test_our_own_part_of_a_run_is_small(glue: Endpoint, runner: JobRunner) -> None:
    """CPU of this thread for a whole run of three looks, boto3 included; the server has threads of its own."""
    runner.run(JobRequest("validate", "warm"))
    before = time.thread_time()
    runner.run(REQUEST)
    assert time.thread_time() - before < 0.1
