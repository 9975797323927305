"""A real cluster of two machines: a partition of 2,000,000 rows, and a worker that is killed half-way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import pytest
from lakes import DAY, View, actions, make_dataset, run
from servers import free_port

from lake_pipeline.datasets import Dataset
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

pytestmark = pytest.mark.skipif(
    find_spec("pyspark") is None or shutil.which("java") is None, reason="needs PySpark and Java 17"
)
ROWS, FILES = 2_000_000, 8
LOOPBACK = "127.0.0.1"


@dataclass
class Cluster:
    """A standalone master and two workers of one core each, on the loopback."""

    folder: Path
    port: int
    ui: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def master(self) -> str:
        return f"spark://{LOOPBACK}:{self.port}"

    def start(self, name: str, *arguments: str) -> None:
        """Start one of Spark's daemons, in a process group of its own: its executors are in it."""
        import pyspark

        home = Path(pyspark.__file__).parent
        paths = os.pathsep.join(p for p in sys.path if p)
        env = {**os.environ, "SPARK_HOME": str(home), "PYTHONPATH": paths, "SPARK_LOCAL_IP": LOOPBACK}
        command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *arguments]
        with (self.folder / f"log-{len(self.processes)}").open("wb") as log:
            made = subprocess.Popen(
                command, stdout=log, stderr=log, env=env, cwd=self.folder, start_new_session=True
            )
        self.processes.append(made)

    def begin(self) -> None:
        """Start all, and wait until the master knows both workers."""
        self.start("master.Master", "-h", LOOPBACK, "-p", str(self.port), "--webui-port", str(self.ui))
        for number in range(2):
            work = str(self.folder / f"worker-{number}")
            self.start(
                "worker.Worker",
                "-h",
                LOOPBACK,
                "-c",
                "1",
                "-m",
                "1g",
                "-d",
                work,
                "--webui-port",
                "0",
                self.master,
            )
        until(lambda: len(self.alive()) == 2, "two workers")

    def alive(self) -> list[dict[str, Any]]:
        """The workers that the master counts on."""
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.ui}/json/", timeout=5) as said:
                return [w for w in json.load(said)["workers"] if w["state"] == "ALIVE"]
        except OSError:
            return []

    def kill_worker(self) -> None:
        """What a machine's end is: the worker and its executors get SIGKILL."""
        os.killpg(self.processes[1].pid, signal.SIGKILL)

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def until(true: Callable[[], Any], what: str, seconds: float = 300) -> None:
    """Poll a condition; fails when it does not come true."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"{what} did not come within {seconds:.0f} s")
        time.sleep(0.02)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "cluster", free_port(), free_port())
    made.folder.mkdir()
    try:
        made.begin()
        yield made
    finally:
        made.end()


def land_files(folder: Path) -> None:
    """Files of many small records: every 1,000th is to be rejected, every 500th has another's id."""
    folder.mkdir(parents=True)
    each = ROWS // FILES
    with duckdb.connect() as connection:
        for n in range(FILES):
            connection.execute(
                f"COPY (SELECT CASE WHEN i % 500 = 3 THEN i - 1 ELSE i END AS id, "
                f"CASE WHEN i % 1000 = 7 THEN 'N/A' ELSE (i % 100000 / 100)::VARCHAR END AS amount, "
                f"'{DAY}' AS day FROM range({n * each}, {(n + 1) * each}) t(i)) "
                f"TO '{folder / f'{n}.csv'}' (HEADER, DELIMITER ',')"
            )


RULE = {"key": ["id"], "order_by": ["amount"]}


def dataset_on(root: Path, engine: str) -> Dataset:
    return make_dataset(root / engine, rules='IsUnique "id", RowCount > 1', deduplicate=RULE, engine=engine)


def sums(view: View, zone: str) -> tuple[Any, ...]:
    """What the rows of a table add up to, whatever their order."""
    files = [f.uri.removeprefix("file://") for f in view.lake.tables.files(f"{zone}.{view.dataset.name}")]
    columns = (
        "hash(id, amount, day, _record)"
        if zone != "quarantine"
        else "hash(raw, line, _record, reasons::VARCHAR)"
    )
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT count(*), sum({columns}), count(DISTINCT _source) FROM read_parquet({files}, union_by_name = true)"
        ).fetchone()
    assert rows is not None
    return rows


def test_a_worker_dies_half_way(cluster: Cluster, tmp_path: Path) -> None:
    lakes = {name: Lake(Settings.at(str(tmp_path / name))) for name in ("spark", "duckdb")}
    datasets = {name: dataset_on(tmp_path / "defs", name) for name in lakes}
    landing = datasets["spark"].template.fill(DAY, "")
    land_files(tmp_path / "spark" / "raw" / landing)
    shutil.copytree(tmp_path / "spark" / "raw" / landing, tmp_path / "duckdb" / "raw" / landing)
    driver = [sys.executable, str(Path(__file__).with_name("spark_driver.py")), cluster.master]
    driver += [str(tmp_path / "spark"), str(datasets["spark"].folder), DAY]
    with (tmp_path / "said").open("wb") as out:
        process = subprocess.Popen(driver, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        cluster.processes.append(process)
    scratch = tmp_path / "spark" / "ops" / "scratch"
    until(
        lambda: process.poll() is not None or [*scratch.glob("*/*.parquet")], "the first file of valid rows"
    )
    assert process.poll() is None, (tmp_path / "said").read_text()
    cluster.kill_worker()
    assert process.wait(600) == 0, (tmp_path / "said").read_text()[-5000:]
    assert len(cluster.alive()) == 1
    assert actions(run(lakes["duckdb"], datasets["duckdb"])) == {DAY: "published"}
    views = [View(lakes[name], datasets[name]) for name in ("spark", "duckdb")]
    spark, embedded = (
        {zone: sums(v, zone) for zone in ("validated", "curated", "quarantine")} for v in views
    )
    assert spark == embedded
    balances = [v.status()[DAY].balance for v in views]
    assert balances[0] == balances[1]
    assert balances[0].holds
    assert balances[0].landed == ROWS
    assert (balances[0].quarantined, balances[0].deduplicated) == (ROWS // 1000, ROWS // 500)
    assert [*scratch.iterdir()] == []
