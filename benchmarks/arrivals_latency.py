"""File put → published, through the real chain, against what Dagster takes to do nothing on the same machine.

Three series, on one configuration of the run queue:

- empty_run: a job that does nothing, submitted by hand → success; Dagster's own launcher.
- empty_chain: the least of what a file needs: put → S3 event → queue → a sensor that listens → success of a job
  that does nothing; Dagster's own launcher.
- put_to_published: put → published, as `lake dev --aws-local` does it.

Files land a few seconds apart, at random: a sensor of Dagster begins to listen again at most five seconds after it
asked for a run, and a file that lands just then waits, in both chains alike.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LIMIT = 1.3  # times the empty run, and times the empty chain
PATIENCE = 300.0
APART = (4.0, 9.0)  # seconds, from one file's publication to the next file
NOTHING = Path(__file__).parent / "empty_chain.py"
HEADER = b"id,at,amount\n"


def latency(runs: int) -> dict[str, Any]:
    """The seconds of all three, and whether the limit holds."""
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "empty_run": spread(list(empty_runs(Path(folder), runs))),
            "empty_chain": spread(list(empty_chain(Path(folder), runs))),
            "put_to_published": spread(list(puts(Path(folder), runs))),
        }
    ours = found["put_to_published"]
    ratios = {f"of_{name}": {k: round(ours[k] / found[name][k], 2) for k in ours} for name in list(found)[:2]}
    return {**found, **ratios, "fine": all(r["median"] <= LIMIT for r in ratios.values())}


def spread(seconds: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    ordered = sorted(seconds)
    p95 = ordered[round(0.95 * (len(ordered) - 1))]
    return {"median": round(statistics.median(ordered), 2), "p95": round(p95, 2)}


def empty_runs(folder: Path, runs: int) -> Iterator[float]:
    """Submit → success of a run that does nothing, by a daemon with the lake's configuration."""
    from dagster_graphql import DagsterGraphQLClient

    with empty_dagster(folder / "empty", {"LAKE_QUEUE_URL": ""}, "") as port:
        client = DagsterGraphQLClient("127.0.0.1", port_number=port)
        for _ in range(runs):
            started = time.monotonic()
            run = client.submit_job_execution("empty")
            while client.get_run_status(run).value != "SUCCESS":
                time.sleep(0.05)
            yield time.monotonic() - started


def empty_chain(folder: Path, runs: int) -> Iterator[float]:
    """Put → success of a run that does nothing, started by a sensor on the queue of S3's events."""
    import dagster as dg

    from lake_pipeline.cli.aws_local import aws_local

    home, chance = folder / "chain", random.Random(3)  # noqa: S311
    done = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS])
    with aws_local(free_port(), folder / "aws") as env, empty_dagster(home, env, "listening"):
        os.environ["DAGSTER_HOME"] = str(home)
        with dg.DagsterInstance.get() as instance:
            for n in range(runs + 1):
                started = put(env, f"nothing/{n}.csv")
                while instance.get_runs_count(done) <= n:
                    patient(started, home / "log")
                if n:  # the first one waits for the daemon to start
                    yield time.monotonic() - started
                time.sleep(chance.uniform(*APART))


@contextmanager
def empty_dagster(home: Path, env: Mapping[str, str], sensors: str) -> Iterator[int]:
    """Webserver and daemon of a code location that does nothing, with its sensor or without; gives the port."""
    from lake_pipeline.cli.dagster_run import LANES

    home.mkdir()
    (home / "dagster.yaml").write_text(LANES, encoding="utf-8")
    port = free_port()
    command = ["-m", "dagster", "dev", "-f", str(NOTHING), "-h", "127.0.0.1", "-p", str(port)]
    with running([sys.executable, *command], home, {**env, "DAGSTER_HOME": str(home), "LISTEN": sensors}):
        wait_for_port(port)
        yield port


def put(env: Mapping[str, str], key: str, body: bytes = b"") -> float:
    """Put an object into the raw zone; returns when that began."""
    from lake_pipeline.cli.aws_local import client

    s3, started = client("s3", env), time.monotonic()
    s3.put_object(Bucket="lake-raw", Key=key, Body=body)
    return started


def patient(since: float, log: Path) -> None:
    """A moment; raises `TimeoutError` with the end of the log when it was too long."""
    time.sleep(0.05)
    if time.monotonic() - since > PATIENCE:
        raise TimeoutError(log.read_text(encoding="utf-8")[-3000:])


def puts(folder: Path, runs: int) -> Iterator[float]:
    """Put → published of one small file at a time, each in a partition of its own."""
    from lake_pipeline.datasets import load_dataset
    from lake_pipeline.datasets.scaffold import write_dataset
    from lake_pipeline.flow.state import Memory
    from lake_pipeline.settings import Settings
    from lake_pipeline.storage import Lake

    home, chance = folder / "puts", random.Random(3)  # noqa: S311
    write_dataset(home / "defs" / "orders")
    with (home / "defs" / "orders" / "defs.yaml").open("a", encoding="utf-8") as file:
        file.write("  arrivals:\n    eager: true\n")
    command = [sys.executable, "-c", "from lake_pipeline.cli import main; main()", "dev", "--aws-local"]
    port = free_port()
    arguments = ["--port", str(port), "--json"]
    with running([*command, *arguments], home, {"LAKE_DEFS": str(home / "defs")}):
        said = wait_for_json(home / "out")
        os.environ.update(said["env"])
        lake, dataset = Lake(Settings.from_env()), load_dataset(home / "defs" / "orders")
        wait_for_port(port)
        memory = Memory(lake, dataset)
        for n in range(runs + 1):
            day = f"2026-03-{n + 1:02}" if n < 31 else f"2026-04-{n - 30:02}"
            body = HEADER + f"a{n},{day}T08:00:00Z,1\n".encode()
            started = put(said["env"], f"orders/{day.replace('-', '/')}/a.csv", body)
            while not memory.outcomes([day]):
                patient(started, home / "log")
            if n:  # the first one waits for the daemon to start
                yield time.monotonic() - started
            time.sleep(chance.uniform(*APART))


@contextmanager
def running(command: list[str], folder: Path, env: dict[str, str]) -> Iterator[None]:
    """A process and its children, stopped afterwards; its output is in the files out and log."""
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("LAKE_", "DAGSTER_", "AWS_"))}
    with (folder / "out").open("wb") as out, (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**bare, **env}, stdout=out, stderr=log, start_new_session=True
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_for_port(port: int) -> None:
    """Until somebody listens."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nobody listens on port {port}")


def wait_for_json(path: Path) -> Any:
    """Until a file holds a whole JSON document; the document."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            time.sleep(0.1)
    raise TimeoutError(f"{path} has no document")


def free_port() -> int:
    """A TCP port that nobody listens on, nor on the next one."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
