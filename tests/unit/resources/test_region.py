"""AWS_REGION is the region of every client: boto3 itself would read AWS_DEFAULT_REGION only."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake_pipeline.resources import GlueJobs, SqsQueue
from lake_pipeline.resources.sinks import client


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_REGION", "eu-west-3")


def test_glue() -> None:
    assert GlueJobs().glue().meta.region_name == "eu-west-3"
    assert GlueJobs(region="eu-west-1").glue().meta.region_name == "eu-west-1"


def test_sqs() -> None:
    drain = SqsQueue().open("https://sqs.eu-west-3.amazonaws.com/1/q", "", lambda *_: None)
    assert drain._client.meta.region_name == "eu-west-3"


@pytest.mark.parametrize("service", ["sns", "events"])
def test_sinks(service: str) -> None:
    assert client(service).meta.region_name == "eu-west-3"
    assert client(service, "eu-west-1").meta.region_name == "eu-west-1"
