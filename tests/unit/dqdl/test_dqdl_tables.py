"""Rules that compare tables; numbers that are not finite; tables of every kind."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import ibis
import polars
import pyarrow as pa
import pytest

from lake_pipeline.dqdl import Outcome, evaluate
from lake_pipeline.errors import UsageError

MINE = pa.table({"k": [1, 2, 3], "v": ["a", None, "c"], "w": [1.0, 2.0, 3.0]})


def one(rule: str, other: dict[str, Any] | pa.Table, mine: pa.Table = MINE) -> Outcome:
    ref = other if isinstance(other, pa.Table) else pa.table(other)
    return evaluate(f"Rules = [ {rule} ]", mine, sources={"ref": ref}).outcomes[0]


@pytest.mark.parametrize(
    ("rule", "other", "status", "metric"),
    [
        ('DatasetMatch "ref" "k" = 1', MINE, "Passed", 1.0),
        ('DatasetMatch "ref" "k" "v" = 1', {"k": [1, 2, 3], "v": ["a", None, "c"]}, "Passed", 1.0),
        ('DatasetMatch "ref" "k" "v" > 0.6', {"k": [1, 2, 3], "v": ["a", "b", "c"]}, "Passed", 2 / 3),
        ('DatasetMatch "ref" "k" "v" > 0.6', {"k": [1, 2], "v": ["a", None]}, "Passed", 2 / 3),
        ('DatasetMatch "ref" "k->id" "v->x" > 0.3', {"id": [1, 9], "x": ["a", "b"]}, "Passed", 1 / 3),
        ('DatasetMatch "ref" "k" "v" > 0', {"k": [1, 1], "v": ["a", "a"]}, "Failed", None),
        ('DatasetMatch "ref" "k" "v" > 0', {"k": ["1"], "v": ["a"]}, "Error", None),
        ('DatasetMatch "ref" "k->" "v" > 0', MINE, "Error", None),
        ('DatasetMatch "ref" "k" > 0', {"k": [1], "v": ["a"]}, "Error", None),
        ('DatasetMatch "nope" "k" > 0', MINE, "Error", None),
        ('SchemaMatch "ref" = 1', MINE.slice(0, 0), "Passed", 1.0),
        ('SchemaMatch "ref" > 0.6', {"k": [1], "v": ["a"], "w": [1]}, "Passed", 2 / 3),
        ('SchemaMatch "ref" = 0', {"k": [1]}, "Failed", 0.0),
        ('AggregateMatch "sum(k)" "sum(ref.k)" = 0', {"k": [0]}, "Passed", 0.0),
        ('AggregateMatch "sum(k)" "sum(ref.k)" >= 0', {"k": pa.array([], pa.int64())}, "Failed", None),
        ('AggregateMatch "AVG( k )" "avg(ref.k)" = 2', {"k": [1]}, "Passed", 2.0),
        ('RowCountMatch "ref" = 3', {"k": [1]}, "Passed", 3.0),
        ('ReferentialIntegrity "k" "ref.{k}" > 0.3', {"k": [1.0, None]}, "Passed", 1 / 3),
        ('ReferentialIntegrity "k,v" "ref.k" > 0', {"k": [1]}, "Error", None),
        ('ReferentialIntegrity "k" "ref" > 0', {"k": [1]}, "Error", None),
    ],
)
def test_verdict(rule: str, other: Any, status: str, metric: float | None, on_engine: Any) -> None:
    ref = on_engine(other if isinstance(other, pa.Table) else pa.table(other))
    (found,) = evaluate(f"Rules = [ {rule} ]", on_engine(MINE), sources={"ref": ref}).outcomes
    assert found.status == status, found
    assert list(found.metrics.values()) == ([] if metric is None else [pytest.approx(metric)])


def test_a_key_that_repeats_cannot_match() -> None:
    mine = pa.table({"k": [1, 1], "v": ["a", "a"]})
    found = one('DatasetMatch "ref" "k" >= 0', {"k": [1], "v": ["a"]}, mine)
    assert found.status == "Failed"
    assert "not unique in the table" in str(found.reason)


@pytest.mark.parametrize(
    ("rule", "values", "status"),
    [
        ("Sum {c} > 0", [1.0, float("inf")], "Passed"),
        ("Mean {c} > 0", [1.0, float("inf")], "Passed"),
        ("Sum {c} != 0", [float("-inf"), float("inf")], "Failed"),
        ("Mean {c} != 0", [1.0, float("nan")], "Failed"),
        ("Range {c} != 0", [1.0, float("nan")], "Failed"),
        ("Range {c} > 0", [1.0, float("inf")], "Passed"),
        ("StandardDeviation {c} != 9", [1.0, float("inf")], "Failed"),
        ("Variance {c} != 9", [1.0, float("nan")], "Failed"),
        ("Variance {c} = 0", [1.0], "Passed"),
        ("ColumnCorrelation {c} {c} != 9", [1.0, 2.0, float("inf")], "Failed"),
        ("ColumnCorrelation {c} {c} > 0.9", [1.0, 2.0, None], "Passed"),
        ("ColumnCorrelation {c} {c} != 9", [1.0, 1.0], "Failed"),
        ("Completeness {c} = 1", [float("nan"), 1.0], "Passed"),
        ("IsUnique {c}", [float("nan"), float("inf")], "Passed"),
        ("Entropy {c} > 0", [float("nan"), 1.0], "Passed"),
        ("ColumnValues {c} > 0", [float("nan"), 1.0], "Passed"),
        ("ColumnValues {c} < 5", [float("nan"), 1.0], "Failed"),
        ("ColumnValues {c} < 5", [float("inf")], "Failed"),
    ],
)
def test_numbers_that_are_not_finite(rule: str, values: list[Any], status: str, on_engine: Any) -> None:
    """NaN is greater than every number and equal to itself, as in Spark (and DuckDB)."""
    table = on_engine(pa.table({"c": pa.array(values, pa.float64())}))
    (found,) = evaluate(f"Rules = [ {rule.format(c=chr(34) + 'c' + chr(34))} ]", table).outcomes
    assert found.status == status, found
    assert all(map(math.isfinite, found.metrics.values())), "JSON has no other numbers"


def test_large_integers_are_exact(on_engine: Any) -> None:
    big = 2**63 - 1
    table = on_engine(pa.table({"c": pa.array([big, -big], pa.int64())}))
    rules = f'Sum "c" = 0, ColumnValues "c" in [{big},-{big}], Range "c" > {big}, Mean "c" = 0'
    assert evaluate(f"Rules = [ {rules} ]", table).passed


def test_large_integers_are_told_apart(on_engine: Any) -> None:
    """One from another, though they are one number as doubles."""
    most, widest = 2**63 - 1, 10**38 - 2
    whole = pa.table({"i": pa.array([most]), "d": pa.array([Decimal(widest)], pa.decimal128(38, 0))})
    rules = f"""Rules = [
        ColumnValues "i" = {most}, ColumnValues "i" != {most - 1}, ColumnValues "i" > {most - 1},
        ColumnValues "i" not in [{most - 1},1], ColumnValues "i" < {10 * most}, ColumnValues "i" > -{10 * most},
        ColumnValues "d" = {widest}, ColumnValues "d" != {widest + 1}, ColumnValues "d" > {widest - 1},
        ColumnValues "d" between {widest - 1} and {widest + 1}, ColumnValues "d" in [1,{widest}],
        ColumnValues "d" not in [{widest - 1},{widest + 1}], ColumnValues "d" > 1.5
    ]"""
    found = evaluate(rules, on_engine(whole))
    assert found.passed, [o for o in found.outcomes if not o.passed]


@pytest.mark.parametrize(("digits", "scale"), [(38, 0), (38, 2), (38, 18), (38, 37), (20, 2), (10, 2)])
def test_decimals_of_any_width_are_compared(digits: int, scale: int, on_engine: Any) -> None:
    values = [Decimal("1.5").quantize(Decimal(1).scaleb(-min(scale, 1))), Decimal(0), None]
    if digits - scale > 9:
        values.append(Decimal(10 ** (digits - scale) - 1))
    table = on_engine(pa.table({"d": pa.array(values, pa.decimal128(digits, scale))}))
    rules = """ColumnValues "d" >= -0.000001 {w}, ColumnValues "d" != 50 {w}, ColumnValues "d" not in [1.7,-3,123456789] {w},
        ColumnValues "d" > -33.333333333333336 {w}, ColumnValues "d" > -9223372036854775808 {w},
        ColumnValues "d" != last(), ColumnValues "d" > (0 - avg(last(3))) {w}"""
    present = 'where "d is not null"'
    history = {"Column.d.ColumnValues.Compliance": [1 / 3, 0.7, 1e9 / 7]}
    found = evaluate(
        f"Rules = [ {rules.format(w=present)} ]",
        table,
        history=history,
    )
    assert found.passed, [o for o in found.outcomes if not o.passed]


def test_decimals_of_38_digits(on_engine: Any) -> None:
    values = [Decimal(10**37 + i) for i in range(30)]
    table = on_engine(pa.table({"c": pa.array([*values, None], pa.decimal128(38, 0))}))
    rules = (
        f'Sum "c" between 299999999999999999999999999999999999999 and {31 * 10**37}, Mean "c" > {10**36}, '
    )
    rules += f'Range "c" = 0, IsUnique "c", ColumnValues "c" > {10**36} where "c is not null", RowCount = 31'
    found = evaluate(f"Rules = [ {rules} ]", table)
    assert found.passed, found.outcomes


def test_decimals_are_summed_exactly(on_engine: Any) -> None:
    table = on_engine(pa.table({"c": pa.array([Decimal("0.10")] * 3, pa.decimal128(10, 2))}))
    assert evaluate('Rules = [ Sum "c" = 0.3, Mean "c" = 0.1, ColumnValues "c" = 0.1 ]', table).passed


def test_a_table_may_be_compared_with_itself(on_engine: Any) -> None:
    table = ibis.memtable(MINE) if isinstance(on_engine(MINE), pa.Table) else on_engine(MINE)
    rules = 'DatasetMatch "self" "k" = 1, ReferentialIntegrity "k" "self.k" = 1, RowCountMatch "self" = 1, '
    rules += 'CustomSql "select count(*) from primary p join self s on p.k = s.k" = 3, DatasetMatch "self" "k" "v" = 1'
    found = evaluate(f"Rules = [ {rules} ]", table, sources={"self": table})
    assert found.passed, found.outcomes
    assert found.rows().to_pyarrow()["DataQualityEvaluationResult"].to_pylist() == ["Passed"] * 3


def test_polars() -> None:
    frame = polars.DataFrame({"a": [1, None], "b": ["x", "y"]})
    rules = 'Completeness "a" = 0.5, IsUnique "b", CustomSql "select count(*) from primary" = 2'
    for table in (frame, frame.lazy()):
        found = evaluate(f"Rules = [ {rules} ]", table)
        assert found.passed
        assert found.rows().to_pyarrow().num_rows == 2


def test_pandas() -> None:
    frame = MINE.to_pandas()
    found = evaluate('Rules = [ Completeness "v" > 0.6, Sum "k" = 6 ]', frame)
    assert found.passed
    assert found.rows().to_pandas().shape == (3, 7)


@pytest.mark.parametrize("table", ["orders.csv", None, {"a": [1]}, [1]])
def test_what_is_no_table(table: Any) -> None:
    with pytest.raises(UsageError, match="Ibis, Arrow, Polars or pandas"):
        evaluate("Rules = [ RowCount > 0 ]", table)


def test_columns_of_types_that_no_rule_asks_for_do_no_harm() -> None:
    """Ibis reads no durations from DuckDB, for instance; rules on other columns need not."""
    table = MINE.append_column("lasted", pa.array([1, 2, None], pa.duration("s")))
    found = evaluate(
        'Rules = [ IsUnique "k", Completeness "lasted" > 0.6, IsComplete "v" where "k = 1" ]', table
    )
    assert found.passed, found.outcomes
    assert found.rows().select("k", "DataQualityEvaluationResult").to_pyarrow().num_rows == 3
