"""What integration tests share: the dataset most of them are about, and a Glue of the tests with a runner on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from glue_endpoint import Endpoint, Time, glue_endpoint
from lakes import make_dataset

from lake_pipeline.datasets import Dataset
from lake_pipeline.resources.glue.calls import Timing
from lake_pipeline.resources.glue.runs import JobRunner
from lake_pipeline.storage import ObjectStore


@pytest.fixture
def sales(tmp_path: Path) -> Dataset:
    """A daily dataset with a gate: ids are unique."""
    return make_dataset(tmp_path / "defs", rules='IsUnique "id"')


@pytest.fixture
def glue() -> Iterator[Endpoint]:
    """A Glue on loopback with one job, `validate`."""
    with glue_endpoint() as endpoint:
        endpoint.job("validate")
        yield endpoint


@pytest.fixture
def now() -> Time:
    """The time as a runner sees it: it passes when the runner sleeps."""
    return Time()


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """Where a runner keeps what it knows of job runs."""
    return ObjectStore(str(tmp_path / "ops"))


@pytest.fixture
def client(glue: Endpoint) -> Iterator[Any]:
    """boto3's client of the Glue on loopback."""
    made = glue.client()
    yield made
    made.close()


@pytest.fixture
def runner(client: Any, store: ObjectStore, now: Time) -> JobRunner:
    """A runner of job runs that never really waits."""
    return JobRunner(client, store, timing=Timing(now.clock, now.sleep, lambda: 1.0))
