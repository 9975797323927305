"""The real chain on loopback: S3, EventBridge and SQS (moto's server), Dagster's daemon, and files put by boto3."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import free_port
from lakes import csv, make_dataset

from lake_pipeline.cli.aws_local import client
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

PATIENCE = 180.0
DAYS = ["2026-03-01", "2026-03-02", "2026-03-03"]


@dataclass
class Chain:
    """`lake dev --aws-local` as it runs, and the environment of another terminal beside it."""

    env: Mapping[str, str]
    log: Path

    def put(self, name: str, partition: str, body: bytes) -> None:
        """Put a file as any producer would."""
        key = f"sales/{partition.replace('-', '/')}/{name}"
        client("s3", self.env).put_object(Bucket="lake-raw", Key=key, Body=body)

    def status(self) -> dict[str, Any]:
        """What `lake status` says there, by partition."""
        command = [
            sys.executable,
            "-c",
            "from lake_pipeline.cli import main; main()",
            "status",
            "sales",
            "--json",
        ]
        env = {**os.environ, **self.env}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode in (0, 1), done.stderr
        return {s["partition"]: s for s in json.loads(done.stdout)}

    def wait(self, until: Callable[[], bool]) -> None:
        """Until something is so; fails with the end of the log."""
        limit = time.monotonic() + PATIENCE
        while not until():
            if time.monotonic() > limit:
                pytest.fail(f"it never came: {self.log.read_text(errors='replace')[-6000:]}")
            time.sleep(0.5)


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chain]:
    """Everything that `lake dev --aws-local` starts."""
    make_dataset(
        tmp_path / "defs",
        rules='IsUnique "id"',
        arrivals={"max_events": 50, "max_wait_seconds": 1},
    )
    monkeypatch.delenv("DAGSTER_HOME")
    monkeypatch.delenv("LAKE_ROOT")
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-c", "from lake_pipeline.cli import main; main()"]
    arguments = ["dev", "--aws-local", "--port", str(port), "--json"]
    with log.open("wb") as err, (tmp_path / "said").open("wb") as out:
        process = subprocess.Popen(
            [*command, *arguments], stdout=out, stderr=err, cwd=tmp_path, start_new_session=True
        )
    try:
        until = time.monotonic() + PATIENCE
        while not (said := (tmp_path / "said").read_text()).rstrip().endswith("}"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        yield Chain(json.loads(said)["env"], log)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def test_files_that_are_put_become_published_partitions(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in DAYS:
        chain.put("a.csv", day, csv(f"{day}-a,1,{day}"))
    chain.put("b.csv", DAYS[1], csv("same,1,2026-03-02", "same,1,2026-03-02"))
    sqs, queue = client("sqs", chain.env), chain.env["LAKE_QUEUE_URL"]
    sqs.send_message(QueueUrl=queue, MessageBody="garbage")

    def states() -> list[str]:
        return [s["state"] for s in chain.status().values()]

    chain.wait(lambda: states() == ["published", "refused", "published"])
    chain.put("b.csv", DAYS[1], csv("another,1,2026-03-02"))
    chain.wait(lambda: states() == ["published"] * 3)
    found = chain.status()
    assert [found[d]["curated_rows"] for d in DAYS] == [1, 2, 1]
    assert all(s["balanced"] for s in found.values())

    for name, value in chain.env.items():
        monkeypatch.setenv(name, value)
    lake = Lake(Settings.from_env())
    asked = [json.loads(lake.zone("ops").read(o.key)) for o in lake.zone("ops").list("arrivals/requests")]
    ids = [id_ for d in asked for objects in d["objects"].values() for id_ in objects.values()]
    assert sorted({d["source"] for d in asked}) == ["queue"]
    assert len(ids) == len(set(ids)) == 5
