"""`engine: spark` as people use it: `lake run`, through Dagster and dagster-pyspark."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lakes import DAY, csv, make_dataset, put
from spark_session import missing

from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

LAKE = [sys.executable, "-c", "from lake_pipeline.cli import main; main()"]


def lake(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The command, on a lake in a folder."""
    ours = {n: v for n, v in os.environ.items() if not n.startswith(("LAKE_", "DAGSTER_"))}
    env = {**ours, "LAKE_ROOT": str(folder / "lake"), "LAKE_DEFS": str(folder / "defs"), **more}
    return subprocess.run([*LAKE, *arguments], env=env, capture_output=True, text=True, check=False)


def landed(folder: Path) -> None:
    """A dataset of Spark's with a file that has a row to reject."""
    dataset = make_dataset(folder / "defs", engine="spark", rules='IsComplete "id"')
    store = Lake(Settings.at(str(folder / "lake")))
    put(store, dataset, "a.csv", csv("a,1,2026-03-01", "b,x,2026-03-01"))


@pytest.mark.skipif(missing() is not None, reason=missing() or "")
def test_lake_run_on_spark(tmp_path: Path) -> None:
    """And again, when there is nothing to do."""
    landed(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for action in ("published", "unchanged"):
        more = {"LAKE_SPARK_MASTER": "local[1]", "TMPDIR": str(scratch)}
        done = lake(tmp_path, "run", "sales", "--partition", DAY, "--json", **more)
        assert done.returncode == 0, done.stdout + done.stderr
        (ran,) = json.loads(done.stdout)
        assert (ran["action"], ran["curated_rows"], ran["quarantined_rows"]) == (action, 1, 1)
        assert "Traceback" not in done.stderr
        assert list(scratch.iterdir()) == []


def test_without_java_it_says_how_to_get_it(tmp_path: Path) -> None:
    landed(tmp_path)
    bare = tmp_path / "bin"
    bare.mkdir()
    for name in ("sh", "env"):
        (bare / name).symlink_to(str(shutil.which(name)))
    done = lake(tmp_path, "run", "sales", "--partition", DAY, PATH=str(bare), JAVA_HOME="")
    assert done.returncode == 1
    assert "Java 17" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
