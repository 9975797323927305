"""`engine: glue`, whole: asset → StartJobRun → the script under spark-submit → answer → audit → publish."""

import json
import logging
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pyarrow.parquet as pq
import pytest
from glue_endpoint import KEYS, Endpoint, glue_endpoint
from lakes import DAY, actions, check_law, csv, make_dataset, put
from typer.testing import CliRunner

from lake_pipeline.cli.app import app
from lake_pipeline.components.definitions import dataset_definitions
from lake_pipeline.components.sensors import job_name
from lake_pipeline.datasets import Dataset
from lake_pipeline.flow import compact
from lake_pipeline.flow.away import Away, JobUnlike, Order
from lake_pipeline.flow.choice import Size
from lake_pipeline.flow.context import Engines, working
from lake_pipeline.flow.run import STAGES, run_stages
from lake_pipeline.resources import Alerts, GlueJobs, LakeResource, SparkSessions
from lake_pipeline.resources.steps import GlueSteps
from lake_pipeline.storage import Lake, ObjectStore

ROOT = Path(__file__).parents[2]
needs_spark = pytest.mark.skipif(
    not (ROOT / ".venv-glue/.ready").exists() or shutil.which("java") is None,
    reason="needs `make .venv-glue/.ready` and Java 17",
)


BUNDLE = ROOT / "dist" / "glue"
# The bundle, and nothing else: Spark comes in a zip with spark-submit, as it does on Glue.
PYTHON = ROOT / ".venv-glue" / "bin" / "python"


def spark_submit(job: str, _: str, arguments: dict[str, str]) -> list[str]:
    """What a run of our jobs is: the bundle's script under spark-submit, with the arguments that Glue would pass."""
    step = job.removeprefix("lake-")
    given = [part for name, value in arguments.items() for part in (name, value)]
    options = ["--master", "local[2]", "--conf", "spark.sql.shuffle.partitions=2"]
    return [str(Path(sys.executable).with_name("spark-submit")), *options, str(BUNDLE / f"{step}.py"), *given]


def spark_home() -> str:
    """Where Spark is."""
    spec = find_spec("pyspark")
    assert spec is not None
    return str(Path(str(spec.origin)).parent)


@pytest.fixture
def glue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """A Glue whose runs are the scripts."""
    for name, value in KEYS.items():
        if name.upper().replace("REGION_NAME", "REGION") not in os.environ:
            monkeypatch.setenv(name.upper().replace("REGION_NAME", "REGION"), value)
    with glue_endpoint() as endpoint:
        for step in ("validate", "curate", "compact"):
            endpoint.job(f"lake-{step}")
        endpoint.on_start, endpoint.cwd, endpoint.folder = spark_submit, tmp_path, tmp_path
        spark = {"PYSPARK_PYTHON": str(PYTHON), "SPARK_HOME": spark_home()}
        endpoint.env = {**os.environ, **spark}
        endpoint.env.pop("PYTHONPATH", None)
        yield endpoint


def resources(glue: Endpoint) -> dict[str, Any]:
    jobs = GlueJobs(endpoint=glue.url, region="us-east-1", poll_seconds=1)
    return {"lake": LakeResource(), "spark": SparkSessions(), "glue": jobs, "alerts": Alerts()}


def materialize(
    lake: Lake, dataset: Dataset, glue: Endpoint, instance: dg.DagsterInstance, key: str
) -> dg.ExecuteInProcessResult:
    given = dg.Definitions(resources=resources(glue), executor=dg.in_process_executor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)
        definitions = dataset_definitions(dataset)
    job = dg.Definitions.merge(definitions, given).resolve_job_def(job_name(dataset))
    where = {"LAKE_ROOT": lake.settings.root, "LAKE_HOME": str(lake.settings.home)}
    with mock.patch.dict(os.environ, where):
        return job.execute_in_process(instance=instance, partition_key=key, raise_on_error=False)


ROWS = (
    csv("a,1,2026-03-01", "b,oops,2026-03-01", "a,2,2026-03-01"),
    csv("c,3,2026-03-01", "d,-4,2026-03-01"),
    b"\xff\xfe",
)


def land(lake: Lake, dataset: Dataset, key: str = DAY) -> None:
    for number, body in enumerate(ROWS):
        put(lake, dataset, f"{number}.csv", body.replace(b"2026-03-01", key.encode()), key)


@needs_spark
def test_the_bundle_is_of_these_sources_and_needs_neither_dagster_nor_duckdb() -> None:
    """What is installed in .venv-glue is of other sources? Run `make glue-env`."""
    (installed,) = (ROOT / ".venv-glue").glob("lib/python*/site-packages/lake_pipeline")
    packed = {p.relative_to(installed): p.read_bytes() for p in installed.rglob("*.py")}
    own = ROOT / "lake_pipeline"
    assert packed == {p.relative_to(own): p.read_bytes() for p in own.rglob("*.py")}
    for name in ("dagster", "duckdb", "pyiceberg", "boto3"):
        tried = subprocess.run([PYTHON, "-c", f"import {name}"], capture_output=True, check=False)
        assert b"ModuleNotFoundError" in tried.stderr, name


