"""The verdict of every rule type on one small table, on no rows, on NULLs only, and group by group."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lake_pipeline.dqdl import Evaluation, Outcome, Ruleset, evaluate, evaluate_by, parse
from lake_pipeline.errors import UsageError

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden.json").read_text())
TYPES = {
    "int64": pa.int64(),
    "string": pa.string(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REF = pa.table({"code": ["a", "b", None], "kind": ["k", "j", "k"]})


def table(rows: int | None = None, *, nulls: bool = False) -> pa.Table:
    """The golden table, or its first rows, or two rows of NULLs."""
    columns = {}
    for name, (kind, values) in GOLDEN["columns"].items():
        cells = [date.fromisoformat(v) if kind == "date" and v else v for v in values]
        columns[name] = pa.array([None, None] if nulls else cells[:rows], TYPES[kind])
    return pa.table(columns)


def run(rules: str | Ruleset, data: Any) -> Evaluation:
    return evaluate(rules, data, sources={"ref": REF}, now=NOW)


def one(rule: str, data: Any) -> Outcome:
    return run(f"Rules = [ {rule} ]", data).outcomes[0]


@pytest.mark.parametrize(("rule", "status", "metric"), GOLDEN["cases"], ids=[c[0] for c in GOLDEN["cases"]])
def test_verdict_and_metric(rule: str, status: str, metric: float | None) -> None:
    outcome = one(rule, table())
    assert outcome.status == status, outcome.reason
    assert (outcome.reason is None) == (status == "Passed")
    if metric is not None:
        assert next(iter(outcome.metrics.values())) == pytest.approx(metric, rel=1e-12)


def test_one_evaluation_of_all_rules_is_each_rule_alone(on_engine: Callable[[pa.Table], Any]) -> None:
    data = on_engine(table())
    cases = GOLDEN["cases"]
    sources, rules = {"ref": on_engine(REF)}, ", ".join(case[0] for case in cases)
    together = evaluate(f"Rules = [ {rules} ]", data, sources=sources, now=NOW)
    found = [[str(o.rule), o.status] for o in together.outcomes]
    expected = [[str(o.rule), case[1]] for o, case in zip(together.outcomes, cases, strict=True)]
    assert found == expected
    for outcome, case in zip(together.outcomes, cases, strict=True):
        if case[2] is not None:
            assert next(iter(outcome.metrics.values())) == pytest.approx(case[2], rel=1e-12), outcome
    assert not together.passed


@pytest.mark.parametrize("situation", ["empty", "nulls"])
@pytest.mark.parametrize("status", ["Passed", "Failed"])
def test_no_rows_and_only_nulls_have_explicit_verdicts(
    situation: str, status: str, on_engine: Callable[[pa.Table], Any]
) -> None:
    data = on_engine(table(nulls=True) if situation == "nulls" else table(0))
    rules = f"Rules = [ {', '.join(GOLDEN[situation][status])} ]"
    outcomes = evaluate(rules, data, sources={"ref": on_engine(REF)}, now=NOW).outcomes
    assert {str(o.rule): o.status for o in outcomes} == {str(o.rule): status for o in outcomes}, outcomes


def test_row_count_match_with_an_empty_reference_fails() -> None:
    found = evaluate('Rules = [ RowCountMatch "ref" >= 0 ]', table(), sources={"ref": REF.slice(0, 0)})
    assert found.outcomes[0].status == "Failed"


def test_no_columns() -> None:
    found = run('Rules = [ ColumnCount = 0, ColumnNamesMatchPattern "x", ColumnExists "x" ]', pa.table({}))
    assert [o.status for o in found.outcomes] == ["Passed", "Passed", "Failed"]


def summary(evaluation: Evaluation) -> list[tuple[str, str, Mapping[str, float], str | None]]:
    return [(str(o.rule), o.status, o.metrics, o.reason) for o in evaluation.outcomes]


def test_grouped_is_each_group_alone(on_engine: Callable[[pa.Table], Any]) -> None:
    groups = pa.array(["p", "p", "q", "q", "q", "r"])
    grouped = on_engine(table().append_column("_partition", groups))
    every = 4 if found_by_spark(grouped) else 1  # Spark has had all of them in one group, at 0.2 s for each
    rules = parse(f"Rules = [ {', '.join(case[0] for case in GOLDEN['cases'][::every])} ]")
    keys = ["p", "q", "r", "none"]
    found = evaluate_by(rules, grouped, keys=keys, sources={"ref": on_engine(REF)}, now=NOW)
    assert list(found) == keys
    for key, evaluation in found.items():
        alone = run(rules, table().filter(pc.equal(groups, key)))
        for mine, its in zip(summary(evaluation), summary(alone), strict=True):
            assert mine[:2] == its[:2]
            assert dict(mine[2]) == pytest.approx(dict(its[2])), mine
            assert (mine[3] is None) == (its[3] is None), mine
            assert mine[3] == its[3] or found_by_spark(grouped), mine


def found_by_spark(data: Any) -> bool:
    """Whether an engine found it whose errors and examples may be worded otherwise."""
    return not isinstance(data, pa.Table)


def test_a_group_key_of_another_type_is_compared_as_text() -> None:
    data = pa.table({"day": [date(2026, 1, 1), date(2026, 1, 2)], "v": [1, None]})
    found = evaluate_by(
        'Rules = [ IsComplete "v", ColumnCount = 1 ]', data, "day", keys=["2026-01-01", "2026-01-02"]
    )
    assert [e.passed for e in found.values()] == [True, False]
    with pytest.raises(UsageError, match='Did you mean "day"'):
        evaluate_by('Rules = [ IsComplete "v" ]', data, "dya", keys=[])


def test_tables_of_any_kind(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "golden.parquet")
    stored = ibis.duckdb.connect().read_parquet(tmp_path / "golden.parquet")
    rules = (
        'Rules = [ IsUnique "id", ReferentialIntegrity "name" "ref.code" = 0.5, CustomSql "select 1" = 1 ]'
    )
    assert run(rules, stored).passed
    assert run(rules, table().to_pandas().astype({"name": "string"})).passed
    assert run('Rules = [ RowCount = 3 where "amount > 0" ]', stored.filter(stored.id > 0)).passed


def test_history_gives_dynamic_operands() -> None:
    history = {"Dataset.*.RowCount": [5.0, 7.0, 100.0]}
    rules = [
        "RowCount = avg(last(2))",
        "RowCount > last()",
        "RowCount < max(last(10))",
        "RowCount = index(last(3), 0) + 1",
        "ColumnCount > avg(last(3))",
        "RowCount > last(2)",
        "RowCount > nope(last(2))",
    ]
    found = evaluate(f"Rules = [ {', '.join(rules)} ]", table(), history=history)
    assert [o.status for o in found.outcomes] == ["Passed"] * 5 + ["Error"] * 2


def test_reasons_say_how_many_and_which() -> None:
    assert one('ColumnValues "name" in ["a"]', table()).reason == (
        "Value: 0.16666666666666666 does not meet the constraint requirement: 5 of 6 rows do not meet: "
        "in [\"a\"]; for example '', '  ', 'b'"
    )
    assert 'Did you mean "name"' in str(one('IsComplete "nmae"', table()).reason)
    assert "for example 'b'" in str(one('IsUnique "name"', table()).reason)
    assert "threshold does not count" in str(
        one('ColumnValues "id" > 1 with threshold > 0.3', table()).reason
    )


def test_nested_columns_are_reached_by_path() -> None:
    data = pa.table({"s": [{"a": 1}, {"a": None}], "d.x": [1, 2]})
    found = run('Rules = [ Completeness "s.a" = 0.5, IsComplete "`d.x`", IsComplete "s.b" ]', data)
    assert [o.status for o in found.outcomes] == ["Passed", "Passed", "Error"]


def test_the_group_column_is_no_column_of_the_data() -> None:
    data = table().append_column("part", pa.array(["p"] * 6))
    rules = 'ColumnCount = 8, ColumnExists "part", IsComplete "part", RowCount > 0 where "part = \'p\'"'
    rules += ', CustomSql "select count(part) from primary" > 0'
    found = evaluate_by(f"Rules = [ {rules} ]", data, "part", keys=["p"])["p"]
    assert [o.status for o in found.outcomes] == ["Passed", "Failed", "Error", "Error", "Error"]


def test_undefined_numbers_fail() -> None:
    data = pa.table({"v": [1.0, float("nan")]})
    assert one('Mean "v" != 3', data).status == "Failed"


def test_colliding_hashes_do_not_make_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lake_pipeline.dqdl.keys.hash_of", lambda value, backend: value.length())
    data = pa.table({"k": ["aa", "bb", "cc", "d", "eee", "eee", None]})
    outcome = one('Uniqueness "k" > 0.6', data)
    assert outcome.metrics == {"Column.k.Uniqueness": pytest.approx(4 / 6)}
    assert one('DistinctValuesCount "k" = 6', data).status == "Passed"


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (
            'ColumnValues "at" = NULL',
            "2 of 3 rows do not meet: = NULL; for example 2026-02-28 13:00:00, 2026-03-01",
        ),
        (
            'ColumnValues "cost" not between 0 and 1',
            "do not meet: not between 0 and 1; for example 0.10, 0.20, NULL",
        ),
        (
            'ColumnLength "text" < 5',
            "1 of 3 rows do not meet: length < 5 (shortest 0, longest 99); for example 'xx",
        ),
        ('ColumnLength "text" < 5', "xxx…"),
        ('Mean "odd" > 0', "Column.odd.Mean is undefined: a value is NaN or infinite"),
        ('Variance "odd" > 0', "Column.odd.Variance is undefined: a value is NaN or infinite"),
        ('Mean "none" > 0', "Column.none.Mean has no value: there is nothing to measure"),
        ('IsComplete "COST"', 'Column "COST" does not exist. Did you mean "cost"?'),
        ("RowCount > index()", "index() cannot be calculated; it is written as in index(last(3), 0)"),
        ("RowCount > percentile(last(2), 101)", "it is written as in percentile(last(9), 90)"),
        ("RowCount > last(1.5)", "last(k) takes a whole number from 1 to 100000"),
        ('DetectAnomalies "RowCount" "cost"', "RowCount takes 0 parameters, not 1"),
        ('DetectAnomalies "IsComplete" "cost"', 'IsComplete has no metric. Did you mean "Completeness"?'),
        ('DetectAnomalies "Mean" "none"', "Mean has no finite value to compare"),
        ('RowCount > 0 where "count(*) > 1"', "an aggregate cannot stand in it"),
    ],
)
def test_reasons_are_for_people(rule: str, reason: str) -> None:
    frame = pa.table(
        {
            "at": pa.array([datetime(2026, 2, 28, 13), datetime(2026, 3, 1), None], pa.timestamp("us")),
            "cost": pa.array([Decimal("0.10"), Decimal("0.20"), None], pa.decimal128(10, 2)),
            "text": ["x" * 99, "", None],
            "odd": [1.0, float("nan"), None],
            "none": pa.nulls(3, pa.float64()),
        }
    )
    found = str(one(rule, frame).reason)
    assert reason in found, found
    assert len(found) < 250
