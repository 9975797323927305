"""What validated and curated hold: transforms, deduplication, drift, nested data, rules on other datasets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lakes import (
    COLUMNS,
    DAY,
    NEXT,
    actions,
    check_law,
    csv,
    json_lines,
    make_dataset,
    put,
    run,
)

from lake_pipeline.datasets import Dataset
from lake_pipeline.dqdl import keys
from lake_pipeline.storage import Lake

UNIQUE = 'IsUnique "id"'


def test_every_declared_step(lake_root: Lake, tmp_path: Path) -> None:
    columns: dict[str, Any] = {
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


# A moment beyond what any engine can hold is the one thing that still fails, and is not NULL.
FAILS = (
    "CASE WHEN amount < 5 THEN CAST(CAST(day AS TIMESTAMP) + interval 9999999 years AS STRING) ELSE 'A' END"
)


def test_a_step_that_fails_on_the_data_is_a_transform_failure(lake_folder: Lake, tmp_path: Path) -> None:
    sales = make_dataset(tmp_path / "defs", transform=[{"derive": {"id": FAILS}}])
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


@pytest.mark.parametrize("partitions", [(DAY,), (DAY, NEXT)], ids=["alone", "together"])
def test_what_deduplication_counted_is_what_the_rules_would_find(
    lake_folder: Lake, tmp_path: Path, partitions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {**COLUMNS, "id": {"logicalType": "string"}}
    rules = 'IsUnique "id", IsPrimaryKey "id", UniqueValueRatio "id" = 1.0, RowCount > 0'
    found = []
    counts = []
    occurrences_of = keys.occurrences_of

    def counting(*arguments: Any) -> Any:
        counts.append(arguments)
        return occurrences_of(*arguments)

    monkeypatch.setattr(keys, "occurrences_of", counting)
    ways: dict[str, dict[str, Any]] = {"plain": {}, "single": {"deduplicate": {"key": ["id"]}}}
    for name, more in ways.items():
        sales = make_dataset(tmp_path / "defs", name, columns=columns, warnings=rules, **more)
        put(lake_folder, sales, "a.csv", csv("a,1,2026-03-01", "b,1,2026-03-01", ",1,2026-03-01"))
        put(lake_folder, sales, "a.csv", csv("a,1,2026-03-02"), NEXT)
        result = run(lake_folder, sales, *partitions)
        check_law(lake_folder, sales, partitions)
        found.append([result.verdicts(p) for p in partitions])
        assert len(counts) == 1, "with a key it is known, and nothing more is counted"
    plain, single = found
    assert [v.passed for v in plain[0][:4]] == [True, False, True, True]
    assert plain == single


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
