"""A dataset may ask for a `_MANIFEST.json`: its partitions wait for it, and each file of it is verified."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from lakes import DAY, NEXT, actions, check_law, csv, make_dataset, put, run

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.inventory import manifest_partition
from lake_pipeline.flow.run import Result
from lake_pipeline.storage import Lake

GOOD = csv("a1,1,2026-03-01")
OTHER = csv("b1,1,2026-03-01")


@pytest.fixture
def sales(tmp_path: Path) -> Dataset:
    """A daily dataset whose producer sends manifests."""
    return make_dataset(tmp_path / "defs", producer_manifest="required")


def promise(name: str, body: bytes, **more: Any) -> dict[str, Any]:
    return {"name": name, "size": len(body), "sha256": hashlib.sha256(body).hexdigest(), **more}


def manifest(lake: Lake, dataset: Dataset, *files: dict[str, Any], partition: str = DAY) -> None:
    put(lake, dataset, "_MANIFEST.json", json.dumps({"files": files}).encode(), partition)


def refused(result: Result, partition: str = DAY) -> str:
    """Why a partition was not ready; there is nothing else in the result."""
    assert partition not in result.manifests
    assert partition not in result.curated
    return result.unready[partition]


def test_the_partition_waits_for_it_and_starts_on_it_alone(lake_root: Lake, sales: Dataset) -> None:
    put(lake_root, sales, "a.csv", GOOD)
    assert "waits for the producer's manifest" in refused(run(lake_root, sales))
    assert check_law(lake_root, sales).status()[DAY].state == "pending"
    manifest(lake_root, sales, promise("a.csv", GOOD))
    assert actions(run(lake_root, sales)) == {DAY: "published"}


def test_one_that_waits_does_not_hold_others(lake_folder: Lake, sales: Dataset) -> None:
    put(lake_folder, sales, "a.csv", GOOD)
    put(lake_folder, sales, "b.csv", OTHER, NEXT)
    manifest(lake_folder, sales, promise("b.csv", OTHER), partition=NEXT)
    result = run(lake_folder, sales, DAY, NEXT)
    assert actions(result) == {NEXT: "published"}
    assert DAY in result.unready


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"files": [{"nam": "a.csv"}]}',
        b'{"files": 3}',
        b"\xff",
        b'{"files": [{"name": "a.csv", "sha256": "abc"}]}',
        b'{"files": [{"name": "a.csv", "size": "many"}]}',
    ],
)
def test_one_that_cannot_be_read_refuses(lake_folder: Lake, sales: Dataset, body: bytes) -> None:
    put(lake_folder, sales, "a.csv", GOOD)
    put(lake_folder, sales, "_MANIFEST.json", body)
    assert "should look like" in refused(run(lake_folder, sales))


def test_a_missing_file_is_refused_by_name_until_it_lands(lake_root: Lake, sales: Dataset) -> None:
    put(lake_root, sales, "a.csv", GOOD)
    manifest(lake_root, sales, promise("a.csv", GOOD), promise("b.csv", OTHER))
    assert 'MISSING_FILE: "b.csv" is listed' in refused(run(lake_root, sales))
    view = check_law(lake_root, sales)
    assert (view.status()[DAY].state, view.curated) == ("refused", [])
    assert view.status()[DAY].reasons[0].startswith('MISSING_FILE: "b.csv"')
    put(lake_root, sales, "b.csv", OTHER)
    assert check_law(lake_root, sales).status()[DAY].state == "pending"
    assert actions(run(lake_root, sales)) == {DAY: "published"}
    assert check_law(lake_root, sales).values() == ["a1", "b1"]


def test_a_missing_file_is_recorded_once(lake_folder: Lake, sales: Dataset) -> None:
    manifest(lake_folder, sales, promise("b.csv", OTHER))
    run(lake_folder, sales)
    before = sorted(o.key for o in lake_folder.zone("ops").list())
    run(lake_folder, sales)
    assert sorted(o.key for o in lake_folder.zone("ops").list()) == before


@pytest.mark.parametrize("stages", [("validated", "quarantine", "curated"), ("curated",)])
def test_later_stages_alone_cannot_publish_what_lacks_a_file(
    lake_folder: Lake, sales: Dataset, stages: tuple[str, ...]
) -> None:
    put(lake_folder, sales, "a.csv", GOOD)
    manifest(lake_folder, sales, promise("a.csv", GOOD), promise("b.csv", OTHER))
    run(lake_folder, sales)
    assert "b.csv" in refused(run(lake_folder, sales, stages=stages))
    assert check_law(lake_folder, sales).curated == []


def test_what_was_published_stays_while_a_file_is_missing(lake_folder: Lake, sales: Dataset) -> None:
    put(lake_folder, sales, "a.csv", GOOD)
    manifest(lake_folder, sales, promise("a.csv", GOOD))
    run(lake_folder, sales)
    manifest(lake_folder, sales, promise("a.csv", GOOD), promise("b.csv", OTHER))
    refused(run(lake_folder, sales))
    view = check_law(lake_folder, sales)
    assert (view.status()[DAY].state, view.values()) == ("refused", ["a1"])
    put(lake_folder, sales, "b.csv", OTHER)
    assert actions(run(lake_folder, sales)) == {DAY: "published"}
    assert check_law(lake_folder, sales).values() == ["a1", "b1"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"size": 3}, "has 30 bytes; the producer's manifest promises 3."),
        ({"sha256": "0" * 64}, f"promises sha256:{'0' * 64}"),
    ],
    ids=["size", "sha256"],
)
def test_a_different_file_is_refused_by_name_and_taken_when_the_promise_is_corrected(
    lake_root: Lake, sales: Dataset, wrong: dict[str, Any], said: str
) -> None:
    put(lake_root, sales, "a.csv", GOOD)
    put(lake_root, sales, "b.csv", OTHER)
    manifest(lake_root, sales, promise("a.csv", GOOD), promise("b.csv", OTHER, **wrong))
    run(lake_root, sales)
    view = check_law(lake_root, sales)
    assert (view.values(), view.file_codes()) == (["a1"], {"b.csv": ["CHECKSUM_MISMATCH"]})
    assert said in view.quarantine[0]["reasons"][0]["message"]
    manifest(lake_root, sales, promise("a.csv", GOOD), promise("b.csv", OTHER))
    assert actions(run(lake_root, sales)) == {DAY: "published"}
    view = check_law(lake_root, sales)
    assert (view.values(), view.file_codes()) == (["a1", "b1"], {})


def test_a_file_that_is_not_listed_is_refused_and_taken_when_it_is(lake_root: Lake, sales: Dataset) -> None:
    put(lake_root, sales, "a.csv", GOOD)
    put(lake_root, sales, "b.csv", OTHER)
    manifest(lake_root, sales, promise("a.csv", GOOD))
    run(lake_root, sales)
    assert check_law(lake_root, sales).file_codes() == {"b.csv": ["NOT_IN_MANIFEST"]}
    manifest(lake_root, sales, promise("b.csv", OTHER), promise("a.csv", GOOD))
    run(lake_root, sales)
    view = check_law(lake_root, sales)
    assert (view.values(), view.file_codes()) == (["a1", "b1"], {})
    manifest(lake_root, sales, promise("b.csv", OTHER))
    run(lake_root, sales)
    view = check_law(lake_root, sales)
    assert (view.values(), view.file_codes()) == (["b1"], {"a.csv": ["NOT_IN_MANIFEST"]})


def test_an_unchanged_promise_validates_nothing_again(lake_folder: Lake, sales: Dataset) -> None:
    put(lake_folder, sales, "a.csv", GOOD)
    put(lake_folder, sales, "b.csv", OTHER)
    manifest(lake_folder, sales, promise("a.csv", GOOD), promise("b.csv", OTHER, sha256="1" * 64))
    run(lake_folder, sales)
    again = run(lake_folder, sales)
    assert actions(again) == {DAY: "unchanged"}
    assert again.validated[DAY].fresh == ()


@pytest.mark.parametrize(
    ("landing", "key", "partition"),
    [
        ("sales/{yyyy}/{mm}/{dd}/", "sales/2026/03/01/_MANIFEST.json", "2026-03-01"),
        ("sales/{yyyy}/{mm}/{dd}/x_*.csv", "sales/2026/03/01/_MANIFEST.json", "2026-03-01"),
        ("sales/{yyyy}/{mm}/{dd}/", "sales/2026/03/01/a.csv", None),
        ("sales/{yyyy}/{mm}/{dd}/", "sales/2026/03/01/deeper/_MANIFEST.json", None),
    ],
)
def test_whose_manifest_a_key_is(tmp_path: Path, landing: str, key: str, partition: str | None) -> None:
    sales = make_dataset(tmp_path / "defs", producer_manifest="required", landing=landing)
    assert manifest_partition(sales, key) == partition
