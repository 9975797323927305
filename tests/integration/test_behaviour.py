"""What must hold of a lake over time: nothing twice, nothing lost, and only what changed is done again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lakes import (
    COLUMNS,
    DAY,
    View,
    actions,
    check_law,
    csv,
    listing,
    make_dataset,
    put,
    run,
)

from lake_pipeline.datasets import Dataset
from lake_pipeline.errors import Transient
from lake_pipeline.flow.curate import NotValidated
from lake_pipeline.flow.state import Memory
from lake_pipeline.storage import Lake

UNIQUE = 'IsUnique "id"'


def test_a_second_run_writes_nothing_and_says_so(lake_root: Lake, sales: Dataset) -> None:
    put(lake_root, sales, "a.csv", csv("a1,1,2026-03-01", "a2,x,2026-03-01"))
    assert actions(run(lake_root, sales)) == {DAY: "published"}
    before, snapshot = listing(lake_root), lake_root.tables.snapshot("curated.sales")
    again = run(lake_root, sales)
    assert actions(again) == {DAY: "unchanged"}
    assert again.validated[DAY].fresh == ()
    assert listing(lake_root) == before
    assert lake_root.tables.snapshot("curated.sales") == snapshot


def test_forcing_changes_no_row(lake_root: Lake, sales: Dataset) -> None:
    put(lake_root, sales, "a.csv", csv("a1,1,2026-03-01", "a2,x,2026-03-01"))
    run(lake_root, sales)
    before = View(lake_root, sales)
    rows = before.curated, before.validated
    for _ in range(2):
        forced = run(lake_root, sales, force=True)
        assert actions(forced) == {DAY: "published"}
        assert len(forced.validated[DAY].fresh) == 1
        after = check_law(lake_root, sales)
        assert (after.curated, after.validated) == rows
        assert after.codes("a.csv") == [["CAST_FAILED"]]
    assert actions(run(lake_root, sales)) == {DAY: "unchanged"}


def test_a_new_file_is_validated_alone(lake_root: Lake, sales: Dataset) -> None:
    put(lake_root, sales, "a.csv", csv("a1,1,2026-03-01"))
    run(lake_root, sales)
    put(lake_root, sales, "b.csv", csv("b1,1,2026-03-01", "b2,-1,2026-03-01"))
    result = run(lake_root, sales)
    assert [o.uri.rpartition("/")[2] for o in result.validated[DAY].fresh] == ["b.csv"]
    newest = Memory(lake_root, sales).receipts([DAY])[DAY][-1]
    assert [(o.rows, o.valid, o.quarantined) for o in newest.objects] == [(2, 1, 1)]
    view = check_law(lake_root, sales)
    assert view.values() == ["a1", "b1"]


def test_an_overwritten_key_replaces_its_rows(lake_root: Lake, sales: Dataset) -> None:
    put(lake_root, sales, "a.csv", csv("a1,1,2026-03-01", "a2,oops,2026-03-01"))
    put(lake_root, sales, "b.csv", csv("b1,1,2026-03-01"))
    run(lake_root, sales)
    put(lake_root, sales, "a.csv", csv("a3,3,2026-03-01"))
    assert View(lake_root, sales).status()[DAY].state == "pending"
    result = run(lake_root, sales)
    assert actions(result) == {DAY: "published"}
    assert len(result.validated[DAY].fresh) == 1
    view = check_law(lake_root, sales)
    assert view.values() == ["a3", "b1"]
    assert view.values(zone="validated") == ["a3", "b1"]
    assert view.quarantine == []


def test_overwritten_key_of_one_batch_leaves_the_others_alone(lake_root: Lake, sales: Dataset) -> None:
    for name in ("a", "b", "c"):
        put(lake_root, sales, f"{name}.csv", csv(f"{name}1,1,2026-03-01", f"{name}2,?,2026-03-01"))
    run(lake_root, sales)
    put(lake_root, sales, "b.csv", csv("b3,3,2026-03-01"))
    run(lake_root, sales)
    view = check_law(lake_root, sales)
    assert view.values() == ["a1", "b3", "c1"]
    assert [view.codes(f"{n}.csv") for n in "abc"] == [[["CAST_FAILED"]], [], [["CAST_FAILED"]]]
    assert actions(run(lake_root, sales)) == {DAY: "unchanged"}


def test_a_key_can_go_back_to_what_it_was(lake_root: Lake, sales: Dataset) -> None:
    first, second = csv("a1,1,2026-03-01", "a2,x,2026-03-01"), csv("a3,3,2026-03-01")
    put(lake_root, sales, "b.csv", csv("b1,1,2026-03-01"))
    for body, ids in ((first, ["a1", "b1"]), (second, ["a3", "b1"])) * 2:
        put(lake_root, sales, "a.csv", body)
        assert actions(run(lake_root, sales)) == {DAY: "published"}
        assert check_law(lake_root, sales).values() == ids


def test_an_overwritten_key_can_be_ignored(lake_root: Lake, tmp_path: Path) -> None:
    sales = make_dataset(tmp_path / "defs", overwritten_keys="ignore")
    put(lake_root, sales, "a.csv", csv("a1,1,2026-03-01"))
    run(lake_root, sales)
    put(lake_root, sales, "a.csv", csv("a2,2,2026-03-01"))
    run(lake_root, sales)
    assert check_law(lake_root, sales).values() == ["a1"]
    before = listing(lake_root)
    assert actions(run(lake_root, sales)) == {DAY: "unchanged"}
    assert listing(lake_root) == before
    put(lake_root, sales, "a.csv", csv("a1,1,2026-03-01"))
    run(lake_root, sales)
    assert check_law(lake_root, sales).values() == ["a1"]


def test_an_overwritten_key_can_be_quarantined(lake_root: Lake, tmp_path: Path) -> None:
    sales = make_dataset(tmp_path / "defs", overwritten_keys="quarantine")
    put(lake_root, sales, "a.csv", csv("a1,1,2026-03-01"))
    run(lake_root, sales)
    body = csv("a2,2,2026-03-01")
    put(lake_root, sales, "a.csv", body)
    assert actions(run(lake_root, sales)) == {DAY: "published"}
    view = check_law(lake_root, sales)
    assert view.values() == ["a1"]
    assert view.file_codes() == {"a.csv": ["CHECKSUM_MISMATCH"]}
    assert view.kept_files() == {"a.csv": body}
    assert actions(run(lake_root, sales)) == {DAY: "unchanged"}


def test_a_deleted_raw_object_keeps_its_rows(lake_root: Lake, sales: Dataset) -> None:
    key = put(lake_root, sales, "a.csv", csv("a1,1,2026-03-01"))
    put(lake_root, sales, "b.csv", csv("b1,1,2026-03-01"))
    run(lake_root, sales)
    lake_root.zone("raw").delete([key])
    assert actions(run(lake_root, sales)) == {DAY: "unchanged"}
    assert check_law(lake_root, sales).values() == ["a1", "b1"]
    put(lake_root, sales, "c.csv", csv("c1,1,2026-03-01"))
    assert actions(run(lake_root, sales)) == {DAY: "published"}
    assert check_law(lake_root, sales).values() == ["a1", "b1", "c1"]


def test_a_deleted_object_survives_a_contract_change(lake_root: Lake, tmp_path: Path) -> None:
    old = make_dataset(tmp_path / "v1")
    key = put(lake_root, old, "a.csv", csv("a1,1,2026-03-01"))
    put(lake_root, old, "b.csv", csv("b1,1,2026-03-01"))
    run(lake_root, old)
    lake_root.zone("raw").delete([key])
    run(lake_root, old)
    new = make_dataset(tmp_path / "v2", columns={**COLUMNS, "note": {"logicalType": "string"}})
    assert actions(run(lake_root, new)) == {DAY: "published"}
    assert check_law(lake_root, new).values() == ["a1", "b1"]
    assert actions(run(lake_root, new)) == {DAY: "unchanged"}


def test_a_deleted_object_that_lands_again_counts_once(lake_root: Lake, sales: Dataset) -> None:
    body = csv("a1,1,2026-03-01")
    key = put(lake_root, sales, "a.csv", body)
    run(lake_root, sales)
    lake_root.zone("raw").delete([key])
    run(lake_root, sales)
    put(lake_root, sales, "a.csv", csv("a9,1,2026-03-01"))
    run(lake_root, sales)
    assert check_law(lake_root, sales).values() == ["a9"]


def test_a_contract_change_validates_and_publishes_again(lake_root: Lake, tmp_path: Path) -> None:
    old = make_dataset(tmp_path / "v1")
    put(lake_root, old, "a.csv", csv("a1,1,2026-03-01", "a2,500,2026-03-01", "a3,x,2026-03-01"))
    run(lake_root, old)
    strict = {**COLUMNS, "amount": {"logicalType": "number", "logicalTypeOptions": {"maximum": 100}}}
    new = make_dataset(tmp_path / "v2", columns=strict, version="2.0.0")
    result = run(lake_root, new)
    assert actions(result) == {DAY: "published"}
    view = check_law(lake_root, new)
    assert view.values() == ["a1"]
    assert view.codes("a.csv") == [["OUT_OF_RANGE"], ["CAST_FAILED"]]
    assert {r["contract_version"] for r in view.quarantine} == {"2.0.0"}
    back = run(lake_root, old)
    assert actions(back) == {DAY: "published"}
    assert check_law(lake_root, old).values() == ["a1", "a2"]


def test_curating_what_is_not_validated_is_an_error(lake_folder: Lake, sales: Dataset) -> None:
    put(lake_folder, sales, "a.csv", csv("a1,1,2026-03-01"))
    run(lake_folder, sales, stages=("raw",))
    with pytest.raises(NotValidated, match=r"a\.csv.*validated/sales"):
        run(lake_folder, sales, stages=("curated",))


def test_stages_one_by_one_are_the_run(lake_folder: Lake, sales: Dataset) -> None:
    put(lake_folder, sales, "a.csv", csv("a1,1,2026-03-01", "a2,x,2026-03-01"))
    for stage in ("raw", "validated", "quarantine", "curated"):
        run(lake_folder, sales, stages=(stage,))
    view = check_law(lake_folder, sales)
    assert (view.values(), view.codes("a.csv")) == (["a1"], [["CAST_FAILED"]])


def test_later_stages_read_the_manifest_and_not_the_listing(lake_folder: Lake, sales: Dataset) -> None:
    put(lake_folder, sales, "a.csv", csv("a1,1,2026-03-01"))
    run(lake_folder, sales, stages=("raw",))
    put(lake_folder, sales, "b.csv", csv("b1,1,2026-03-01"))
    run(lake_folder, sales, stages=("validated", "quarantine", "curated"))
    assert View(lake_folder, sales).values() == ["a1"]
    assert View(lake_folder, sales).status()[DAY].state == "pending"


def test_an_object_that_changes_under_the_run_is_transient(lake_root: Lake, sales: Dataset) -> None:
    put(lake_root, sales, "a.csv", csv("a1,1,2026-03-01"))
    run(lake_root, sales, stages=("raw",))
    put(lake_root, sales, "a.csv", csv("a2,2,2026-03-01", "a3,3,2026-03-01"))
    with pytest.raises(Transient):
        run(lake_root, sales, stages=("validated", "quarantine", "curated"))
    assert actions(run(lake_root, sales)) == {DAY: "published"}
    assert check_law(lake_root, sales).values() == ["a2", "a3"]


def test_a_partition_without_files_is_no_partition(lake_folder: Lake, sales: Dataset) -> None:
    result = run(lake_folder, sales)
    assert (result.partitions, actions(result)) == ((), {})
    assert View(lake_folder, sales).status() == {}


def test_a_partition_of_refused_files_only(lake_root: Lake, tmp_path: Path) -> None:
    sales = make_dataset(tmp_path / "defs", rules="RowCount > 0")
    put(lake_root, sales, "a.txt", b"hello")
    assert actions(run(lake_root, sales)) == {DAY: "refused"}
    view = check_law(lake_root, sales)
    assert view.file_codes() == {"a.txt": ["UNSUPPORTED_SUFFIX"]}
    put(lake_root, sales, "a.csv", csv("a1,1,2026-03-01"))
    assert actions(run(lake_root, sales)) == {DAY: "published"}
    assert check_law(lake_root, sales).file_codes() == {"a.txt": ["UNSUPPORTED_SUFFIX"]}


@pytest.mark.parametrize(
    ("partitions", "keys"),
    [
        ({"by": "none"}, ["all"]),
        ({"by": "hourly", "start": "2026-01-01"}, ["2026-03-01-00:00", "2026-03-01-23:00"]),
        ({"by": "monthly", "start": "2026-01-01"}, ["2026-01-01", "2026-12-01"]),
    ],
    ids=["none", "hourly", "monthly"],
)
def test_every_kind_of_partition(
    lake_root: Lake, tmp_path: Path, partitions: dict[str, str], keys: list[str]
) -> None:
    sales = make_dataset(tmp_path / "defs", partitions=partitions)
    for n, key in enumerate(keys):
        put(lake_root, sales, "a.csv", csv(f"a{n},1,2026-03-01", f"b{n},x,2026-03-01"), key)
    assert actions(run(lake_root, sales, *keys)) == dict.fromkeys(keys, "published")
    view = check_law(lake_root, sales)
    assert [r["_partition"] for r in view.curated] == keys
    assert sorted(view.status()) == keys
    assert actions(run(lake_root, sales, *keys)) == dict.fromkeys(keys, "unchanged")


def test_rows_of_other_partitions_by_zone(lake_folder: Lake, tmp_path: Path) -> None:
    columns: dict[str, Any] = {"id": COLUMNS["id"], "at": {"logicalType": "timestamp"}}
    partitions = {"by": "hourly", "start": "2026-01-01", "column": "at", "timezone": "Europe/Berlin"}
    sales = make_dataset(tmp_path / "defs", columns=columns, partitions=partitions)
    body = csv("in,2026-03-01T09:59:59Z", "out,2026-03-01T10:00:00Z", header="id,at")
    put(lake_folder, sales, "a.csv", body, "2026-03-01-10:00")
    run(lake_folder, sales, "2026-03-01-10:00")
    view = check_law(lake_folder, sales)
    assert view.values() == ["in"]
    assert view.codes("a.csv") == [["PARTITION_MISMATCH"]]


def test_many_partitions_are_one_commit_of_each_table(lake_folder: Lake, sales: Dataset) -> None:
    keys = [f"2026-{1 + n // 28:02}-{1 + n % 28:02}" for n in range(300)]
    for n, key in enumerate(keys):
        rows = [f"a{n},1,{key}", f"b{n},x,{key}"] + ([f"a{n},2,{key}"] if n == 7 else [])
        put(lake_folder, sales, "a.csv", csv(*rows), key)
    result = run(lake_folder, sales, *keys)
    assert actions(result) == {**dict.fromkeys(keys, "published"), keys[7]: "refused"}
    for zone, commits in (("validated", 1), ("curated", 1), ("quarantine", 2)):
        table = lake_folder.tables.table(f"{zone}.sales")
        assert table is not None
        assert len(table.snapshots()) <= commits
    view = check_law(lake_folder, sales)
    assert len(view.curated) == 299
    assert keys[7] not in {r["_partition"] for r in view.curated}
