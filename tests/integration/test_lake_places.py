"""Where a lake's parts may be: each zone in a bucket of its own."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from lakes import DAY, actions, check_law, csv, make_dataset, put, run
from servers import S3Server

from lake_pipeline.settings import ZONES, Settings
from lake_pipeline.storage import Lake


@pytest.fixture
def lake(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """An empty lake with one bucket for each zone."""
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    company = f"acme-{uuid.uuid4().hex[:8]}"
    for zone in ZONES:
        s3_server.bucket(f"{company}-{zone}")
    return Lake(Settings.at(f"s3://{company}-{{zone}}", home=str(tmp_path / "home")))


def test_a_bucket_for_each_zone(lake: Lake, tmp_path: Path) -> None:
    """Land, run, refuse, correct and run again: the whole flow, and every zone has what is its own."""
    sales = make_dataset(tmp_path / "defs", rules='IsUnique "id"')
    put(lake, sales, "a b+ä%.csv", csv("a1,1,2026-03-01", "a2,none,2026-03-01"))
    put(lake, sales, "broken.json", b"{")
    assert actions(run(lake, sales)) == {DAY: "published"}
    view = check_law(lake, sales)
    assert (view.values(), view.codes("a b+ä%.csv")) == (["a1"], [["CAST_FAILED"]])
    assert view.kept_files() == {"broken.json": b"{"}
    put(lake, sales, "twice.csv", csv("a1,1,2026-03-01"))
    assert actions(run(lake, sales)) == {DAY: "refused"}
    put(lake, sales, "twice.csv", csv("a3,1,2026-03-01"))
    assert actions(run(lake, sales)) == {DAY: "published"}
    assert check_law(lake, sales).values() == ["a1", "a3"]
    used = {zone for zone in ZONES if list(lake.zone(zone).list())}
    assert used == set(ZONES) - {"replay"}
    assert all(lake.zone(zone).root.endswith(f"-{zone}") for zone in ZONES)
