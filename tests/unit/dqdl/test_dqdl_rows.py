"""The verdict on each row, rule by rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from lake_pipeline.dqdl import Evaluation, evaluate
from lake_pipeline.errors import UsageError

DATA = pa.table(
    {
        "i": [0, 1, 2, 3],
        "k": ["a", "a", None, "c"],
        "v": [1.0, None, 3.0, float("nan")],
    }
)
REF = pa.table({"k": ["a", "c", None], "v": [1.0, 9.0, 3.0]})


def passing(rule: str, on_engine: Callable[[pa.Table], Any], *, skip_filtered: bool = False) -> str:
    """Of each row in the order of ``i``: P, F or S."""
    found = evaluate(f"Rules = [ {rule} ]", on_engine(DATA), sources={"ref": on_engine(REF)})
    rows = sorted(
        found.rows(skip_filtered=skip_filtered).to_pyarrow().to_pylist(), key=lambda row: int(row["i"])
    )
    return "".join(
        "P" if row["DataQualityRulesPass"] else "F" if row["DataQualityRulesFail"] else "S" for row in rows
    )


@pytest.mark.parametrize(
    ("rule", "verdicts"),
    [
        ('IsComplete "k"', "PPFP"),
        ('Completeness "v" > 0.1', "PFPP"),
        ('IsComplete "k" where "i > 2"', "PPPP"),
        ('IsUnique "k"', "FFPP"),
        ('Uniqueness "k" "v" > 0', "PPPP"),
        ('UniqueValueRatio "k" > 0', "FFPP"),
        ('IsUnique "k" where "i > 0"', "PPPP"),
        ('IsPrimaryKey "k"', "FFFP"),
        ('DuplicateRowCount "k" = 0', "FFPP"),
        ("DuplicateRowCount = 0", "PPPP"),
        ('ColumnValues "v" > 2', "FFPP"),
        ('ColumnValues "v" != 1', "FPPP"),
        ('ColumnValues "k" in ["a"] with threshold > 0.1', "PPFF"),
        ('ColumnLength "k" = 1', "PPFP"),
        ('ColumnDataType "k" = "DATE"', "FFFF"),
        ('ReferentialIntegrity "k" "ref.k" > 0', "PPFP"),
        ('DatasetMatch "ref" "k" "v" > 0', "PFFF"),
        ('CustomSql "select k from primary where i > 1"', "FFPP"),
        ('CustomSql "select count(*) from primary" > 0', "SSSS"),
        ("RowCount > 100", "SSSS"),
        ('Mean "v" > 0', "SSSS"),
        ('IsComplete "nope"', "FFFF"),
        ('Mean "nope" > 0', "FFFF"),
        ('ColumnValues "k" matches "[a"', "FFFF"),
        ('IsComplete "k" where "nope > 1"', "FFFF"),
        ('(IsComplete "k") and (IsUnique "k")', "FFFP"),
        ('(IsComplete "k") or (IsUnique "k")', "PPPP"),
        ('(IsComplete "k") or (RowCount > 0)', "SSSS"),
        ('(IsComplete "k") or (IsComplete "nope")', "FFFF"),
    ],
)
def test_verdicts(rule: str, verdicts: str, on_engine: Callable[[pa.Table], Any]) -> None:
    assert passing(rule, on_engine) == verdicts


@pytest.mark.parametrize(
    ("rule", "verdicts"),
    [
        ('IsComplete "k" where "i > 1"', "SSFP"),
        ('(IsComplete "k" where "i > 1") or (IsComplete "v")', "PSPP"),
    ],
)
def test_filtered_rows_may_be_skipped(rule: str, verdicts: str, on_engine: Callable[[pa.Table], Any]) -> None:
    assert passing(rule, on_engine, skip_filtered=True) == verdicts


def test_rows_of_a_table_that_was_evaluated_before() -> None:
    once = evaluate('Rules = [ IsComplete "k" ]', DATA).rows()
    again = evaluate("Rules = [ RowCount > 0 ]", once).rows()
    assert again.columns == once.columns
    assert set(again.to_pyarrow()["DataQualityEvaluationResult"].to_pylist()) == {"Passed"}


def test_an_evaluation_without_a_table_has_no_rows() -> None:
    with pytest.raises(UsageError):
        Evaluation(()).rows()
