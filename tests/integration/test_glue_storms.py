"""A Glue that misbehaves for long, people who meddle, logs of any size: one run, its cost, and words for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from glue_endpoint import Endpoint, Fault, Run, Time, complete, log, play, put, say, succeeds

from lake_pipeline.resources.glue.calls import Timing
from lake_pipeline.resources.glue.errors import JobRunFailed
from lake_pipeline.resources.glue.ledger import spent
from lake_pipeline.resources.glue.request import JobRequest, RunOptions, start_parameters
from lake_pipeline.resources.glue.runs import JobRunner
from lake_pipeline.resources.glue.sizing import Workers
from lake_pipeline.storage import ObjectStore

WORKERS = RunOptions(workers=Workers("G.1X", 4))
REQUEST = JobRequest("validate", "orders/1/ab12", options=WORKERS, deadline=6000.0, owner="dagster-1")
OTHER = replace(REQUEST, owner="dagster-2")
EACH = 4 * 90 / 3600  # DPU-hours of a run on the endpoint


def runs(store: ObjectStore) -> list[tuple[str, int, float]]:
    """What the ledger says: (dataset, runs, DPU-hours)."""
    return [(s.dataset, s.runs, s.dpu_hours) for s in spent(store)]


def test_an_hour_without_an_answer_costs_nothing_but_time(
    glue: Endpoint, runner: JobRunner, now: Time
) -> None:
    """GetJobRun fails for an hour while the run goes on and succeeds."""
    glue.fail("GetJobRun", *[Fault("InternalServiceException", 500), Fault(drop=True), Fault()] * 40)
    assert runner.run(REQUEST).run_id == "jr_0001"
    assert now.now > 3000
    assert glue.count("StartJobRun") == 1


def test_why_a_call_is_repeated_is_told_ever_more_rarely(
    glue: Endpoint, runner: JobRunner, store: ObjectStore
) -> None:
    glue.fail("StartJobRun", *[Fault("ConcurrentRunsExceededException", message="Too many runs.")] * 20)
    told: list[tuple[str, str]] = []
    listening = replace(runner, tell=lambda text, level: told.append((level, text)))
    listening.run(REQUEST)
    warnings = [text for level, text in told if level == "WARNING"]
    assert len(warnings) == 5  # after 1, 2, 4, 8 and 16
    assert "ConcurrentRunsExceededException: Too many runs. It is repeated in 1 s (1 so far)." in warnings[0]
    assert [text for level, text in told if level == "INFO"] == [
        'The run jr_0001 of the job "validate" was started (attempt 1).',
        'The run jr_0001 of the job "validate" is RUNNING.',
    ]
    told.clear()
    assert listening.run(OTHER).how == "reused"
    assert [text for _, text in told] == [
        'The run jr_0001 of the job "validate" was complete already, and is used as it is (attempt 1).'
    ]


class Late:
    """A Glue whose GetJobRuns shows a run only after so many calls: it is eventually consistent."""

    def __init__(self, client: Any, blind: int) -> None:
        self.client, self.blind = client, blind

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def get_job_runs(self, **parameters: Any) -> Any:
        self.blind -= 1
        return {"JobRuns": []} if self.blind >= 0 else self.client.get_job_runs(**parameters)


@pytest.mark.parametrize("blind", [2, 3])
def test_a_run_that_is_shown_late_is_stopped_and_counted(
    glue: Endpoint, client: Any, store: ObjectStore, now: Time, blind: int
) -> None:
    """Its start had lost its answer. It is seen once the second run is recorded, or when that one is over."""

    def patient(run: Run) -> Iterator[str]:
        yield from ["RUNNING"] * 3
        complete(run)
        yield "SUCCEEDED"

    glue.play = patient
    glue.fail("StartJobRun", Fault(drop=True, after=True))
    runner = JobRunner(Late(client, blind), store, timing=Timing(now.clock, now.sleep, lambda: 1.0))
    done = runner.run(REQUEST)
    assert {run.id: run.state for run in glue.runs} == {"jr_0001": "STOPPED", "jr_0002": "SUCCEEDED"}
    assert done.run_id == "jr_0002"
    assert runs(store) == [("orders", 2, 2 * EACH)]
    assert runner.run(OTHER).run_id == "jr_0002"


def test_a_cancelled_run_costs_what_it_cost(
    glue: Endpoint, runner: JobRunner, store: ObjectStore, now: Time
) -> None:
    glue.play = play(*["RUNNING"] * 50)

    def interrupt(when: float) -> None:
        if when >= 5.0 and not glue.count("BatchStopJobRun"):
            raise KeyboardInterrupt

    now.during = interrupt
    with pytest.raises(KeyboardInterrupt):
        runner.run(REQUEST)
    assert runs(store) == [("orders", 1, EACH)]
    now.during, glue.play = lambda _: None, succeeds
    runner.run(REQUEST)
    assert runs(store) == [("orders", 2, 2 * EACH)]


@pytest.mark.parametrize("end", ["STOPPED", "FAILED", "TIMEOUT"])
def test_a_run_that_ended_while_nobody_looked_costs_too(
    glue: Endpoint, runner: JobRunner, store: ObjectStore, end: str
) -> None:
    """Its worker died; somebody stopped it in the console, or it failed; another worker comes."""
    glue.play = play(end)
    runner.launch(REQUEST)
    glue.play = succeeds
    assert runner.run(OTHER).attempt == 2
    assert runs(store) == [("orders", 2, 2 * EACH)]


def test_costs_by_day(glue: Endpoint, runner: JobRunner, store: ObjectStore) -> None:
    """A run counts for the day on which Glue says that it ended, whatever the clock here."""
    runner.run(REQUEST)

    def tomorrow(run: Run) -> Iterator[str]:
        run.extra.update(CompletedOn=1772409610)
        yield from succeeds(run)

    glue.play = tomorrow
    runner.run(replace(REQUEST, key="orders/2"))
    found = [(s.day, s.dataset, s.job, s.runs) for s in spent(store, daily=True)]
    assert found == [("2026-03-01", "orders", "validate", 1), ("2026-03-02", "orders", "validate", 1)]
    assert [(s.day, s.runs) for s in spent(store)] == [("", 2)]


@pytest.mark.parametrize(
    ("deadline", "said", "timeout"),
    [(90.0, None, 2), (30.0, None, 1), (None, None, None), (3600.0, 5, 5), (10**9, None, 10080)],
)
def test_a_deadline_holds_also_where_the_worker_died_for_good(
    deadline: float | None, said: int | None, timeout: int | None
) -> None:
    """Nobody is left to stop it: Glue does."""
    asked = replace(REQUEST, deadline=deadline, options=replace(WORKERS, timeout_minutes=said))
    assert start_parameters(asked).get("Timeout") == timeout


def test_logs_of_any_size_and_bytes_are_quoted_in_short(
    glue: Endpoint, runner: JobRunner, store: ObjectStore
) -> None:
    def shouts(run: Run) -> Iterator[str]:
        say(run, 1, *[log("x" * 100_000)] * 40)
        key = store.key(run.arguments["--lake-driver-log"])
        store.write(key, b"\xff\xfe\0 not text\n" + (b"y" * 1_000_000 + b"\n") * 40)
        complete(run, status="failed", error="z" * 1_000_000)
        yield "FAILED"

    glue.play = shouts
    heard: list[Any] = []
    with pytest.raises(JobRunFailed) as failed:
        runner.run(REQUEST, heard.append)
    assert len(str(failed.value)) < 50_000
    assert "… (1000000 characters)" in str(failed.value)
    assert [len(m["params"]["message"]) for m in heard] == [100_000] * 40


def test_messages_that_are_no_text_are_no_end_of_the_run(glue: Endpoint, runner: JobRunner) -> None:
    def babbles(run: Run) -> Iterator[str]:
        put(f"{run.arguments['--lake-messages']}/000001.jsonl", "")
        key = runner.store.key(f"{run.arguments['--lake-messages']}/000002.jsonl")  # type: ignore[attr-defined]
        runner.store.create(key, b"\xc3\x28\n\n{}\n[]\n")
        complete(run)
        yield "SUCCEEDED"

    glue.play = babbles
    heard: list[Any] = []
    assert runner.run(REQUEST, heard.append).how == "started"
    assert [m["params"]["message"] for m in heard] == ["\ufffd(", "{}", "[]"]


def test_a_record_of_an_older_attempt_counts_for_nothing(
    glue: Endpoint, runner: JobRunner, store: ObjectStore
) -> None:
    """The first attempt's script goes on after Glue called it failed, and writes its record late."""
    glue.play = play("FAILED")
    with pytest.raises(JobRunFailed):
        runner.run(REQUEST)

    def second(run: Run) -> Iterator[str]:
        complete(glue.runs[0])  # to the place of its own attempt
        yield "RUNNING"
        yield "FAILED"

    glue.play = second
    with pytest.raises(JobRunFailed, match="jr_0002"):
        runner.run(REQUEST)
    glue.play = succeeds
    assert runner.run(REQUEST).attempt == 3


def test_a_clock_that_jumps_changes_nothing(
    glue: Endpoint, runner: JobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deadlines and leases are by the monotonic clock; no time of day is compared with another machine's."""
    import time

    monkeypatch.setattr(time, "time", lambda: timedelta(days=40_000).total_seconds())
    assert runner.run(REQUEST).run_id == "jr_0001"
    assert Timing().clock is time.monotonic
