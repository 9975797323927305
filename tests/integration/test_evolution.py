"""Contracts whose columns change: what a table can take is published, and what it cannot is said."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from lakes import COLUMNS, DAY, actions, check_law, csv, make_dataset, put, run

from lake_pipeline.storage import Lake
from lake_pipeline.storage.tables import IncompatibleSchema

HEADER = "id,amount,day,more"


def column(physical: str) -> dict[str, dict[str, str]]:
    """The usual columns and one more."""
    more = {"logicalType": "number", "physicalType": physical}
    return {**COLUMNS, "more": more}


def test_a_column_may_become_wider(lake_folder: Lake, tmp_path: Path) -> None:
    before = make_dataset(tmp_path, columns=column("decimal(5,2)"))
    put(lake_folder, before, "a.csv", csv("a1,1,2026-03-01,1.25", header=HEADER))
    run(lake_folder, before)
    after = make_dataset(tmp_path, columns=column("decimal(7,2)"), version="1.1.0")
    put(lake_folder, after, "b.csv", csv("b1,1,2026-03-01,99999.5", header=HEADER))
    assert actions(run(lake_folder, after)) == {DAY: "published"}
    view = check_law(lake_folder, after)
    assert sorted(r["more"] for r in view.curated) == [Decimal("1.25"), Decimal("99999.50")]


def test_a_kept_column_that_gets_another_type_is_said(lake_folder: Lake, tmp_path: Path) -> None:
    """The policy `additive: keep` has had it as text."""
    before = make_dataset(tmp_path)
    put(lake_folder, before, "a.csv", csv("a1,1,2026-03-01,9", header=HEADER))
    run(lake_folder, before)
    after = make_dataset(tmp_path, columns={**COLUMNS, "more": {"logicalType": "integer"}}, version="1.1.0")
    with pytest.raises(IncompatibleSchema, match=r"more.* give the changed column another name"):
        run(lake_folder, after)
    assert check_law(lake_folder, before).values() == ["a1"]
