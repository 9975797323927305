"""What is asked of Glue for a step: small whatever the partition, sized by it, and as the dataset says."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from lakes import DAY, make_dataset

from lake_pipeline.errors import UsageError
from lake_pipeline.flow import batches
from lake_pipeline.flow.away import Away, Order
from lake_pipeline.flow.choice import Size
from lake_pipeline.flow.context import Engines, working
from lake_pipeline.flow.state import Entry
from lake_pipeline.resources.glue import GlueJobs, JobRequest, Workers
from lake_pipeline.resources.glue.environment import glue_jobs
from lake_pipeline.resources.glue.request import start_parameters
from lake_pipeline.resources.glue.sizing import GIB
from lake_pipeline.resources.steps import GlueSteps
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake, ObjectStore


def asked(
    root: Path, size: Size, jobs: GlueJobs | None = None, lake: Lake | None = None, **glue: Any
) -> JobRequest:
    """The job run of a validation."""
    dataset = make_dataset(root, engine="glue", glue=glue)
    place = lake or Lake(Settings.at(str(root / "lake")))
    found: list[JobRequest] = []

    def noted(store: ObjectStore, order: Order) -> Mapping[str, Any]:
        found.append(GlueSteps(jobs or GlueJobs(), logging.getLogger("test")).request(order))
        raise InterruptedError

    names = [f"sales/2026/03/01/{n:06} with = -- ünïcode 名 {'x' * 100}.csv" for n in range(size.files)]
    entries = tuple(entry(name) for name in names)
    request = batches.Request((batches.Todo(DAY, "batch", entries),), {})
    with (
        pytest.raises(InterruptedError),
        working(place, dataset, "run", engines=Engines(glue=Away(noted))) as work,
    ):
        work.do(batches.STEP, request, size)
    return found[0]


def entry(key: str) -> Entry:
    return Entry(key, key, 1000, "etag", None, "2026-03-01T00:00:00+00:00")


def test_arguments_are_small_whatever_the_partition(tmp_path: Path) -> None:
    few, many = (
        start_parameters(asked(tmp_path / str(n), Size(1000 * n, n)))["Arguments"] for n in (1, 10_000)
    )
    assert few.keys() == many.keys()
    assert len(json.dumps(many)) < 2000


@pytest.mark.parametrize("name", ["with space", "a=b", "--x", "ünï 名", "a+b%2F", "it's"])
def test_a_lake_may_be_anywhere(tmp_path: Path, name: str) -> None:
    lake = Lake(Settings.at(str(tmp_path / name / "lake")))
    arguments = start_parameters(asked(tmp_path, Size(1, 1), lake=lake))["Arguments"]
    assert arguments["--input"].startswith(f"file://{tmp_path}/{name}/lake/ops/jobs/sales/validate/")


@pytest.mark.parametrize(
    ("size", "glue", "expected"),
    [
        (Size(30 * GIB, 14), {}, Workers("G.1X", 16)),
        (Size(100 * GIB, 14), {}, Workers("G.2X", 20)),  # as FLEX can be
        (Size(100 * GIB, 14), {"deadline_minutes": 60}, Workers("G.4X", 14)),
        (Size(100 * GIB, 14), {"execution": "STANDARD"}, Workers("G.4X", 14)),
        (Size(100 * GIB, 14), {"worker_type": "G.8X"}, Workers("G.8X", 8)),
        (Size(1, 1), {"worker_type": "G.8X"}, Workers("G.8X", 2)),
        (Size(1, 1), {"worker_type": "R.2X", "workers": 3}, Workers("R.2X", 3)),
    ],
)
def test_workers(tmp_path: Path, size: Size, glue: dict[str, Any], expected: Workers) -> None:
    assert asked(tmp_path, size, **glue).options.workers == expected


def test_auto_is_standard_where_no_type_can_be_flex(tmp_path: Path) -> None:
    jobs = GlueJobs(worker_types=["G.4X", "G.8X"])
    request = asked(tmp_path, Size(1, 1), jobs)
    assert request.options.workers == Workers("G.4X", 2)
    assert start_parameters(request)["ExecutionClass"] == "STANDARD"
    with pytest.raises(UsageError, match="No worker type"):
        GlueSteps(jobs, logging.getLogger()).workers(
            make_dataset(tmp_path, glue={"execution": "FLEX"}).config.glue, Size(1, 1)
        )


def test_the_environment_says_limits_and_prices() -> None:
    said = {
        "LAKE_GLUE_MAX_WORKERS": "50",
        "LAKE_GLUE_WORKER_TYPES": "G.1X, G.2X",
        "LAKE_GLUE_PRICE": "0.5",
        "LAKE_GLUE_CURRENCY": "EUR",
        "LAKE_GLUE_CLOUDWATCH": "false",
        "LAKE_GLUE_REGION": "",
        "LAKE_ROOT": "elsewhere",
    }
    made = glue_jobs(said)
    assert (made.max_workers, made.worker_types, made.price, made.currency, made.cloudwatch) == (
        *(50, ["G.1X", "G.2X"], 0.5, "EUR"),
        False,
    )


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("LAKE_GLUE_MAX_WORKER", "5", 'Did you mean "LAKE_GLUE_MAX_WORKERS"'),
        ("LAKE_GLUE_MAX_WORKERS", "many", 'LAKE_GLUE_MAX_WORKERS is "many": .*valid integer'),
        ("LAKE_GLUE_CLIENT", "x", "is no setting"),
    ],
)
def test_nonsense_in_the_environment_is_said(name: str, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        glue_jobs({name: text})
