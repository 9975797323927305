"""Runs whose processes are forked from a warm server: what they read, how they are ended, and how they are missed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from lake_pipeline.components.alerts import end_lost_runs
from lake_pipeline.resources.launcher import LOADED, WarmLauncher
from lake_pipeline.resources.processes import PROCESS_TAG, pid_of

PATIENCE = 120.0
CODE = """
import dagster as dg, os, pathlib

@dg.op
def say(context):
    pathlib.Path("{folder}/said").write_text("{word} " + str(os.getpid()) + " " + os.environ["LAKE_WORD"])

@dg.op
def wait():
    pathlib.Path("{folder}/waiting").write_text(str(os.getpid()))
    open("{folder}/pipe").read()  # for ever: nobody writes

@dg.job(executor_def=dg.in_process_executor)
def saying():
    say()

@dg.job(executor_def=dg.in_process_executor)
def waiting():
    wait()
"""


@dataclass
class Runs:
    """Runs of jobs in a file, on an instance that is configured to use the launcher."""

    instance: dg.DagsterInstance
    folder: Path

    def write(self, word: str) -> None:
        """The jobs' file."""
        (self.folder / "jobs.py").write_text(CODE.format(folder=self.folder, word=word))

    def launch(self, name: str) -> str:
        """Launch a run of a job."""
        job = reconstructable_job(self.folder / "jobs.py", name)
        run = self.instance.create_run_for_job(
            job.get_definition(),
            job_code_origin=job.get_python_origin(),
            status=dg.DagsterRunStatus.NOT_STARTED,
        )
        self.instance.launch_run(run.run_id, workspace=None)  # type: ignore[arg-type]
        return run.run_id

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        """A run's status."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status


def reconstructable_job(path: Path, name: str):  # type: ignore[no-untyped-def]
    """A job of a file, as a run's process finds it."""
    from dagster._core.code_pointer import FileCodePointer
    from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository

    return ReconstructableJob(ReconstructableRepository(FileCodePointer(str(path), name)), name)


def until(what: Callable[[], bool]) -> None:
    """Wait until something holds."""
    limit = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < limit
        time.sleep(0.05)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """An instance with the launcher."""
    home = tmp_path / "home"
    home.mkdir()
    launcher = "run_launcher: {module: lake_pipeline.resources.launcher, class: WarmLauncher}\n"
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n" + launcher)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    os.mkfifo(tmp_path / "pipe")
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.run_launcher, WarmLauncher)
        yield Runs(instance, tmp_path)


def test_a_run_reads_the_definitions_and_the_environment_as_they_are_now(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = set()
    for word in ("first", "second"):
        runs.write(word)
        monkeypatch.setenv("LAKE_WORD", word)
        run_id = runs.launch("saying")
        until(lambda run_id=run_id: runs.status(run_id) == dg.DagsterRunStatus.SUCCESS)  # type: ignore[misc]
        said, pid, in_env = (runs.folder / "said").read_text().split()
        assert (said, in_env) == (word, word)
        pids.add(pid)
    assert len(pids) == 2
    assert str(os.getpid()) not in pids


def test_a_run_is_terminated(runs: Runs) -> None:
    runs.write("x")
    run_id = runs.launch("waiting")
    until((runs.folder / "waiting").exists)
    assert runs.instance.run_launcher.terminate(run_id)
    until(lambda: runs.status(run_id) == dg.DagsterRunStatus.CANCELED)
    assert not runs.instance.run_launcher.terminate(run_id)


def test_a_run_whose_process_was_killed_is_missed(runs: Runs) -> None:
    runs.write("x")
    run_id = runs.launch("waiting")
    until((runs.folder / "waiting").exists)
    assert end_lost_runs(runs.instance) == []
    run = runs.instance.get_run_by_id(run_id)
    assert run is not None
    pid = pid_of(run.tags[PROCESS_TAG])
    assert pid == int((runs.folder / "waiting").read_text())
    os.kill(pid, signal.SIGKILL)
    until(lambda: bool(end_lost_runs(runs.instance)))
    assert runs.status(run_id) == dg.DagsterRunStatus.FAILURE
    assert not runs.instance.run_launcher.terminate(run_id)


LAUNCHES = """
import os, signal, sys
import dagster as dg
from dagster._core.code_pointer import FileCodePointer
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository

job = ReconstructableJob(ReconstructableRepository(FileCodePointer(sys.argv[1], "waiting")), "waiting")
with dg.DagsterInstance.get() as instance:
    run = instance.create_run_for_job(job.get_definition(), job_code_origin=job.get_python_origin())
    instance.launch_run(run.run_id, workspace=None)
    print(run.run_id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_goes_on_when_the_daemon_that_started_it_is_killed(runs: Runs) -> None:
    runs.write("x")
    command = [sys.executable, "-c", LAUNCHES, str(runs.folder / "jobs.py")]
    said = runs.folder / "run_id"  # a file: the run's process inherits it, and outlives this one
    with said.open("wb") as out:
        assert subprocess.run(command, stdout=out, stderr=out, check=False).returncode == -signal.SIGKILL
    until((runs.folder / "waiting").exists)
    assert end_lost_runs(runs.instance) == []
    (runs.folder / "pipe").write_text("go on")
    run_id = said.read_text().split()[0]
    until(lambda: runs.status(run_id) == dg.DagsterRunStatus.SUCCESS)


def test_what_the_server_loads_is_there() -> None:
    """The server passes over a module that it does not find, and runs would load its libraries by themselves."""
    from importlib.util import find_spec

    assert [name for name in LOADED if find_spec(name) is None] == []
