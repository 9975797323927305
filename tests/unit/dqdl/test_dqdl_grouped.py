"""Evaluating by groups is evaluating each group alone: for every rule type, on any data."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake_pipeline.dqdl import Evaluation, FileInfo, evaluate, evaluate_by, parse
from lake_pipeline.dqdl.plan import leaves
from lake_pipeline.dqdl.rules import RULE_TYPES

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULES = """
    RowCount > 2, RowCount > 1 where "n > 1", ColumnCount = 4, ColumnExists "n", ColumnNamesMatchPattern "^.$",
    Completeness "t" > 0.5, IsComplete "t", IsComplete "n" where "t = 'a'", Uniqueness "t" > 0.5,
    Uniqueness "t" "n" > 0.5, IsUnique "n", IsUnique "t" where "n > 0", UniqueValueRatio "t" > 0.4,
    DistinctValuesCount "t" > 1, IsPrimaryKey "n", IsPrimaryKey "n" "t", Mean "n" > 1, Sum "x" >= 2,
    StandardDeviation "n" < 2, Variance "x" < 2, Entropy "t" > 0.5, ColumnCorrelation "n" "x" > 0.5,
    Range "n" > 1, ColumnLength "t" > 0, ColumnValues "n" > 0, ColumnValues "t" in ["a","bb",NULL],
    ColumnValues "x" != 1 with threshold > 0.5, ColumnValues "d" > "2026-02-01",
    ColumnDataType "t" = "INTEGRAL" with threshold > 0.1, DataFreshness "d" < 40 days,
    CustomSql "select count(distinct n) from primary" > 1, CustomSql "select n, t from primary where n > 1",
    CustomSql "select t from primary" with threshold > 0.1, RowCountMatch "ref" > 0.5, SchemaMatch "ref" >= 0.5,
    SchemaMatch "other" >= 0.5, ReferentialIntegrity "t" "ref.t" > 0.4,
    ReferentialIntegrity "t,n" "ref.{t,n}" > 0.1, DatasetMatch "ref" "n" "t" > 0.2, DatasetMatch "ref" "n,t" > 0.1,
    AggregateMatch "sum(n)" "sum(ref.n)" > 0.5, AggregateMatch "avg(n)" "avg(x)" > 0.5, DuplicateRowCount < 1,
    DuplicateRowCount "t" < 3, DetectAnomalies "RowCount", DetectAnomalies "Mean" "n",
    FileFreshness > (now() - 1 days), FileSize > 1 KB, FileUniqueness = 1, FileMatch = "aa",
    (IsComplete "t") and (IsUnique "n"), (IsComplete "nope") or (RowCount > 0),
    (ColumnValues "n" > 0 with compositeRuleEvaluation.method = "ROW") or (IsUnique "t"),
    IsComplete "missing", RowCount > 0 where "missing = 1"
