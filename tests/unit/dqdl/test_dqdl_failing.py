"""The rows that fail rules, of many groups at once, are those that each group alone would tell."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import ibis
import pyarrow as pa
import pytest

from lake_pipeline.dqdl import evaluate_by, failing_rows, parse, row_level
from lake_pipeline.dqdl.rows import FAIL
from lake_pipeline.errors import UsageError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATA = pa.table(
    {
        "part": ["p"] * 4 + ["q"] * 4 + ["r"],
        "row": [1, 2, 3, 4, 1, 2, 3, 4, 1],
        "id": ["a", "b", "b", None, "a", "b", "c", "d", "z"],
        "n": [1.0, 5.0, None, 7.0, 1.0, 2.0, 3.0, 9.0, 100.0],
        "ref": ["x", "y", None, "nope", "x", "x", "y", "y", "nope"],
    }
)
REF = pa.table({"code": ["x", "y"]})
RULES = """
    IsComplete "id", Completeness "n" > 0.9, IsUnique "id", IsPrimaryKey "id", UniqueValueRatio "id" > 0.9,
    DuplicateRowCount "id" < 1, ColumnValues "n" < 7, ColumnValues "n" < 7 where "id = 'd'", ColumnLength "id" = 1,
    ColumnDataType "ref" = "DATE", ReferentialIntegrity "ref" "other.code" = 1.0,
    CustomSql "select id from primary where n < 5", CustomSql "select row, n from primary where n <= 2",
    CustomSql "select id, n from primary where n < (select max(n) from primary)",
    (IsComplete "id") and (ColumnValues "n" < 7), (IsComplete "id") or (ColumnValues "n" < 7),
    (IsComplete "n") and (CustomSql "select id from primary where n < 5")
"""
RULESET = parse(f"Rules = [ {RULES} ]")
KEYS = ["p", "q", "r"]


def told() -> dict[str, set[tuple[str, int]]]:
    """What the row results of each group alone say."""
    found: dict[str, set[tuple[str, int]]] = {str(rule): set() for rule in RULESET.rules}
    alone = evaluate_by(RULESET, DATA, "part", keys=KEYS, sources={"other": REF}, now=NOW)
    for key, evaluation in alone.items():
        for row in evaluation.rows().to_pyarrow().to_pylist():
            for text in row[FAIL]:
                found[text].add((key, row["row"]))
    return found


def test_many_groups_at_once(on_engine: Callable[[pa.Table], Any]) -> None:
    rules = {rule: KEYS for rule in RULESET.rules}
    sources = {"other": on_engine(REF)}
    data = on_engine(DATA.append_column("hidden", DATA["row"]))
    rows = failing_rows(rules, data, by="part", lineage=["hidden"], sources=sources, now=NOW)
    assert rows.columns == ("part", "hidden", *(f"fails_{i}" for i in range(len(rules))))
    listed = rows.to_pyarrow().to_pylist()
    found = {
        str(rule): {(r["part"], r["hidden"]) for r in listed if r[f"fails_{i}"]}
        for i, rule in enumerate(rules)
    }
    assert found == told()
    assert len(listed) == len({(r["part"], r["hidden"]) for r in listed})
    assert all(found.values()), "every rule fails some row"


def test_only_the_groups_asked_for() -> None:
    first, second = parse(
        'Rules = [ ColumnValues "n" < 7, CustomSql "select id from primary where n < 5" ]'
    ).rules
    rows = failing_rows({first: ["r"], second: ["q"]}, DATA, by="part", lineage=["row"])
    assert sorted(tuple(r.values()) for r in rows.to_pyarrow().to_pylist()) == [
        ("q", 4, False, True),
        ("r", 1, True, False),
    ]


def test_rules_do_not_see_the_lineage() -> None:
    (rule,) = parse("Rules = [ DuplicateRowCount < 1 ]").rules
    data = ibis.memtable({"part": ["p", "p"], "row": [1, 2], "v": [1, 1]})
    rows = failing_rows({rule: ["p"]}, data, by="part", lineage=["row"]).to_pyarrow().to_pylist()
    assert [r["row"] for r in rows] == [1, 2]


@pytest.mark.parametrize(
    ("rule", "whether"),
    [
        ('IsComplete "a"', True),
        ("RowCount > 0", False),
        ('CustomSql "select a from primary"', True),
        ('CustomSql "select 1" > 0', False),
        ('(IsComplete "a") or (ColumnValues "b" > 1)', True),
        ('(IsComplete "a") or (RowCount > 1)', False),
        ('DetectAnomalies "RowCount"', False),
        ("FileSize > 1 B", False),
    ],
)
def test_which_rules_judge_rows(rule: str, whether: bool) -> None:
    (parsed,) = parse(f"Rules = [ {rule} ]").rules
    assert row_level(parsed) is whether
    if not whether:
        with pytest.raises(UsageError, match="judges no single row"):
            failing_rows({parsed: ["p"]}, DATA, by="part", lineage=["row"])