@needs_spark
def test_a_partition_is_run_by_glue_jobs(lake_s3: Lake, glue: Endpoint, tmp_path: Path) -> None:
    rule = {"key": ["id"], "losers": "quarantine"}
    dataset = make_dataset(tmp_path / "away", engine="glue", deduplicate=rule, rules='IsComplete "id"')
    land(lake_s3, dataset)
    with dg.DagsterInstance.ephemeral() as instance:
        done = materialize(lake_s3, dataset, glue, instance, DAY)
        assert done.success, "\n".join(p.read_text() for p in tmp_path.glob("jr_*.log"))
        events = {
            e.asset_key.path[0]: e.materialization.metadata
            for e in done.get_asset_materialization_events()
            if e.asset_key
        }
        again = materialize(lake_s3, dataset, glue, instance, DAY)
    assert again.success
    assert glue.count("StartJobRun") == 2
    view = check_law(lake_s3, dataset)
    assert sorted((r["id"], r["amount"]) for r in view.curated) == [("a", 2.0), ("c", 3.0)]
    assert sorted(view.codes("0.csv")) == [["CAST_FAILED"], ["DUPLICATE_KEY"]]
    assert view.kept_files() == {"2.csv": ROWS[2]}
    for zone in ("validated", "curated"):
        seen = events[zone]
        assert "3 files → glue" in str(seen["engine"].value)
        assert (seen["glue_job_run"].value, seen["glue_how"].value) in {
            ("jr_0001", "started"),
            ("jr_0002", "started"),
        }
        assert seen["dpu_hours"].value == pytest.approx(2 * 90 / 3600)
        assert seen["price"].value == pytest.approx(2 * 90 / 3600 * 0.29)
    with mock.patch.dict(os.environ, {"LAKE_ROOT": lake_s3.settings.root}):
        told = json.loads(CliRunner().invoke(app, ["cost", "--json"]).output)
    assert [(c["dataset"], c["job"], c["runs"]) for c in told["costs"]] == [
        ("sales", "lake-curate", 1),
        ("sales", "lake-validate", 1),
    ]
    assert told["total"][0]["price"] == pytest.approx(4 * 90 / 3600 * 0.29)
    for zone in ("ops", "validated", "curated", "quarantine"):
        left = [o.key for o in lake_s3.zone(zone).list() if o.key.startswith(("_staging", "scratch"))]
        assert left == []


@needs_spark
def test_compacting_by_a_job(lake_folder: Lake, glue: Endpoint, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "here")
    land(lake_folder, dataset)
    run_stages(lake_folder, dataset, [DAY], STAGES, "here")
    before = check_law(lake_folder, dataset).curated
    away = make_dataset(tmp_path / "away", engine="glue")
    jobs = GlueSteps(
        GlueJobs(endpoint=glue.url, region="us-east-1", poll_seconds=1), logging.getLogger("test")
    )
    with working(lake_folder, away, "compact", engines=Engines(glue=Away(jobs))) as work:
        request = compact.Request({DAY: tuple(f.uri for f in lake_folder.tables.files("curated.sales"))})
        answer, ran = work.do(compact.STEP, request, Size(1, 1))
        rows = [r for f in answer.files for r in pq.read_table(f.path).to_pylist()]
    assert sorted(rows, key=str) == sorted(before, key=str)
    assert ran.facts["glue_job"] == "lake-compact"


@needs_spark
def test_a_job_that_fails_says_why_and_leaves_nothing(
    lake_folder: Lake, glue: Endpoint, tmp_path: Path
) -> None:
    dataset = make_dataset(tmp_path / "away", engine="glue")
    land(lake_folder, dataset)
    submit = spark_submit

    def broken(job: str, run_id: str, arguments: dict[str, str]) -> list[str]:
        return submit(job, run_id, {**arguments, "--input": arguments["--input"] + ".gone"})

    glue.on_start = broken
    with dg.DagsterInstance.ephemeral() as instance:
        failed = materialize(lake_folder, dataset, glue, instance, DAY)
        error = failed.get_step_failure_events()[0].step_failure_data.error
        said = error.to_string() if error else ""
        assert not failed.success
        assert 'There is no object "input.json.gone"' in said
        assert "Last lines of the driver's log" in said
    assert check_law(lake_folder, dataset, ()).validated == []


def test_a_job_of_another_version_is_not_believed(lake_folder: Lake, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "away", engine="glue")
    land(lake_folder, dataset)

    def stale(store: ObjectStore, order: Order) -> dict[str, Any]:
        uri = order.arguments["output"]
        store.write(store.key(uri), b'{"version": "0", "validation": "x", "answer": {}}')
        return {}

    with pytest.raises(JobUnlike, match="make glue-bundle"):
        run_stages(lake_folder, dataset, [DAY], STAGES, "r", engines=Engines(glue=Away(stale)))


def test_tiny_work_never_pays_for_a_job(lake_folder: Lake, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "auto", engine="auto")
    land(lake_folder, dataset)
    done = run_stages(lake_folder, dataset, [DAY], STAGES, "r")
    assert actions(done) == {DAY: "published"}
    ran = done.curated[DAY].ran
    assert ran is not None
    assert ran.reason.endswith("in 3 files → duckdb")
    larger = make_dataset(tmp_path / "larger", engine="auto", auto={"files": 2})
    land(lake_folder, larger)

    def asked(_: ObjectStore, order: Order) -> dict[str, Any]:
        raise RuntimeError(f"{order.step} of {order.size} is for a job")

    with pytest.raises(RuntimeError, match=r"validate of .* in 3 files is for a job"):
        run_stages(lake_folder, larger, [DAY], STAGES, "r", engines=Engines(glue=Away(asked)))
