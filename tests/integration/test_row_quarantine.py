"""Rules with `on_fail: quarantine_rows`, from landing to the tables: the law holds, and readers see the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lakes import DAY, NEXT, View, actions, check_law, csv, make_dataset, put, run

from lake_pipeline.datasets import Dataset
from lake_pipeline.storage import Lake

QUARANTINE = [{"property": "on_fail", "value": "quarantine_rows"}]


def dataset_of(folder: Path, rules: str, plain: str = "RowCount > 0") -> Dataset:
    entries: list[dict[str, Any]] = [
        {"implementation": f"Rules = [ {plain} ]"},
        {"implementation": f"Rules = [ {rules} ]", "customProperties": QUARANTINE},
    ]
    return make_dataset(folder / "defs", quality=entries)


def test_failing_rows_are_in_quarantine_and_the_rest_is_published(lake_root: Lake, tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, 'ColumnValues "amount" < 10, IsUnique "id"', "RowCount = 2")
    put(
        lake_root,
        dataset,
        "a.csv",
        csv("a,1,2026-03-01", "b,2,2026-03-01", "c,99,2026-03-01", "x,bad,2026-03-01"),
    )
    put(
        lake_root,
        dataset,
        "a.csv",
        csv("a,1,2026-03-02", "b,2,2026-03-02", "d,3,2026-03-02", "d,99,2026-03-02"),
        NEXT,
    )
    result = run(lake_root, dataset, DAY, NEXT)
    assert actions(result) == {DAY: "published", NEXT: "published"}
    view = check_law(lake_root, dataset)
    assert sorted((r["_partition"], r["id"]) for r in view.curated) == [
        (DAY, "a"), (DAY, "b"), (NEXT, "a"), (NEXT, "b"),
    ]  # fmt: skip
    found = {(r["_partition"], r["_record"]): [x["column"] for x in r["reasons"]] for r in view.quarantine}
    assert found == {
        (DAY, 3): ["ColumnValues_amount"],
        (DAY, 4): ["amount"],
        (NEXT, 3): ["IsUnique_id"],
        (NEXT, 4): ["ColumnValues_amount", "IsUnique_id"],
    }
    rejected = next(r for r in view.quarantine if (r["_partition"], r["_record"]) == (DAY, 3))
    assert (rejected["stage"], rejected["raw"]) == (
        "DATA_QUALITY",
        '{"id":"c","amount":99.0,"day":"2026-03-01"}',
    )
    status = view.status()
    assert [(s.balance.landed, s.balance.curated, s.balance.quarantined) for s in status.values()] == [
        (4, 2, 2)
    ] * 2
    again = run(lake_root, dataset, DAY, NEXT)
    assert actions(again) == {DAY: "unchanged", NEXT: "unchanged"}
    warned = {v.name: v.level for v in again.verdicts(DAY) if not v.passed}
    assert warned == {"ColumnValues_amount": "warning"}
    assert actions(run(lake_root, dataset, DAY, force=True)) == {DAY: "published"}
    assert check_law(lake_root, dataset).curated == view.curated


def test_what_the_rest_does_not_keep_refuses_all(lake_folder: Lake, tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, 'ColumnValues "amount" < 10', "RowCount > 2")
    put(lake_folder, dataset, "a.csv", csv("a,1,2026-03-01", "b,2,2026-03-01", "c,99,2026-03-01"))
    assert actions(run(lake_folder, dataset)) == {DAY: "refused"}
    view = check_law(lake_folder, dataset)
    assert view.curated == []
    assert len(view.quarantine) == 3
    put(lake_folder, dataset, "b.csv", csv("d,1,2026-03-01"))
    assert actions(run(lake_folder, dataset)) == {DAY: "published"}
    view = check_law(lake_folder, dataset)
    assert sorted(r["id"] for r in view.curated) == ["a", "b", "d"]
    assert [[x["column"] for x in r["reasons"]] for r in View(lake_folder, dataset).quarantine] == [
        ["ColumnValues_amount"]
    ]
