"""What a job's script leaves: the completion record, messages and the end of its log, over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from glue_endpoint import Endpoint, Run, Time, complete, log, play, put, say

from lake_pipeline.resources.glue.calls import Timing
from lake_pipeline.resources.glue.errors import CompletionMissing, JobRunFailed
from lake_pipeline.resources.glue.request import JobRequest
from lake_pipeline.resources.glue.runs import JobRunner
from lake_pipeline.storage import ObjectStore

REQUEST = JobRequest("validate", "orders/2024-05-01/ab12", {"contract": "s3://b/c.yaml"}, deadline=600.0)


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda run: None, "there is no completion record at file://"),
        (lambda run: complete(run, run_key="other"), '"other" as run_key, not "orders/2024-05-01/ab12"'),
        (lambda run: complete(run, attempt=7), '"7" as attempt, not "1"'),
        (lambda run: complete(run, job_run_id="jr_9"), '"jr_9" as job_run_id, not "jr_0001"'),
        (lambda run: put(run.arguments["--lake-result"], "{}"), "has nothing as run_key"),
        (lambda run: put(run.arguments["--lake-result"], "[]"), "not an object but a list"),
        (lambda run: put(run.arguments["--lake-result"], "{"), "is not JSON"),
        (lambda run: complete(run, status="half"), 'the completion record says "half"'),
    ],
)
def test_success_without_a_completion_record_is_none(
    glue: Endpoint, runner: JobRunner, write: Callable[[Run], None], says: str
) -> None:
    glue.play = play("SUCCEEDED", first=write)
    with pytest.raises(CompletionMissing) as missing:
        runner.run(REQUEST)
    assert "ended as SUCCEEDED" in str(missing.value)
    assert says in str(missing.value)


def test_a_record_that_says_failed_fails_a_run_that_glue_calls_succeeded(
    glue: Endpoint, runner: JobRunner
) -> None:
    glue.play = play("SUCCEEDED", first=lambda run: complete(run, status="failed", error="no such column"))
    with pytest.raises(JobRunFailed, match="no such column"):
        runner.run(REQUEST)


def test_messages_arrive_while_the_run_runs_in_order_and_once(
    glue: Endpoint, runner: JobRunner, now: Time
) -> None:
    report = {"method": "report_asset_materialization", "params": {"asset_key": "x", "metadata": {}}}

    def talks(run: Run) -> Iterator[str]:
        yield "STARTING"
        say(run, 1, log("one"), log("two", "WARNING"))
        yield "RUNNING"
        yield "RUNNING"
        say(run, 10, log("four"))
        say(run, 9, "three, not JSON", report)
        complete(run)
        yield "SUCCEEDED"

    glue.play = talks
    heard: list[tuple[float, Any]] = []
    done = runner.run(REQUEST, lambda m: heard.append((now.now, m["params"].get("message", m["method"]))))
    assert [what for _, what in heard] == ["one", "two", "three, not JSON", report["method"], "four"]
    assert [when for when, _ in heard] == [2.0, 2.0, 9.5, 9.5, 9.5]
    assert done.reports == (report,)


def test_a_failing_job_still_delivers_messages_and_the_end_of_its_log(
    glue: Endpoint, runner: JobRunner
) -> None:
    def fails(run: Run) -> Iterator[str]:
        yield "RUNNING"
        say(run, 1, *[log(f"line {n}") for n in range(100)])
        yield "FAILED"

    glue.play = fails
    heard: list[Any] = []
    with pytest.raises(JobRunFailed) as failed:
        runner.run(REQUEST, heard.append)
    assert len(heard) == 100
    lines = str(failed.value).splitlines()
    assert lines[1] == "Last lines of the driver's log, of its messages:"
    assert lines[2:] == [f"  | line {n}" for n in range(70, 100)]


def test_the_log_that_the_script_saved_is_quoted_first(glue: Endpoint, runner: JobRunner) -> None:
    glue.play = play(
        "FAILED", first=lambda run: put(run.arguments["--lake-driver-log"], "Traceback\nKeyError: 'x'\n")
    )
    with pytest.raises(JobRunFailed, match=r"as the script saved them:\n  \| Traceback\n  \| KeyError: 'x'"):
        runner.run(REQUEST)


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (["oops", "java.lang.OutOfMemoryError"], r"from CloudWatch:\n  \| oops\n  \| java.lang.OutOf"),
        ([], r"no log of the driver \(CloudWatch has nothing\)"),
        (None, r"no log of the driver \(CloudWatch: ResourceNotFoundException\)"),
    ],
)
def test_else_cloudwatch_is_asked(
    glue: Endpoint, tmp_path: Path, now: Time, stream: list[str] | None, says: str
) -> None:
    if stream is not None:
        glue.logs["/aws-glue/jobs/error", "jr_0001"] = stream
    glue.play = play("FAILED")
    client, logs = glue.client(), glue.client("logs")
    timing = Timing(now.clock, now.sleep)
    with pytest.raises(JobRunFailed, match=says):
        JobRunner(client, ObjectStore(str(tmp_path)), logs=lambda: logs, timing=timing).run(REQUEST)
    client.close()
    logs.close()
