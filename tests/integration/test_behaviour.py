"""What must hold of a lake over time: nothing twice, nothing lost, nothing visible that was not audited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lakes import (
    COLUMNS,
    DAY,
    NEXT,
    View,
    actions,
    check_law,
    csv,
    json_lines,
    listing,
    make_dataset,
    put,
    run,
)

from lake_pipeline.datasets import Dataset
from lake_pipeline.errors import Transient
from lake_pipeline.flow.context import working
from lake_pipeline.flow.curate import NotValidated, prepare, source_snapshots
from lake_pipeline.flow.inventory import ManifestError
from lake_pipeline.flow.publish import GateClosed, gate, report_key
from lake_pipeline.flow.state import Memory
from lake_pipeline.storage import Lake

UNIQUE = 'IsUnique "id"'


@pytest.fixture
def sales(tmp_path: Path) -> Dataset:
    """A daily dataset with a gate: ids are unique."""
    return make_dataset(tmp_path / "defs", rules=UNIQUE)


def outcomes(lake: Lake, dataset: Dataset, partition: str = DAY) -> Any:
    return Memory(lake, dataset).outcomes([partition])[partition]


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


def test_a_refused_first_batch_is_nowhere_but_in_quarantine(lake_root: Lake, sales: Dataset) -> None:
    put(lake_root, sales, "a.csv", csv("a1,1,2026-03-01", "a1,2,2026-03-01", "a3,x,2026-03-01"))
    result = run(lake_root, sales)
    assert actions(result) == {DAY: "refused"}
    view = check_law(lake_root, sales)
    assert view.curated == []
    codes = [sorted(x["code"] for x in r["reasons"]) for r in view.quarantine]
    assert sorted(codes) == [["CAST_FAILED"], ["DATA_QUALITY_FAILURE"], ["DATA_QUALITY_FAILURE"]]
    held = [r for r in view.quarantine if r["stage"] == "DATA_QUALITY"]
    assert [r["raw"] for r in held] == [
        '{"id":"a1","amount":1.0,"day":"2026-03-01"}',
        '{"id":"a1","amount":2.0,"day":"2026-03-01"}',
    ]
    assert "IsUnique" in held[0]["reasons"][0]["message"]
    for force in (False, True):
        for stages in (("curated",), ("raw", "validated", "quarantine", "curated")):
            again = run(lake_root, sales, stages=stages, force=force)
            assert actions(again)[DAY] in ({"refused"} if force else {"still refused"})
            assert check_law(lake_root, sales).curated == []


def test_a_refusal_after_a_publish_changes_nothing_that_readers_see(lake_root: Lake, sales: Dataset) -> None:
    put(lake_root, sales, "a.csv", csv("a1,1,2026-03-01", "a2,bad,2026-03-01"))
    run(lake_root, sales)
    before, snapshot = View(lake_root, sales).curated, lake_root.tables.snapshot("curated.sales")
    put(lake_root, sales, "b.csv", csv("a1,2,2026-03-01", "b2,bad,2026-03-01", "b3,3,2026-03-01"))
    assert actions(run(lake_root, sales)) == {DAY: "refused"}
    view = check_law(lake_root, sales)
    assert view.curated == before
    assert lake_root.tables.snapshot("curated.sales") == snapshot
    assert view.codes("a.csv") == [["CAST_FAILED"]]
    assert sorted(view.codes("b.csv")) == [
        ["CAST_FAILED"],
        ["DATA_QUALITY_FAILURE"],
        ["DATA_QUALITY_FAILURE"],
    ]
    state = view.status()[DAY]
    assert (state.state, state.balance.landed, state.balance.quarantined) == ("refused", 5, 4)
    # a third file does not help while the second is there; then the second is put right
    put(lake_root, sales, "c.csv", csv("c1,1,2026-03-01", "c2,bad,2026-03-01"))
    assert actions(run(lake_root, sales)) == {DAY: "refused"}
    view = check_law(lake_root, sales)
    assert view.curated == before
    assert view.status()[DAY].balance.landed == 7
    put(lake_root, sales, "b.csv", csv("b1,2,2026-03-01"))
    assert actions(run(lake_root, sales)) == {DAY: "published"}
    view = check_law(lake_root, sales)
    assert view.values() == ["a1", "b1", "c1"]
    assert view.codes("a.csv") == view.codes("c.csv") == [["CAST_FAILED"]]


def test_an_overwrite_that_is_refused_keeps_the_rows_it_would_replace(
    lake_root: Lake, sales: Dataset
) -> None:
    put(lake_root, sales, "a.csv", csv("a1,1,2026-03-01", "a2,bad,2026-03-01"))
    put(lake_root, sales, "b.csv", csv("b1,1,2026-03-01", "b2,bad,2026-03-01"))
    run(lake_root, sales)
    put(lake_root, sales, "a.csv", csv("b1,1,2026-03-01", "a4,bad,2026-03-01"))
    assert actions(run(lake_root, sales)) == {DAY: "refused"}
    view = check_law(lake_root, sales)
    assert view.values() == ["a1", "b1"]
    assert [r["raw"][:2] for r in view.rejects("b.csv")] == ["b2"]
    assert view.status()[DAY].balance.landed == 6
    put(lake_root, sales, "a.csv", csv("a5,1,2026-03-01"))
    assert actions(run(lake_root, sales)) == {DAY: "published"}
    assert check_law(lake_root, sales).values() == ["a5", "b1"]


def test_a_contract_that_is_refused_leaves_the_publish_before(lake_root: Lake, tmp_path: Path) -> None:
    old = make_dataset(tmp_path / "v1")
    put(lake_root, old, "a.csv", csv("a1,1,2026-03-01", "a1,2,2026-03-01", "a2,x,2026-03-01"))
    run(lake_root, old)
    before = View(lake_root, old).curated
    strict = {**COLUMNS, "amount": {"logicalType": "number", "logicalTypeOptions": {"maximum": 1}}}
    new = make_dataset(tmp_path / "v2", rules="RowCount > 5", columns=strict)
    put(lake_root, new, "b.csv", csv("b1,1,2026-03-01", "b2,y,2026-03-01"))
    assert actions(run(lake_root, new)) == {DAY: "refused"}
    view = check_law(lake_root, new)
    assert view.curated == before
    assert view.status()[DAY].balance.landed == 5
    assert actions(run(lake_root, old)) == {DAY: "published"}
    assert check_law(lake_root, old).values() == ["a1", "a1", "b1"]


def test_publishing_asks_the_stored_report(lake_folder: Lake, sales: Dataset) -> None:
    put(lake_folder, sales, "a.csv", csv("a1,1,2026-03-01", "a1,2,2026-03-01"))
    run(lake_folder, sales)
    with working(lake_folder, sales, "by hand") as work:
        memory = Memory(lake_folder, sales)
        (candidate,) = prepare(work, memory, [DAY])
        inputs = source_snapshots(work)
        with pytest.raises(GateClosed, match="does not let it pass"):
            gate(work, candidate, inputs)
        report = report_key(work, DAY, candidate.fingerprint)
        lake_folder.zone("dq-results").delete([report])
        with pytest.raises(GateClosed, match="no stored verdict"):
            gate(work, candidate, inputs)
        lake_folder.zone("dq-results").write(report, b"{")
        with pytest.raises(GateClosed):
            gate(work, candidate, inputs)


def test_a_report_on_another_candidate_opens_nothing(lake_folder: Lake, sales: Dataset) -> None:
    put(lake_folder, sales, "a.csv", csv("a1,1,2026-03-01"))
    run(lake_folder, sales)
    put(lake_folder, sales, "b.csv", csv("a1,1,2026-03-01", "a2,2,2026-03-01"))
    run(lake_folder, sales)
    with working(lake_folder, sales, "by hand") as work:
        (candidate,) = prepare(work, Memory(lake_folder, sales), [DAY])
        with pytest.raises(GateClosed):
            gate(work, candidate, "other inputs")


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


def test_a_producer_manifest_that_is_missing_or_wrong_stops_the_partition(
    lake_folder: Lake, tmp_path: Path
) -> None:
    sales = make_dataset(tmp_path / "defs", producer_manifest="required")
    put(lake_folder, sales, "a.csv", csv("a1,1,2026-03-01"))
    with pytest.raises(ManifestError, match="waits for the producer's manifest"):
        run(lake_folder, sales)
    for body in (b"{", b"[]", b'{"files": [{"nam": "a.csv"}]}', b'{"files": 3}', b"\xff"):
        put(lake_folder, sales, "_MANIFEST.json", body)
        with pytest.raises(ManifestError, match="should look like"):
            run(lake_folder, sales)
    put(lake_folder, sales, "_MANIFEST.json", b'{"files": [{"name": "a.csv"}, {"name": "b.csv"}]}')
    with pytest.raises(ManifestError, match=r"not there: b\.csv"):
        run(lake_folder, sales)
    put(lake_folder, sales, "_MANIFEST.json", b'{"files": [{"name": "a.csv"}]}')
    assert actions(run(lake_folder, sales)) == {DAY: "published"}


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
    columns = {"id": COLUMNS["id"], "at": {"logicalType": "timestamp"}}
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


# Transforms, deduplication, drift, nested data


def test_every_declared_step(lake_root: Lake, tmp_path: Path) -> None:
    columns = {
        "id": {"logicalType": "string", "required": True},
        "total": {"logicalType": "number"},
        "code": {"logicalType": "string", "enum": [{"value": "X"}, {"value": "Y"}]},
        "tag": {"logicalType": "string"},
        "note": {"logicalType": "string"},
        "size": {"logicalType": "string"},
    }
    sales = make_dataset(
        tmp_path / "defs",
        columns={**columns, "code": {"logicalType": "string"}},
        rules='ColumnValues "code" in ["X","Y"]',
        transform=[
            {"rename": {"tag": "label"}},
            {"trim": ["note"]},
            {"upper": ["code"]},
            {"lower": ["tag"]},
            {"default": {"note": "none"}},
            {"derive": {"size": "CASE WHEN total > 10 THEN 'big' ELSE 'small' END"}},
            {"filter": "total >= 0"},
            {"filter": "id <> 'gone'"},
            {"select": ["id", "total", "code", "tag", "note", "size"]},
        ],
    )
    header = "id,total,code,label,note"
    rows = ("a,20,x,TAG,  hi ", "b,5,Y,b,", "neg,-1,x,,", "null,,x,,", "gone,1,x,,", "bad,z,x,,")
    put(lake_root, sales, "a.csv", csv(*rows, header=header))
    assert actions(run(lake_root, sales)) == {DAY: "published"}
    view = check_law(lake_root, sales)
    assert [{k: r[k] for k in columns} for r in view.curated] == [
        {"id": "a", "total": 20.0, "code": "X", "tag": "tag", "note": "hi", "size": "big"},
        {"id": "b", "total": 5.0, "code": "Y", "tag": "b", "note": "none", "size": "small"},
    ]
    assert view.status()[DAY].balance.filtered == 3


def test_a_filter_counts_each_row_once_in_each_partition(lake_folder: Lake, tmp_path: Path) -> None:
    sales = make_dataset(tmp_path / "defs", transform=[{"filter": "amount > 1"}])
    put(lake_folder, sales, "a.csv", csv("a,1,2026-03-01", "b,2,2026-03-01"))
    put(lake_folder, sales, "a.csv", csv("c,1,2026-03-02", "d,1,2026-03-02"), NEXT)
    run(lake_folder, sales, DAY, NEXT)
    view = check_law(lake_folder, sales)
    assert {p: s.balance.filtered for p, s in view.status().items()} == {DAY: 1, NEXT: 2}


PYTHON = '''
import ibis


def halve(table):
    """Drop what is small, and add a column."""
    kept = table.filter(table["amount"] > 10)
    return kept.mutate(half=kept["amount"] / 2)


def doubled(table):
    return table.union(table)


def invented(table):
    return table.mutate(_record=table["_record"] + 1000)


def lost_lineage(table):
    return table.drop("_source")


def broken(table):
    return table.nothing_here


def no_table(table):
    return 42


def late(table):
    return table.mutate(half=table["id"].cast("float64"))
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's module with transforms."""
    (tmp_path / "user_transforms.py").write_text(PYTHON)
    monkeypatch.syspath_prepend(str(tmp_path))


