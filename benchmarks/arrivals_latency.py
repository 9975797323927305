"""File put → published, through the real chain, against a Dagster run that does nothing on the same machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LIMIT = 1.3  # times the empty run
PATIENCE = 300.0
NOTHING = '''
import dagster as dg

@dg.asset
def nothing() -> None:
    """Does nothing."""

defs = dg.Definitions([nothing], jobs=[dg.define_asset_job("empty")], executor=dg.in_process_executor)
'''
HEADER = b"id,at,amount\n"


def latency(runs: int) -> dict[str, Any]:
    """The seconds of both, by turns of one after the other, and whether the limit holds."""
    with tempfile.TemporaryDirectory() as folder:
        empty = spread(list(empty_runs(Path(folder), runs)))
        ours = spread(list(puts(Path(folder), runs)))
    ratios = {name: round(ours[name] / empty[name], 2) for name in ours}
    return {"empty_run": empty, "put_to_published": ours, "ratio": ratios, "fine": ratios["median"] <= LIMIT}


def spread(seconds: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    ordered = sorted(seconds)
    p95 = ordered[round(0.95 * (len(ordered) - 1))]
    return {"median": round(statistics.median(ordered), 2), "p95": round(p95, 2)}


def empty_runs(folder: Path, runs: int) -> Iterator[float]:
    """Submit → success of a run that does nothing, by a daemon with the lake's configuration."""
    from dagster_graphql import DagsterGraphQLClient

    from lake_pipeline.cli.dagster_run import INSTANCE

    home = folder / "empty"
    home.mkdir()
    (home / "dagster.yaml").write_text(INSTANCE, encoding="utf-8")
    (home / "nothing.py").write_text(NOTHING, encoding="utf-8")
    port = free_port()
    command = ["-m", "dagster", "dev", "-f", "nothing.py", "-h", "127.0.0.1", "-p", str(port)]
    with running([sys.executable, *command], home, {"DAGSTER_HOME": str(home)}):
        wait_for_port(port)
        client = DagsterGraphQLClient("127.0.0.1", port_number=port)
        for _ in range(runs):
            started = time.monotonic()
            run = client.submit_job_execution("empty")
            while client.get_run_status(run).value != "SUCCESS":
                time.sleep(0.05)
            yield time.monotonic() - started


def puts(folder: Path, runs: int) -> Iterator[float]:
    """Put → published of one small file at a time, each in a partition of its own."""
    from lake_pipeline.cli.aws_local import client
    from lake_pipeline.datasets import load_dataset
    from lake_pipeline.datasets.scaffold import write_dataset
    from lake_pipeline.flow.state import Memory
    from lake_pipeline.settings import Settings
    from lake_pipeline.storage import Lake

    home = folder / "puts"
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
        s3, memory = client("s3", said["env"]), Memory(lake, dataset)
        for n in range(runs + 1):
            day = f"2026-03-{n + 1:02}" if n < 31 else f"2026-04-{n - 30:02}"
            body = HEADER + f"a{n},{day}T08:00:00Z,1\n".encode()
            started = time.monotonic()
            s3.put_object(Bucket="lake-raw", Key=f"orders/{day.replace('-', '/')}/a.csv", Body=body)
            while not memory.outcomes([day]):
                time.sleep(0.05)
                if time.monotonic() - started > PATIENCE:
                    raise TimeoutError((home / "log").read_text(encoding="utf-8")[-3000:])
            if n:  # the first one waits for the daemon to start
                yield time.monotonic() - started


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
