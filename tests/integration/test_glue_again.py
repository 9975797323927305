"""What was asked of jobs before: runs that died, jobs of other versions, two runs at once, rejected rows, new columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from glue_endpoint import Endpoint, Run
from glue_jobs import jobs_of, script
from lakes import DAY, actions, check_law, csv, make_dataset, put, run
from under_test import HAVE_SPARK

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow import curate, publish
from lake_pipeline.flow.away import JobUnlike
from lake_pipeline.flow.run import Result
from lake_pipeline.resources.glue.errors import JobRunFailed
from lake_pipeline.settings import ZONES
from lake_pipeline.storage import Lake

pytestmark = [
    pytest.mark.skipif(not HAVE_SPARK, reason="needs PySpark and Java 17"),
    pytest.mark.usefixtures("spark_session"),
]
ROWS = csv("a,1,2026-03-01", "b,oops,2026-03-01", "a,2,2026-03-01", "c,-4,2026-03-01")


def left(lake: Lake) -> list[str]:
    """What is left of work that is over."""
    return [
        o.key for zone in ZONES for o in lake.zone(zone).list() if o.key.startswith(("_staging", "scratch"))
    ]


def sales(root: Path, engine: str = "glue", **more: Any) -> Dataset:
    rule = {"key": ["id"], "order_by": ["amount"], "losers": "quarantine"}
    return make_dataset(root, engine=engine, deduplicate=rule, **more)


def test_a_job_of_another_version_refuses_and_the_right_one_is_run(
    lake_folder: Lake, glue: Endpoint, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the message says is what helps: upload the bundle, run again."""
    dataset = sales(tmp_path)
    put(lake_folder, dataset, "a.csv", ROWS)

    def old(job: Run) -> Iterator[str]:
        with monkeypatch.context() as patched:
            patched.setattr(Dataset, "validation_hash", "of another version")
            states = [*script(job)]
        yield from states

    with pytest.raises((JobUnlike, JobRunFailed), match="make glue-bundle"):
        run(lake_folder, dataset, engines=jobs_of(glue, client, old))
    assert actions(run(lake_folder, dataset, engines=jobs_of(glue, client))) == {DAY: "published"}
    check_law(lake_folder, dataset)


def test_nothing_is_left_of_a_job_whose_run_failed_later(
    lake_s3: Lake, glue: Endpoint, client: Any, tmp_path: Path
) -> None:
    dataset = sales(tmp_path)
    put(lake_s3, dataset, "a.csv", ROWS)

    def no_curate(job: Run) -> Iterator[str]:
        return script(job) if job.job == "lake-validate" else iter(["FAILED"])

    with pytest.raises(JobRunFailed):
        run(lake_s3, dataset, engines=jobs_of(glue, client, no_curate))
    assert actions(run(lake_s3, dataset, engines=jobs_of(glue, client))) == {DAY: "published"}
    check_law(lake_s3, dataset)
    assert left(lake_s3) == []


def test_two_runs_at_once_share_the_jobs_and_both_end_well(
    lake_s3: Lake, glue: Endpoint, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them has published, and cleared, before the other reads the answer."""
    dataset = sales(tmp_path)
    put(lake_s3, dataset, "a.csv", ROWS)
    engines, others = jobs_of(glue, client), list[Result]()

    def late(*arguments: Any) -> Any:
        monkeypatch.setattr(curate, "publish", publish.publish)
        others.append(run(Lake(lake_s3.settings), dataset, engines=engines))
        return publish.publish(*arguments)

    monkeypatch.setattr(curate, "publish", late)
    mine = run(lake_s3, dataset, engines=engines)
    assert (actions(mine), actions(others[0])) == ({DAY: "published"}, {DAY: "published"})
    assert len(glue.runs) == 2
    view = check_law(lake_s3, dataset)
    assert sorted(r["id"] for r in view.curated) == ["a"]
    assert left(lake_s3) == []