def by_function(tmp_path: Path, name: str) -> Dataset:
    columns = {**COLUMNS, "half": {"logicalType": "number"}}
    transform = {"python": f"user_transforms:{name}", "derives": ["half"]}
    return make_dataset(tmp_path / "defs", columns=columns, transform=transform)


@pytest.mark.usefixtures("module")
def test_a_function_as_transform(lake_root: Lake, tmp_path: Path) -> None:
    sales = by_function(tmp_path, "halve")
    put(lake_root, sales, "a.csv", csv("a,20,2026-03-01", "b,2,2026-03-01"))
    assert actions(run(lake_root, sales)) == {DAY: "published"}
    view = check_law(lake_root, sales)
    assert [(r["id"], r["half"]) for r in view.curated] == [("a", 10.0)]
    assert view.status()[DAY].balance.filtered == 1


def test_a_step_that_fails_on_the_data_is_a_transform_failure(lake_folder: Lake, tmp_path: Path) -> None:
    sales = make_dataset(tmp_path / "defs", transform=[{"derive": {"id": "chr(CAST(amount AS INT) - 5)"}}])
    put(lake_folder, sales, "a.csv", csv("a,0,2026-03-01", "b,2,2026-03-01"))
    put(lake_folder, sales, "a.csv", csv("c,70,2026-03-02"), NEXT)
    assert actions(run(lake_folder, sales, DAY, NEXT)) == {DAY: "failed", NEXT: "published"}
    view = check_law(lake_folder, sales)
    assert [(r["_partition"], r["id"]) for r in view.curated] == [(NEXT, "A")]
    assert len(view.quarantine) == 2


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize("name", ["doubled", "invented", "lost_lineage", "broken", "no_table", "late"])
def test_a_function_that_breaks_the_law_is_a_transform_failure(
    lake_folder: Lake, tmp_path: Path, name: str
) -> None:
    sales = by_function(tmp_path, name)
    put(lake_folder, sales, "a.csv", csv("a,20,2026-03-01", "b,x,2026-03-01"))
    put(lake_folder, sales, "a.csv", csv("c,20,2026-03-02"), NEXT)
    assert actions(run(lake_folder, sales, DAY, NEXT)) == {DAY: "failed", NEXT: "failed"}
    view = check_law(lake_folder, sales)
    assert view.curated == []
    held = [r for r in view.quarantine if r["stage"] == "TRANSFORM"]
    assert [r["reasons"][0]["code"] for r in held] == ["TRANSFORM_FAILURE"] * 2
    assert view.status()[DAY].state == "failed"


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ({"key": ["id"], "order_by": ["amount"]}, {"a": 3.0, "b": 7.0}),
        ({"key": ["id"], "order_by": ["amount"], "keep": "first"}, {"a": 1.0, "b": 7.0}),
        ({"key": ["id"]}, {"a": 2.0, "b": 7.0}),
        ({"key": ["id"], "keep": "first"}, {"a": 3.0, "b": 7.0}),
        ({"key": ["id", "amount"]}, None),
    ],
    ids=["last", "first", "landed last", "landed first", "two columns"],
)
@pytest.mark.parametrize("losers", ["drop", "quarantine"])
def test_deduplication(
    lake_folder: Lake, tmp_path: Path, rule: dict[str, Any], kept: dict[str, float] | None, losers: str
) -> None:
    sales = make_dataset(tmp_path / "defs", deduplicate={**rule, "losers": losers})
    put(lake_folder, sales, "a.csv", csv("a,3,2026-03-01", "b,7,2026-03-01", "a,1,2026-03-01"))
    put(lake_folder, sales, "b.csv", csv("a,2,2026-03-01"))
    # another partition's rows have keys of their own
    put(lake_folder, sales, "a.csv", csv("a,9,2026-03-02"), NEXT)
    assert set(actions(run(lake_folder, sales, DAY, NEXT)).values()) == {"published"}
    view = check_law(lake_folder, sales)
    today = [r for r in view.curated if r["_partition"] == DAY]
    balance = view.status()[DAY].balance
    if kept is None:
        assert len(today) == 4
        return
    assert {r["id"]: r["amount"] for r in today} == kept
    assert len(today) == 2
    assert (balance.deduplicated, balance.quarantined) == ((2, 0) if losers == "drop" else (0, 2))
    if losers == "quarantine":
        assert {x["code"] for r in view.quarantine for x in r["reasons"]} == {"DUPLICATE_KEY"}
        assert {r["stage"] for r in view.quarantine} == {"TRANSFORM"}


