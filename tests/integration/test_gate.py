"""The gate: a refusal leaves nothing visible, and what was published before as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lakes import (
    COLUMNS,
    DAY,
    View,
    actions,
    check_law,
    csv,
    make_dataset,
    put,
    run,
)

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.context import working
from lake_pipeline.flow.curate import prepare, source_snapshots
from lake_pipeline.flow.publish import AuditedBeside, GateClosed, gate, report_key
from lake_pipeline.flow.settle import look
from lake_pipeline.flow.state import Memory
from lake_pipeline.storage import Lake

UNIQUE = 'IsUnique "id"'


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


@pytest.mark.parametrize(
    "rule",
    ["RowCount > 1 / last()", "RowCount > last(3)", 'FileMatch = "x" with hashAlgorithm = "MD5"'],
)
def test_what_cannot_be_judged_never_passes(lake_folder: Lake, tmp_path: Path, rule: str) -> None:
    ruled = make_dataset(tmp_path / "defs", rules=rule)
    put(lake_folder, ruled, "a.csv", csv("a1,1,2026-03-01"))
    assert actions(run(lake_folder, ruled)) == {DAY: "refused"}
    assert check_law(lake_folder, ruled).curated == []


def test_rules_that_ask_for_nothing_unknown_pass(lake_folder: Lake, tmp_path: Path) -> None:
    rules = 'RowCount > 0, Completeness "id" >= 1.0, ColumnValues "amount" > 0 with threshold > 0.5'
    ruled = make_dataset(tmp_path / "defs", rules=rules)
    put(lake_folder, ruled, "a.csv", csv("a1,1,2026-03-01"))
    assert actions(run(lake_folder, ruled)) == {DAY: "published"}


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
    mine = run(lake_folder, sales).curated[DAY].outcome.run_id
    with working(lake_folder, sales, mine) as work:
        memory = Memory(lake_folder, sales)
        (candidate,) = prepare(work, memory, look(work, memory, [DAY]))
        inputs = source_snapshots(work)
        with pytest.raises(AuditedBeside, match=mine):
            gate(replace(work, run_id="another"), candidate, inputs)
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
    mine = run(lake_folder, sales).curated[DAY].outcome.run_id
    with working(lake_folder, sales, mine) as work:
        memory = Memory(lake_folder, sales)
        (candidate,) = prepare(work, memory, look(work, memory, [DAY]))
        with pytest.raises(GateClosed):
            gate(work, candidate, "other inputs")
