"""`lake run` on `engine: glue`, interrupted from outside: the job run is stopped and counted, or taken up again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from glue_endpoint import KEYS, Endpoint, Fault, glue_endpoint, play
from lakes import DAY, csv, make_dataset, put

from lake_pipeline.resources.glue.ledger import spent
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

LAKE = [sys.executable, "-c", "from lake_pipeline.cli import main; main()"]


@pytest.fixture
def glue() -> Iterator[Endpoint]:
    """A Glue with the jobs of the bundle."""
    with glue_endpoint() as made:
        for step in ("validate", "curate"):
            made.job(f"lake-{step}")
        yield made


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with a dataset of Glue's, and a file in it."""
    dataset = make_dataset(tmp_path / "remote", engine="glue")
    made = Lake(Settings.at(str(tmp_path / "lake")))
    put(made, dataset, "a.csv", csv("a,1,2026-03-01"))
    return made


def started(glue: Endpoint, lake: Lake, folder: Path, *more: str) -> subprocess.Popen[bytes]:
    """The command, in a process of its own."""
    ours = {n: v for n, v in os.environ.items() if not n.startswith(("LAKE_", "AWS_"))}
    keys = {n.upper(): v for n, v in KEYS.items() if n != "region_name"}
    env = {
        **ours,
        **keys,
        "AWS_REGION": "us-east-1",
        "DAGSTER_HOME": str(folder / "dagster"),
        "LAKE_ROOT": lake.settings.root,
        "LAKE_DEFS": str(folder / "remote"),
        "LAKE_GLUE_ENDPOINT": glue.url,
        "LAKE_GLUE_POLL_SECONDS": "0.2",
    }
    command = [*LAKE, "run", "sales", "--partition", DAY, "--json", *more]
    with (folder / "said").open("wb") as out:
        return subprocess.Popen(command, env=env, cwd=folder, stdout=out, stderr=subprocess.STDOUT)


class When:
    """Tells when the endpoint was asked for an operation so many times."""

    def __init__(self, glue: Endpoint, operation: str, times: int) -> None:
        self.seen, self.times, self.operation, self.event = 0, times, operation, threading.Event()
        glue.hook = self

    def __call__(self, operation: str, _: dict[str, Any]) -> None:
        self.seen += operation == self.operation
        if self.seen >= self.times:
            self.event.set()


@pytest.mark.parametrize(
    ("operation", "times"), [("StartJobRun", 3), ("GetJobRun", 2)], ids=["while busy", "while it runs"]
)
def test_an_interrupted_run_stops_its_job_run(
    glue: Endpoint, lake: Lake, tmp_path: Path, operation: str, times: int
) -> None:
    busy = operation == "StartJobRun"
    glue.fail("StartJobRun", *[Fault("ConcurrentRunsExceededException")] * 100 * busy)
    glue.play = play("STARTING", *["RUNNING"] * 5000)
    when = When(glue, operation, times)
    process = started(glue, lake, tmp_path)
    try:
        assert when.event.wait(120), (tmp_path / "said").read_text()
        process.send_signal(signal.SIGINT)
        assert process.wait(120) != 0
    finally:
        process.kill()
    assert [r.state for r in glue.runs] == ([] if busy else ["STOPPED"])
    assert [(s.job, s.runs) for s in spent(lake.zone("ops"))] == ([] if busy else [("lake-validate", 1)])
    assert "Traceback" not in (tmp_path / "said").read_text()
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        (run,) = instance.get_runs()
        happened = {e.dagster_event_type for e in instance.all_logs(run.run_id)}
    assert dg.DagsterEventType.STEP_UP_FOR_RETRY not in happened, "what is interrupted is not repeated"
    assert run.is_finished


def test_a_killed_worker_is_followed_by_one_that_takes_its_run_up(
    glue: Endpoint, lake: Lake, tmp_path: Path
) -> None:
    """Another Dagster run comes; it need not wait, and pays for no second job run."""
    glue.play = play(*["RUNNING"] * 5000)
    when = When(glue, "GetJobRun", 2)
    first = started(glue, lake, tmp_path)
    try:
        assert when.event.wait(120), (tmp_path / "said").read_text()
    finally:
        first.kill()
        first.wait(30)
    glue.runs[0].play = iter(["RUNNING", "FAILED"])
    second = started(glue, lake, tmp_path)
    assert second.wait(120) == 1
    assert [r.id for r in glue.runs] == ["jr_0001"]
    said = (tmp_path / "said").read_text()
    assert "The run jr_0001 of the job" in said
    assert "ended as FAILED" in said