def test_rows_without_a_key_are_no_duplicates(lake_folder: Lake, tmp_path: Path) -> None:
    columns = {**COLUMNS, "id": {"logicalType": "string"}}
    sales = make_dataset(tmp_path / "defs", columns=columns, deduplicate={"key": ["id"]})
    put(lake_folder, sales, "a.csv", csv(",1,2026-03-01", ",1,2026-03-01", "a,1,2026-03-01"))
    run(lake_folder, sales)
    assert len(check_law(lake_folder, sales).curated) == 3


def test_losers_in_quarantine_are_settled_by_the_next_publish(lake_folder: Lake, tmp_path: Path) -> None:
    sales = make_dataset(tmp_path / "defs", deduplicate={"key": ["id"], "losers": "quarantine"})
    put(lake_folder, sales, "a.csv", csv("a,3,2026-03-01", "a,1,2026-03-01"))
    run(lake_folder, sales)
    put(lake_folder, sales, "b.csv", csv("a,2,2026-03-01"))
    run(lake_folder, sales)
    view = check_law(lake_folder, sales)
    assert [r["amount"] for r in view.curated] == [2.0]
    assert len(view.quarantine) == 2


@pytest.mark.parametrize("additive", ["keep", "ignore"])
def test_an_additive_column_is_in_validated_and_not_in_curated(
    lake_root: Lake, tmp_path: Path, additive: str
) -> None:
    sales = make_dataset(tmp_path / "defs", drift={"additive": additive})
    put(lake_root, sales, "a.csv", csv("a1,1,2026-03-01"))
    run(lake_root, sales)
    put(lake_root, sales, "b.csv", csv("b1,1,2026-03-01,web", header="id,amount,day,channel"))
    result = run(lake_root, sales)
    (fresh,) = result.validated[DAY].fresh
    assert [(d["kind"], d["column"]) for d in fresh.drift] == [("column_added", "channel")]
    view = check_law(lake_root, sales)
    assert [r.get("channel") for r in view.validated if r["id"] == "b1"] == (
        ["web"] if additive == "keep" else [None]
    )
    assert "channel" not in view.curated[0]
    if additive == "keep":
        wider = make_dataset(tmp_path / "v2", columns={**COLUMNS, "channel": {"logicalType": "string"}})
        assert actions(run(lake_root, wider)) == {DAY: "published"}
        assert {r["id"]: r["channel"] for r in check_law(lake_root, wider).curated} == {
            "a1": None,
            "b1": "web",
        }