"""
RULESET = parse(
    f'Rules = [ {RULES} ] Analyzers = [ AllStatistics "AllColumns", ColumnValues "n", DataFreshness "d" ]'
)
REF = pa.table(
    {
        "n": pa.array([1, 2, 3, None], pa.int64()),
        "x": pa.array([1.0, 2.0, None, 4.0]),
        "t": ["a", "bb", "a", None],
        "d": pa.array([date(2026, 1, 1)] * 4, pa.date32()),
    }
)
OPTIONS: dict[str, Any] = {
    "sources": {"ref": REF, "other": REF.select(["n"])},
    "files": [FileInfo("s3://b/a.csv", 2000, NOW, sha256="aa")],
    "history": {"Dataset.*.RowCount": [2, 2, 3], "Column.n.Mean": [1.0, 1.0, 1.0]},
    "now": NOW,
}
CELLS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "n": (pa.int64(), st.integers(-1, 3)),
    "x": (pa.float64(), st.sampled_from([0.0, 1.0, 2.5, float("nan"), float("inf")])),
    "t": (pa.string(), st.sampled_from(["a", "bb", "", " ", "1"])),
    "d": (pa.date32(), st.sampled_from([date(2026, 1, 1), date(2026, 2, 28), date(2026, 3, 5)])),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(0, 7))
    columns = {
        name: pa.array(draw(st.lists(st.none() | cells, min_size=rows, max_size=rows)), kind)
        for name, (kind, cells) in CELLS.items()
    }
    groups = draw(st.lists(st.sampled_from(["p", "q"]), min_size=rows, max_size=rows))
    return pa.table({**columns, "part": pa.array(groups, pa.string())})


def verdicts(found: Evaluation) -> list[tuple[Any, ...]]:
    return [
        *((str(o.rule), o.status, o.reason is None, pytest.approx(dict(o.metrics))) for o in found.outcomes),
        *((str(a.analyzer), pytest.approx(dict(a.metrics))) for a in found.analyses),
    ]


def plain(found: Evaluation) -> list[tuple[Any, ...]]:
    return [
        *((str(o.rule), o.status, o.reason is None, dict(o.metrics)) for o in found.outcomes),
        *((str(a.analyzer), dict(a.metrics)) for a in found.analyses),
    ]


def rows(found: Evaluation) -> Counter[str]:
    return Counter(str(row) for row in found.rows().to_pyarrow().to_pylist())


def test_all_rule_types_take_part() -> None:
    assert {rule.type for rule in leaves(RULESET.rules)} == set(RULE_TYPES) - {"AllStatistics"}


@settings(max_examples=4)
@given(tables())
def test_each_group_is_as_if_alone(table: pa.Table) -> None:
    grouped = evaluate_by(RULESET, table, "part", keys=["p", "q", "none"], **OPTIONS)
    for key, found in grouped.items():
        alone = evaluate(RULESET, table.filter(pc.equal(table["part"], key)).drop_columns("part"), **OPTIONS)
        for mine, its in zip(plain(found), verdicts(alone), strict=True):
            assert mine == its
        assert rows(found) == rows(alone)


@settings(max_examples=4)
@given(tables())
def test_rows_agree_with_outcomes(table: pa.Table) -> None:
    """Every rule stands in one list of each row, and a row fails where a rule fails it."""
    data = table.drop_columns("part")
    found = evaluate(RULESET, data, **OPTIONS)
    lists = ("DataQualityRulesPass", "DataQualityRulesFail", "DataQualityRulesSkip")
    texts = Counter(str(rule) for rule in RULESET.rules)
    result = found.rows().to_pyarrow()
    assert result.num_rows == data.num_rows
    assert result.column_names == [*data.column_names, *lists, "DataQualityEvaluationResult"]
    for row in result.to_pylist():
        assert Counter(text for name in lists for text in row[name]) == texts
        assert row["DataQualityEvaluationResult"] == ("Failed" if row[lists[1]] else "Passed")
    for outcome in found.outcomes:
        failing = sum(str(outcome.rule) in row[lists[1]] for row in result.to_pylist())
        if outcome.status == "Error":
            assert failing == data.num_rows


@pytest.mark.parametrize(("broken", "most"), [(0, 1), (1, 14)])
def test_rules_share_scans_with_a_rule_that_breaks(
    broken: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty rules are one query; beside one that the engine cannot run, a few."""
    connection = ibis.duckdb.connect()
    connection.raw_sql("CREATE TABLE mine AS SELECT i AS a, 'x' || i AS b FROM range(9) r(i)")
    texts = [f'ColumnValues "a" != {n + 99}' for n in range(49)]
    texts.insert(20, 'ColumnValues "b" matches "("' if broken else 'Completeness "b" = 1.0')
    asked: list[int] = []
    run = type(connection).to_pyarrow

    def counted(*args: Any, **settings: Any) -> Any:
        asked.append(1)
        return run(*args, **settings)

    monkeypatch.setattr(type(connection), "to_pyarrow", counted)
    found = evaluate(f"Rules = [ {', '.join(texts)} ]", connection.table("mine")).outcomes
    assert [o.status for o in found] == ["Passed"] * 20 + ["Error" if broken else "Passed"] + ["Passed"] * 29
    assert 0 < len(asked) <= most
