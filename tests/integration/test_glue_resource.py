"""`GlueJobs` in Dagster: configuration, an injected client, the log, reports and cancelling."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from glue_endpoint import KEYS, Endpoint, Run, complete, log, say
from lakes import make_dataset

from lake_pipeline.errors import UsageError
from lake_pipeline.flow.away import Order
from lake_pipeline.flow.choice import Size
from lake_pipeline.resources.glue import GlueJobs, JobRequest, Limits, RunOptions, Workers
from lake_pipeline.resources.glue.errors import GlueRefused, JobRunFailed
from lake_pipeline.resources.glue.resource import client
from lake_pipeline.resources.steps import GlueSteps
from lake_pipeline.storage import ObjectStore


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name.upper().replace("REGION_NAME", "REGION"), value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def talks(run: Run) -> Iterator[str]:
    report = {"method": "report_asset_materialization", "params": {"metadata": {"rows": 3}}}
    say(run, 1, log("read 3 rows"), log("odd", "warning"), log("?", "LOUD"), report)
    complete(run)
    yield "SUCCEEDED"


def asset(store: ObjectStore) -> dg.AssetsDefinition:
    @dg.asset
    def validated(context: dg.AssetExecutionContext, glue_jobs: GlueJobs) -> dg.MaterializeResult:  # type: ignore[type-arg]
        reports: list[Any] = []
        request = JobRequest(
            "validate",
            "orders/1",
            options=RunOptions(workers=glue_jobs.size(10**9, 3, flex=True)),
            owner=context.run.run_id,
        )
        done = glue_jobs.run(store, request, context.log, reports.append)
        cost: dict[str, Any] = {
            "dpu_hours": done.cost.dpu_hours,
            "price": done.cost.price,
            "run": done.run_id,
        }
        return dg.MaterializeResult(metadata={**cost, "rows": reports[0]["params"]["metadata"]["rows"]})

    return validated


@pytest.mark.parametrize("injected", [True, False])
def test_an_asset_runs_a_job(glue: Endpoint, tmp_path: Path, injected: bool) -> None:
    glue.play = talks
    store = ObjectStore(str(tmp_path))
    given = glue.client() if injected else None
    resource = GlueJobs(client=given) if injected else GlueJobs(endpoint=glue.url, region="us-east-1")
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([asset(store)], resources={"glue_jobs": resource}, instance=instance)
        entries = instance.all_logs(done.run_id)
    made = done.asset_materializations_for_node("validated")[0].metadata
    assert (made["rows"].value, made["run"].value, made["price"].value) == (3, "jr_0001", 0.0145)
    assert glue.runs[0].parameters["ExecutionClass"] == "FLEX"
    said = {e.user_message: e.level for e in entries if e.dagster_event is None}
    started = 'The run jr_0001 of the job "validate" was started (attempt 1).'
    assert said.pop(started) == logging.INFO
    assert said == {"read 3 rows": logging.INFO, "odd": logging.WARNING, "?": logging.INFO}
    (given or resource.glue()).close()


def test_a_failure_reaches_dagster_with_its_log(glue: Endpoint, tmp_path: Path) -> None:
    def fails(run: Run) -> Iterator[str]:
        say(run, 1, log("about to break"))
        yield "FAILED"

    glue.play = fails
    resource = GlueJobs(client=glue.client())
    with pytest.raises(JobRunFailed, match=r"  \| about to break"):
        dg.materialize([asset(ObjectStore(str(tmp_path)))], resources={"glue_jobs": resource})
    resource.client.close()


def test_sizes_within_the_configured_limits() -> None:
    resource = GlueJobs(min_workers=3, max_workers=5, worker_types=["G.2X", "G.8X"], bytes_per_dpu=10)
    assert resource.size(1) == Workers("G.2X", 3)
    assert resource.size(1000) == Workers("G.8X", 5)
    assert resource.size(1000, flex=True) == Workers("G.2X", 5)
    assert GlueJobs().size(0) == Workers("G.1X", Limits().min_workers)
    with pytest.raises(UsageError, match="No worker type"):
        GlueJobs(worker_types=["G.8X"]).size(1, flex=True)


def test_clients_do_not_retry_by_themselves_and_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = client("glue", "eu-central-1")
    assert made.meta.config.retries["total_max_attempts"] == 1
    assert made.meta.region_name == "eu-central-1"
    assert client("glue", "eu-central-1") is made
    monkeypatch.setenv("AWS_ENDPOINT_URL_GLUE", "http://127.0.0.1:1")
    assert client("glue", "eu-central-1").meta.endpoint_url == "http://127.0.0.1:1"


def test_no_region_and_no_profile_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(GlueRefused, match="set AWS_REGION"):
        GlueJobs().glue()
    with pytest.raises(GlueRefused, match=r"\(nobody\) could not be found"):
        GlueJobs(profile="nobody", region="us-east-1").glue()


@pytest.mark.parametrize(
    ("where", "awss"),
    [
        ({"region": "eu-central-1"}, True),
        ({"region": "cn-north-1"}, True),
        ({"region": "us-east-1", "endpoint": "http://127.0.0.1:1"}, False),
        ({"region": "us-east-1", "endpoint": "https://glue.amazonaws.com.example.org"}, False),
        ({"region": "us-east-1", "endpoint": "https://vpce-1.glue.us-east-1.vpce.amazonaws.com"}, True),
    ],
)
def test_a_lake_in_a_folder_is_nothing_for_jobs_on_aws(
    where: dict[str, Any], awss: bool, tmp_path: Path
) -> None:
    jobs = GlueJobs(**where)
    assert jobs.is_awss() is awss
    order = Order("validate", make_dataset(tmp_path, engine="glue"), "k", {}, Size(1, 1), "r")
    if awss:
        with pytest.raises(UsageError, match="do not see the folder"):
            GlueSteps(jobs, logging.getLogger())(ObjectStore(str(tmp_path)), order)


def test_cloudwatch_is_asked_only_where_glue_is_awss_own() -> None:
    assert GlueJobs(region="us-east-1")._logs() is not None
    assert GlueJobs(region="us-east-1", cloudwatch=False)._logs() is None
    assert GlueJobs(endpoint="http://127.0.0.1:1")._logs() is None
    logs = object()
    given = GlueJobs(endpoint="http://127.0.0.1:1", logs=logs)._logs()
    assert given is not None
    assert given() is logs