def test_coerced_values_keep_their_original(lake_root: Lake, sales: Dataset) -> None:
    put(lake_root, sales, "a.csv", csv("a1, 1 ,2026-03-01", "a2,2,2026-03-01", "a3,1_000,2026-03-01"))
    result = run(lake_root, sales)
    view = check_law(lake_root, sales)
    assert [(r["id"], r["amount"]) for r in view.validated] == [("a1", 1.0), ("a2", 2.0)]
    rescued = [r["_rescued"] for r in view.validated]
    assert json.loads(rescued[0])["amount"] == " 1 "
    assert rescued[1] is None
    assert view.codes("a.csv") == [["CAST_FAILED"]]
    assert result.validated[DAY].fresh[0].coerced == {"amount": 1}


def test_reordered_and_missing_optional_columns_go_by_name(lake_root: Lake, sales: Dataset) -> None:
    put(lake_root, sales, "a.csv", csv("2026-03-01,1,a1", header="day,amount,id"))
    put(lake_root, sales, "b.csv", csv("b1,2026-03-01", header="id,day"))
    result = run(lake_root, sales)
    kinds = {o.uri[-5:]: [d["kind"] for d in o.drift] for o in result.validated[DAY].fresh}
    assert kinds == {"a.csv": ["columns_reordered"], "b.csv": ["column_missing"]}
    assert [(r["id"], r["amount"]) for r in check_law(lake_root, sales).curated if r["id"] == "a1"] == [
        ("a1", 1.0)
    ]


