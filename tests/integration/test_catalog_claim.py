"""A lake has one catalog: another, which would be empty, is refused instead of finding that all is published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from lakes import DAY, View, actions, csv, make_dataset, put, run

from lake_pipeline.resources import LakeResource
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake
from lake_pipeline.storage.claim import AnotherCatalog


@pytest.fixture
def elsewhere(lake_s3: Lake, tmp_path: Path) -> Lake:
    """The same lake, as another folder or machine opens it by default."""
    return Lake(Settings.at(lake_s3.settings.root, home=str(tmp_path / "elsewhere")))


def test_another_catalog_is_refused_by_name(lake_s3: Lake, elsewhere: Lake, tmp_path: Path) -> None:
    sales = make_dataset(tmp_path / "defs")
    put(lake_s3, sales, "a.csv", csv(f"a,1,{DAY}"))
    run(lake_s3, sales)
    with pytest.raises(AnotherCatalog, match="LAKE_CATALOG") as refused:
        run(elsewhere, sales)
    assert str(lake_s3.settings.home / "catalog.db") in str(refused.value)
    assert str(elsewhere.settings.home / "catalog.db") in str(refused.value)
    with pytest.raises(AnotherCatalog):
        elsewhere.tables.names()
    assert actions(run(Lake(lake_s3.settings), sales)) == {DAY: "unchanged"}


def test_a_catalog_that_is_moved_is_the_same(lake_s3: Lake, elsewhere: Lake, tmp_path: Path) -> None:
    sales = make_dataset(tmp_path / "defs")
    put(lake_s3, sales, "a.csv", csv(f"a,1,{DAY}"))
    run(lake_s3, sales)
    shutil.copytree(lake_s3.settings.home, elsewhere.settings.home)
    assert actions(run(elsewhere, sales)) == {DAY: "unchanged"}
    assert View(elsewhere, sales).values() == ["a"]


def test_a_lake_of_an_earlier_version_keeps_its_catalog(
    lake_s3: Lake, elsewhere: Lake, tmp_path: Path
) -> None:
    sales = make_dataset(tmp_path / "defs")
    put(lake_s3, sales, "a.csv", csv(f"a,1,{DAY}"))
    run(lake_s3, sales)
    lake_s3.zone("ops").delete(["catalog.json"])
    with pytest.raises(AnotherCatalog, match="used before"):
        elsewhere.tables.names()
    assert actions(run(Lake(lake_s3.settings), sales)) == {DAY: "unchanged"}
    assert lake_s3.zone("ops").exists("catalog.json")


def test_no_password_is_kept(lake_s3: Lake, tmp_path: Path) -> None:
    assert lake_s3.tables.names() == []
    kept = json.loads(lake_s3.zone("ops").read("catalog.json"))
    assert kept["what"].startswith("sqlite:///")
    from lake_pipeline.storage.claim import what

    secret = Settings.at(lake_s3.settings.root, catalog="postgresql+psycopg2://lake:secret@db.example/lake")
    assert what(secret) == "postgresql+psycopg2://lake:***@db.example/lake"


def test_the_resource_takes_the_rest_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "defs").mkdir()
    monkeypatch.setenv("LAKE_CATALOG", f"sqlite:///{tmp_path / 'own.db'}")
    monkeypatch.setenv("LAKE_DEFS", str(tmp_path / "defs"))
    monkeypatch.setenv("LAKE_QUEUE_URL", "https://sqs.example/queue")
    found = LakeResource(root=str(tmp_path / "lake")).open().settings
    assert found.root == str(tmp_path / "lake")
    assert found.catalog == f"sqlite:///{tmp_path / 'own.db'}"
    assert found.dataset_folders == (tmp_path / "defs",)
    assert found.queue_url == "https://sqs.example/queue"
