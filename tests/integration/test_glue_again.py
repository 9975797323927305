"""What was asked of jobs before: runs that died, jobs of other versions, two runs at once, rejected rows, new columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from glue_endpoint import Endpoint, Run
from glue_jobs import jobs_of, script
from lakes import DAY, actions, check_law, csv, make_dataset, put, run
from remains import differences, remains
from under_test import HAVE_SPARK

from lake_pipeline.datasets import Dataset
from lake_pipeline.engines.spark import Spark
from lake_pipeline.flow import away, curate, publish
from lake_pipeline.flow.away import JobUnlike
from lake_pipeline.flow.publish import AuditedBeside
from lake_pipeline.flow.run import Result
from lake_pipeline.jobs import script as script_of_jobs
from lake_pipeline.resources.glue.errors import JobRunFailed
from lake_pipeline.settings import ZONES, Settings
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
    with pytest.raises(AuditedBeside):
        run(lake_s3, dataset, engines=engines)
    mine = run(lake_s3, dataset, engines=engines)
    assert (actions(mine), actions(others[0])) == ({DAY: "unchanged"}, {DAY: "published"})
    assert len(glue.runs) == 2
    view = check_law(lake_s3, dataset)
    assert sorted(r["id"] for r in view.curated) == ["a"]
    assert left(lake_s3) == []


def before_all(job: Run, patched: pytest.MonkeyPatch) -> None:
    """The driver is lost before it has done anything."""
    patched.setattr(away, "load_dataset", lost)


def before_the_answer(job: Run, patched: pytest.MonkeyPatch) -> None:
    """It is lost when all data files are staged, and the answer is not written."""
    patched.setattr(away, "write", lost)


def before_the_record(job: Run, patched: pytest.MonkeyPatch) -> None:
    """It is lost when the answer is written, and its completion record is not."""
    patched.setattr(script_of_jobs, "_complete", lost)


class Killed(BaseException):
    """What no script catches."""


def lost(*_: Any, **__: Any) -> Any:
    raise Killed


@pytest.mark.parametrize("step", ["validate", "curate"])
@pytest.mark.parametrize("point", [before_all, before_the_answer, before_the_record])
def test_a_driver_that_is_killed_leaves_nothing_lost_and_nothing_twice(
    lake_folder: Lake,
    glue: Endpoint,
    client: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: Callable[[Run, pytest.MonkeyPatch], None],
    step: str,
) -> None:
    """Its job run fails, and the same command finishes the work, with the rows that DuckDB leaves."""
    dataset = sales(tmp_path)
    put(lake_folder, dataset, "a.csv", ROWS)

    def dies(job: Run) -> Iterator[str]:
        if job.job != f"lake-{step}" or sum(r.job == job.job for r in glue.runs) > 1:
            yield from script(job)
            return
        with monkeypatch.context() as patched:
            patched.setattr(Spark, "close", lambda _: None)  # who is killed does not clear up
            point(job, patched)
            try:
                [*script(job)]
            except Killed:
                job.extra["ErrorMessage"] = "Command failed with exit code 137"
        yield "FAILED"

    engines = jobs_of(glue, client, dies)
    with pytest.raises(JobRunFailed, match="exit code 137"):
        run(lake_folder, dataset, engines=engines)
    result = run(lake_folder, dataset, engines=engines)
    assert actions(result) == {DAY: "published"}
    assert len(glue.runs) == 3
    check_law(lake_folder, dataset)
    assert left(lake_folder) == []
    reference = Lake(Settings.at(str(tmp_path / "reference")))
    here = sales(tmp_path / "here", "duckdb")
    put(reference, here, "a.csv", ROWS)
    expected = remains(reference, here, run(reference, here))
    mine = remains(lake_folder, dataset, result)
    assert differences({**mine, "fresh": {}}, {**expected, "fresh": {}}) == []


def test_a_new_file_costs_one_file_and_a_fixed_one_replaces_its_rows(
    lake_s3: Lake, glue: Endpoint, client: Any, tmp_path: Path
) -> None:
    """Rejected rows, the corrected file under the same name, a late file: each is a job for what is new."""
    dataset, engines = sales(tmp_path), jobs_of(glue, client)
    put(lake_s3, dataset, "a.csv", ROWS)
    run(lake_s3, dataset, engines=engines)
    put(lake_s3, dataset, "a.csv", csv("a,1,2026-03-01", "b,5,2026-03-01", "c,4,2026-03-01"))
    put(lake_s3, dataset, "late.csv", csv("l,9,2026-03-01"))
    assert actions(run(lake_s3, dataset, engines=engines)) == {DAY: "published"}
    view = check_law(lake_s3, dataset)
    assert sorted((r["id"], r["amount"]) for r in view.curated) == [
        ("a", 1.0),
        ("b", 5.0),
        ("c", 4.0),
        ("l", 9.0),
    ]
    assert view.quarantine == []
    put(lake_s3, dataset, "more.csv", csv("m,x,2026-03-01"))
    run(lake_s3, dataset, engines=engines)
    asked = [r for r in glue.runs if r.job == "lake-validate"]
    inputs = [json.loads(away.read(r.arguments["--input"]))["request"]["batches"] for r in asked]
    assert [[e["key"].rpartition("/")[2] for b in batches for e in b["entries"]] for batches in inputs] == [
        ["a.csv"],
        ["a.csv", "late.csv"],
        ["more.csv"],
    ]
    starts = glue.count("StartJobRun")
    run(lake_s3, dataset, engines=engines)
    assert glue.count("StartJobRun") == starts
    assert left(lake_s3) == []
