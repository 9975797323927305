"""The AWS Glue Data Catalog as the lake's catalog (LAKE_CATALOG=glue), played by moto's server over HTTP."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from lakes import DAY, NEXT, actions, check_law, csv, make_dataset, put, run
from moto.core.exceptions import JsonRESTError
from moto.glue.responses import GlueResponse
from moto.server import ThreadedMotoServer

from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake
from lake_pipeline.storage.lake import CommitConflict

KEYS = {"AWS_ACCESS_KEY_ID": "catalog", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}


LOCK = threading.Lock()
UPDATE = GlueResponse.update_table


def checked_update(response: GlueResponse) -> Any:
    """What Glue does and moto does not: a new version only over the one that the caller has seen."""
    name, seen = response.parameters["TableInput"]["Name"], response.parameters["VersionId"]
    with LOCK:
        table = response.glue_backend.get_table(response.parameters["DatabaseName"], name)
        if str(seen) != str(table.as_dict()["VersionId"]):
            raise JsonRESTError(
                "ConcurrentModificationException", "Update table failed due to concurrent modifications."
            )
        return UPDATE(response)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A lake on moto's S3, with its tables in moto's Glue."""
    monkeypatch.setattr(GlueResponse, "update_table", checked_update)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)  # AWS_REGION is what the docs name
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"").close()
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="acme")
    yield Lake(Settings.at("s3://acme/lake", catalog="glue", home=str(tmp_path / "home")))
    server.stop()


def test_published_partitions_are_in_the_catalog(lake: Lake, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    put(lake, dataset, "a.csv", csv("a,1,2026-03-01", "b,x,2026-03-01"))
    put(lake, dataset, "b.csv", csv("c,2,2026-03-02"), NEXT)
    assert actions(run(lake, dataset, DAY, NEXT)) == {DAY: "published", NEXT: "published"}
    assert actions(run(lake, dataset, DAY, NEXT)) == {DAY: "unchanged", NEXT: "unchanged"}
    view = check_law(lake, dataset)
    assert view.values() == ["a", "c"]
    glue = boto3.client("glue", region_name="us-east-1")
    assert {d["Name"] for d in glue.get_databases()["DatabaseList"]} == {"curated", "quarantine", "validated"}
    table: dict[str, Any] = glue.get_table(DatabaseName="curated", Name="sales")["Table"]
    assert table["Parameters"]["table_type"] == "ICEBERG"
    assert table["Parameters"]["metadata_location"].startswith("s3://acme/lake/curated/sales/metadata/")
    columns = {c["Name"]: c["Type"] for c in table["StorageDescriptor"]["Columns"]}
    assert columns == {
        **{"id": "string", "amount": "double", "day": "date"},
        **{"_partition": "string", "_source": "string", "_record": "bigint"},
    }


def test_what_the_gate_refuses_is_not_in_the_catalog(lake: Lake, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, rules="RowCount > 5")
    put(lake, dataset, "a.csv", csv("a,1,2026-03-01"))
    assert actions(run(lake, dataset, DAY)) == {DAY: "refused"}
    assert check_law(lake, dataset).curated == []
    tables = boto3.client("glue", region_name="us-east-1").get_tables(DatabaseName="validated")["TableList"]
    assert [t["Name"] for t in tables] == ["sales"]


def test_of_runs_beside_one_another_nothing_is_lost(lake: Lake, tmp_path: Path) -> None:
    """Glue takes a table's new version only over the one that its writer has seen; the loser looks again."""
    dataset = make_dataset(tmp_path)
    for day in range(1, 5):
        put(lake, dataset, "a.csv", csv(f"{day},1,2026-03-0{day}"), f"2026-03-0{day}")

    def persist(day: int) -> str:
        for _ in range(30):
            try:
                return actions(run(Lake(lake.settings), dataset, f"2026-03-0{day}"))[f"2026-03-0{day}"]
            except CommitConflict:
                continue
        return "never"

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(persist, range(1, 5))) == ["published"] * 4
    assert check_law(lake, dataset).values() == ["1", "2", "3", "4"]
