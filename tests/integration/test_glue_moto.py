"""The protocol against moto's server: jobs of every kind, runs, pages, tags and errors over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from glue_endpoint import KEYS, Endpoint, Time, glue_endpoint
from moto.moto_api import state_manager
from moto.server import ThreadedMotoServer

from lake_pipeline.resources.glue.bundle import bundle_jobs
from lake_pipeline.resources.glue.calls import CLIENT_RETRIES, Calls, Timing
from lake_pipeline.resources.glue.definition import JobDefinition, ensure_job
from lake_pipeline.resources.glue.errors import (
    ArgumentRefused,
    CompletionMissing,
    GlueUnavailable,
    JobMissing,
)
from lake_pipeline.resources.glue.request import JobRequest, RunOptions
from lake_pipeline.resources.glue.runs import JobRunner
from lake_pipeline.resources.glue.sizing import Workers
from lake_pipeline.storage import ObjectStore

SPARK = JobDefinition(
    "validate",
    "s3://b/validate.py",
    "arn:aws:iam::123456789012:role/glue",
    connections=("vpc",),
    tags={"team": "lake"},
    options=RunOptions(workers=Workers("G.1X", 4), timeout_minutes=60, modules=("s3://b/lake.whl",)),
)
SHELL = JobDefinition("compact", "s3://b/compact.py", "glue", kind="pythonshell")
RAY = JobDefinition(
    "score", "s3://b/score.py", "glue", kind="glueray", options=RunOptions(workers=Workers("Z.2X", 3))
)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    state_manager.set_transition(
        "glue::job_run", {"progression": "manual", "times": 1}
    )  # STARTING, RUNNING, …
    yield f"http://{host}:{port}"
    state_manager.unset_transition("glue::job_run")
    server.stop()


@pytest.fixture
def client(moto: str) -> Iterator[Any]:
    made = boto3.client("glue", endpoint_url=moto, config=Config(retries=CLIENT_RETRIES), **KEYS)
    yield made
    for name in made.list_jobs()["JobNames"]:
        made.delete_job(JobName=name)
    made.close()


class Script:
    """Writes the completion record when the resource pauses, as the script does on its own machine."""

    def __init__(self, store: ObjectStore) -> None:
        self.store, self.time = store, Time()

    def sleep(self, seconds: float) -> None:
        self.time.sleep(seconds)
        for claim in [o.key for o in self.store.list() if o.key.endswith("claim.json")]:
            *_, key, attempt, _ = claim.split("/")
            body = json.dumps({"run_key": key, "attempt": int(attempt)}).encode()
            self.store.create(claim.replace("claim.json", "result.json"), body)


@pytest.fixture
def runner(client: Any, tmp_path: Path) -> JobRunner:
    store = ObjectStore(str(tmp_path / "ops"))
    script = Script(store)
    return JobRunner(client, store, timing=Timing(script.time.clock, script.sleep, lambda: 1.0))


@pytest.mark.parametrize(
    ("definition", "options"),
    [
        (SPARK, RunOptions(workers=Workers("G.2X", 3), timeout_minutes=30)),
        (SHELL, RunOptions(max_capacity=1.0)),
        (RAY, RunOptions(workers=Workers("Z.2X", 2))),
    ],
    ids=lambda v: getattr(v, "kind", ""),
)
def test_jobs_of_every_kind_are_created_and_launched(
    client: Any, runner: JobRunner, definition: JobDefinition, options: RunOptions
) -> None:
    assert ensure_job(runner.runs.calls, definition) == "created"
    request = JobRequest(definition.name, "k1", {"contract": "s3://b/c"}, options, definition.kind)
    done = runner.run(request)
    run = client.get_job_run(JobName=definition.name, RunId=done.run_id)["JobRun"]
    assert run["JobRunState"] == "SUCCEEDED"
    assert run["Arguments"]["--contract"] == "s3://b/c"
    if options.workers:
        assert (run["WorkerType"], run["NumberOfWorkers"]) == (options.workers.type, options.workers.number)
    dpus = options.workers.dpus if options.workers else 1.0
    assert done.cost.dpu_hours == pytest.approx(dpus * 123 / 3600, abs=1e-6)
    assert runner.run(request).how == "reused"


def test_what_only_a_definition_can_say_is_there(client: Any) -> None:
    calls = Calls(client)
    assert [ensure_job(calls, d) for d in (SPARK, SHELL, RAY)] == ["created"] * 3
    spark, shell, ray = (client.get_job(JobName=d.name)["Job"] for d in (SPARK, SHELL, RAY))
    assert spark["Command"] == {
        "Name": "glueetl",
        "ScriptLocation": "s3://b/validate.py",
        "PythonVersion": "3",
    }
    assert (spark["Connections"], spark["GlueVersion"]) == ({"Connections": ["vpc"]}, "5.0")
    assert (spark["MaxRetries"], spark["Timeout"], spark["NumberOfWorkers"]) == (0, 60, 4)
    assert spark["DefaultArguments"] == {
        "--job-bookmark-option": "job-bookmark-disable",
        "--additional-python-modules": "s3://b/lake.whl",
    }
    assert (shell["Command"]["Name"], shell["MaxCapacity"]) == ("pythonshell", 0.0625)
    assert ray["Command"]["Runtime"] == "Ray2.4"
    arn = "arn:aws:glue:us-east-1:123456789012:job/validate"
    assert client.get_tags(ResourceArn=arn)["Tags"] == {"team": "lake"}


def test_the_jobs_of_a_bundle(client: Any, tmp_path: Path) -> None:
    said = {
        "glue_version": "5.0",
        "wheel": "lake.whl",
        "requirements": ["ibis-framework==12.0.0", "obstore==0.12.1"],
        "arguments": {"--python-modules-installer-option": "--no-deps"},
    }
    (tmp_path / "bundle.json").write_text(json.dumps(said))
    jobs = bundle_jobs(tmp_path, "s3://code/lake/", "glue", RunOptions(modules=("holidays==0.9",)))
    assert [ensure_job(Calls(client), job) for job in jobs] == ["created"] * 3
    assert sorted(client.list_jobs()["JobNames"]) == ["lake-compact", "lake-curate", "lake-validate"]
    job = client.get_job(JobName="lake-curate")["Job"]
    assert job["Command"]["ScriptLocation"] == "s3://code/lake/curate.py"
    assert job["DefaultArguments"] == {
        "--job-bookmark-option": "job-bookmark-disable",
        "--additional-python-modules": "s3://code/lake/lake.whl,ibis-framework==12.0.0,obstore==0.12.1,holidays==0.9",
        "--python-modules-installer-option": "--no-deps",
    }


def test_what_is_as_wanted_is_left_alone_and_tags_are_brought_up(client: Any) -> None:
    calls, account = Calls(client), lambda: "123456789012"
    assert ensure_job(calls, SPARK, account=account) == "created"
    assert ensure_job(calls, SPARK, account=account) == "unchanged"
    assert ensure_job(calls, SPARK) == "unchanged"
    tagged = replace(SPARK, tags={"team": "data", "cost": "42"})
    assert ensure_job(calls, tagged, account=account) == "updated"
    assert ensure_job(calls, tagged, account=account) == "unchanged"


def test_pages_of_runs_are_read_to_the_last(client: Any, runner: JobRunner) -> None:
    ensure_job(runner.runs.calls, replace(SPARK, max_concurrent_runs=1000))
    for number in range(205):
        client.start_job_run(JobName="validate", Arguments={"--n": str(number)})
    own = {"--lake-run-key": "k1", "--lake-attempt": "1"}
    run_id = client.start_job_run(JobName="validate", Arguments=own)["JobRunId"]
    runner.store.create("glue-runs/validate/k1/001/claim.json", b'{"owner": "me"}')
    runner.timing.sleep(1)  # the script's record is there; moto's runs go on with each page
    done = runner.run(JobRequest("validate", "k1", owner="me"))
    assert (done.run_id, done.how) == (run_id, "reused")


def test_concurrent_runs_are_waited_for(client: Any, runner: JobRunner) -> None:
    ensure_job(runner.runs.calls, replace(SPARK, max_concurrent_runs=1))
    other = client.start_job_run(JobName="validate")["JobRunId"]  # goes on only when somebody looks
    request = JobRequest("validate", "k1", deadline=30.0)
    with pytest.raises(GlueUnavailable, match=r"ConcurrentRunsExceededException.*Gave up at the deadline"):
        runner.run(request)
    for _ in range(3):
        client.get_job_run(JobName="validate", RunId=other)
    assert runner.run(request).attempt == 2  # the first gave up, on record


def test_errors_of_the_protocol(runner: JobRunner) -> None:
    with pytest.raises(JobMissing, match='the job "validate"'):
        runner.run(JobRequest("validate", "k1"))


def test_moto_says_succeeded_and_that_is_not_enough(client: Any, tmp_path: Path) -> None:
    now = Time()
    runner = JobRunner(client, ObjectStore(str(tmp_path)), timing=Timing(now.clock, now.sleep))
    ensure_job(runner.runs.calls, SPARK)
    with pytest.raises(CompletionMissing, match="no completion record"):
        runner.run(JobRequest("validate", "k1"))


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Moto has no UpdateJob."""
    with glue_endpoint() as made:
        yield made


@pytest.mark.parametrize(
    "change",
    [
        {"script": "s3://b/other.py"},
        {"connections": ()},
        {"connections": ("vpc", "rds")},
        {"glue_version": "5.1"},
        {"options": RunOptions(security_configuration="sealed")},
        {"options": RunOptions(spark_conf={"spark.sql.ansi.enabled": "true"})},
        {"max_concurrent_runs": 3},
    ],
)
def test_a_definition_that_changed_is_updated_once(endpoint: Endpoint, change: Mapping[str, Any]) -> None:
    client = endpoint.client()
    calls = Calls(client)
    changed = replace(SPARK, **change)
    assert [ensure_job(calls, d) for d in (SPARK, SPARK, changed, changed, SPARK)] == [
        "created",
        "unchanged",
        "updated",
        "unchanged",
        "updated",
    ]
    assert endpoint.count("UpdateJob") == 2
    client.close()


@pytest.mark.parametrize("wrong", [{"role": ""}, {"script": ""}, {"name": ""}, {"kind": "spark"}])
def test_a_definition_that_cannot_be(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(ArgumentRefused):
        ensure_job(Calls(None), replace(SPARK, **wrong))