NESTED: dict[str, Any] = {
    "id": {"logicalType": "string", "required": True},
    "buyer": {
        "logicalType": "object",
        "properties": [
            {"name": "name", "logicalType": "string", "required": True},
            {"name": "age", "logicalType": "integer"},
        ],
    },
    "items": {
        "logicalType": "array",
        "items": {
            "logicalType": "object",
            "properties": [
                {"name": "sku", "logicalType": "string"},
                {"name": "pieces", "logicalType": "integer"},
            ],
        },
    },
}


def test_nested_data_of_json_and_parquet(lake_root: Lake, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    formats = [{"type": "jsonl"}, {"type": "json"}, {"type": "parquet"}]
    sales = make_dataset(tmp_path / "defs", columns=NESTED, formats=formats)
    good = {"buyer": {"name": "Ann", "age": 30}, "items": [{"sku": "x", "pieces": 2}]}
    bad = {"buyer": {"name": None, "age": 30}, "items": []}
    put(lake_root, sales, "a.jsonl", json_lines({"id": "l1", **good}, {"id": "l2", **bad}))
    put(
        lake_root,
        sales,
        "b.json",
        b"[" + b",".join(json_lines({"id": i, **good}).strip() for i in "pq") + b"]",
    )
    pq.write_table(pa.Table.from_pylist([{"id": "q1", **good}, {"id": "q2", **bad}]), tmp_path / "c.parquet")
    put(lake_root, sales, "c.parquet", (tmp_path / "c.parquet").read_bytes())
    extra = {"buyer": {"name": "Bo", "age": 1, "vip": True}, "items": None}
    put(lake_root, sales, "d.jsonl", json_lines({"id": "e1", **extra}))
    assert actions(run(lake_root, sales)) == {DAY: "published"}
    view = check_law(lake_root, sales)
    assert view.values() == ["e1", "l1", "p", "q", "q1"]
    by_id = {r["id"]: r for r in view.curated}
    for name in ("l1", "p", "q", "q1"):
        assert {k: by_id[name][k] for k in good} == good
    assert by_id["e1"]["buyer"] == {"name": "Bo", "age": 1}
    rescued = next(r["_rescued"] for r in view.validated if r["id"] == "e1")
    assert "vip" in rescued
    for name in ("a.jsonl", "c.parquet"):
        (row,) = view.rejects(name)
        assert [(x["code"], x["column"]) for x in row["reasons"]] == [("REQUIRED_NULL", "buyer.name")]


def test_rules_that_compare_with_another_dataset(lake_root: Lake, tmp_path: Path) -> None:
    from lake_pipeline.settings import Settings

    root = tmp_path / "defs"
    shops = make_dataset(root, "shops", columns={"shop": COLUMNS["id"]}, partitions={"by": "none"})
    columns = {**COLUMNS, "shop": {"logicalType": "string"}}
    sales = make_dataset(root, columns=columns, rules='ReferentialIntegrity "shop" "shops.shop" = 1.0')
    lake = Lake(
        Settings.at(lake_root.settings.root, home=str(lake_root.settings.home), dataset_folders=(root,))
    )
    header = "id,amount,day,shop"
    put(lake, sales, "a.csv", csv("a1,1,2026-03-01,s1", header=header))
    assert actions(run(lake, sales)) == {DAY: "refused"}  # nothing to compare with is no pass
    assert actions(run(lake, sales)) == {DAY: "still refused"}
    put(lake, shops, "shops.csv", csv("s1", header="shop"), "all")
    run(lake, shops, "all")
    assert actions(run(lake, sales)) == {DAY: "published"}  # what it is compared with has changed
    check_law(lake, sales)
