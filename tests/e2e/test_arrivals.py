"""The real chain on loopback: S3, EventBridge and SQS (moto's server), Dagster's daemon, and files put by boto3."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from arriving import requested
from lakes import View, check_law, csv, make_dataset
from servers import free_port

from lake_pipeline.cli.aws_local import client
from lake_pipeline.cli.dagster_run import instance_of
from lake_pipeline.datasets import Dataset
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

PATIENCE = 300.0
DAYS = ["2026-03-01", "2026-03-02", "2026-03-03"]


@dataclass
class Chain:
    """`lake dev --aws-local` as it runs; lake and env: as another terminal has them."""

    env: Mapping[str, str]
    lake: Lake
    dataset: Dataset
    log: Path

    def put(self, name: str, partition: str, body: bytes) -> None:
        """Put a file as any producer would."""
        key = f"sales/{partition.replace('-', '/')}/{name}"
        client("s3", self.env).put_object(Bucket="lake-raw", Key=key, Body=body)

    def wait(self, *states: str) -> View:
        """Until the partitions are in these states; fails with the end of the log."""
        limit = time.monotonic() + PATIENCE
        while True:
            view = View(self.lake, self.dataset)
            if tuple(s.state for s in view.status().values()) == states:
                return view
            if time.monotonic() > limit:
                pytest.fail(f"it never came: {self.log.read_text(errors='replace')[-6000:]}")
            time.sleep(0.2)


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chain]:
    """Everything that `lake dev --aws-local` starts."""
    arrivals = {"max_events": 50, "max_wait_seconds": 1}
    dataset = make_dataset(tmp_path / "defs", rules='IsUnique "id"', arrivals=arrivals)
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
        env = json.loads(said)["env"]
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        yield Chain(env, Lake(Settings.from_env()), dataset, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)  # as Ctrl+C does
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            pytest.fail(f"it did not stop: {log.read_text(errors='replace')[-3000:]}")


def readmes_lines(folder: Path, body: bytes) -> None:
    """What the README has people type into another terminal, with this dataset and another day."""
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (folder / "payments.csv").write_bytes(body)
    script = lines.replace("payments ", "sales ").replace("2026-03-01", "2026-03-04")
    script = script.replace("status payments", "status sales")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["bash", "-ec", script], env={**os.environ, "PATH": path}, cwd=folder, check=True)


def test_files_that_are_put_become_published_partitions(chain: Chain, tmp_path: Path) -> None:
    for day in DAYS:
        chain.put("a.csv", day, csv(f"{day}-a,1,{day}"))
    chain.put("b.csv", DAYS[1], csv("same,1,2026-03-02", "same,1,2026-03-02"))
    client("sqs", chain.env).send_message(QueueUrl=chain.env["LAKE_QUEUE_URL"], MessageBody="garbage")
    chain.wait("published", "refused", "published")
    chain.put("b.csv", DAYS[1], csv("another,1,2026-03-02"))
    chain.wait("published", "published", "published")

    readmes_lines(tmp_path, csv("by-hand,1,2026-03-04"))
    chain.wait("published", "published", "published", "published")

    view = check_law(chain.lake, chain.dataset)
    assert view.values() == ["2026-03-01-a", "2026-03-02-a", "2026-03-03-a", "another", "by-hand"]
    asked = requested(chain.lake)
    ids = [id_ for d in asked for objects in d["objects"].values() for id_ in objects.values()]
    assert {d["source"] for d in asked} == {"queue"}
    assert len(ids) == len(set(ids)) == 6
    with instance_of(chain.lake) as instance:
        runs = instance.get_runs()
    assert sorted(r.tags["lake/request"] for r in runs) == sorted(
        chain.lake.zone("ops").uri(f"arrivals/requests/sales/{d['key']}.json") for d in asked
    )
    assert {r.tags["lake/lane"] for r in runs} == {"sales/2026-03"}
    assert all(r.tags["dataset"] == "sales" for r in runs)


ODD = ["a b.csv", "a+b.csv", "a%20b.csv", "a%2Bb.csv", "ünï/ço&d=e?.csv", "#1;'$x.csv"]


def test_what_producers_do_by_accident_stops_nobody(chain: Chain) -> None:
    """Odd names, files of no dataset, files that are gone at once, the same event again and again."""
    s3, sqs = client("s3", chain.env), client("sqs", chain.env)
    url = chain.env["LAKE_QUEUE_URL"]
    s3.put_object(Bucket="lake-raw", Key="nobody/knows.csv", Body=b"x")
    chain.put("gone.csv", DAYS[1], csv("gone,1,2026-03-02"))
    s3.delete_object(Bucket="lake-raw", Key="sales/2026/03/02/gone.csv")
    for number, name in enumerate(ODD):
        chain.put(name, DAYS[0], csv(f"{number},1,{DAYS[0]}"))
    chain.put("a.csv", DAYS[2], csv(f"c,1,{DAYS[2]}"))
    listed = s3.list_objects_v2(Bucket="lake-raw", Prefix="sales/2026/03/03/")["Contents"][0]
    found = {"key": listed["Key"], "size": listed["Size"], "etag": listed["ETag"].strip('"')}
    event = {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "time": listed["LastModified"].isoformat(),
        "detail": {"bucket": {"name": "lake-raw"}, "object": found},
    }
    for _ in range(5):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(event))

    def done() -> bool:
        status = View(chain.lake, chain.dataset).status()
        return [status[d].state if d in status else "" for d in (DAYS[0], DAYS[2])] == ["published"] * 2

    limit = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < limit, chain.log.read_text(errors="replace")[-6000:]
        time.sleep(0.2)
    view = View(chain.lake, chain.dataset)
    assert [v for v in view.values() if v != "gone"] == [*map(str, range(len(ODD))), "c"]
    asked = requested(chain.lake)
    ids = [id_ for d in asked for objects in d["objects"].values() for id_ in objects.values()]
    assert len(ids) == len(set(ids))  # the same event again is the same work
