"""What rules see of earlier evaluations when groups are judged in their order; and the one clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from lake_pipeline.dqdl import Earlier, FileInfo, History, evaluate, evaluate_by, looks_back, parse
from lake_pipeline.dqdl.anomalies import LONGEST

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
COUNT = "Dataset.*.RowCount"
THREE = pa.table({"v": [1, 2, 3, 4, 5, 6], "part": ["a", "b", "b", "c", "c", "c"]})


class Notes:
    """A past that notes in which order it was used."""

    def __init__(self) -> None:
        self.known: dict[str, Mapping[str, float]] = {}
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def before(self, key: str) -> History:
        self.asked.append((key, tuple(self.known)))
        return Earlier([m for k, m in sorted(self.known.items(), reverse=True) if k < key])

    def judged(self, key: str, metrics: Mapping[str, float]) -> None:
        self.known[key] = metrics


@pytest.mark.parametrize("keys", [["a", "b", "c"], ["b"]])
def test_each_group_sees_those_judged_before_it(keys: list[str]) -> None:
    past = Notes()
    found = evaluate_by("Rules = [ RowCount = last() + 1 ]", THREE, "part", keys=keys, history=past)
    expected = {"a": "Passed", "b": "Passed", "c": "Passed"} if len(keys) > 1 else {"b": "Failed"}
    assert {k: e.outcomes[0].status for k, e in found.items()} == expected
    assert past.asked == [(key, tuple(keys[:i])) for i, key in enumerate(keys)]
    assert past.known == {key: {COUNT: float(" abc".index(key))} for key in keys}


def test_values_are_compared_with_what_each_group_looks_back_at() -> None:
    """A condition on values is part of what is measured, so its groups are scanned one by one."""
    history = {"Column.v.ColumnValues.Compliance > last() + 3": [1.0]}
    rules = 'Rules = [ ColumnValues "v" > last() + 3 ]'
    plain = evaluate_by(rules, THREE, "part", keys=["a", "b", "c"], history=history)
    assert [e.outcomes[0].metrics["Column.v.ColumnValues.Compliance"] for e in plain.values()] == [
        0,
        0,
        pytest.approx(2 / 3),
    ]
    past = Notes()
    found = evaluate_by(rules, THREE, "part", keys=["a", "b", "c"], history=past)
    assert [o.status for e in found.values() for o in e.outcomes] == ["Failed", "Failed", "Passed"]
    assert found["b"].outcomes[0].reason is not None
    assert found["b"].outcomes[0].reason.count("for example") == 1


def test_a_composite_by_rows_sees_its_groups_history() -> None:
    rules = 'Rules = [ (ColumnValues "v" > last() with compositeRuleEvaluation.method = "ROW") and (IsComplete "v"), '
    rules += 'ColumnValues "v" > last() ]'
    past = Notes()
    found = evaluate_by(rules, THREE, "part", keys=["a", "b", "c"], history=past)
    for evaluation in found.values():
        by_rows, plain = evaluation.outcomes
        assert by_rows.metrics["Dataset.*.CompositeRule.Compliance"] == next(iter(plain.metrics.values()))


def test_files_belong_to_groups() -> None:
    files = {"a": [FileInfo("s3://b/a", 10, NOW)], "b": [FileInfo("s3://b/b", 99, NOW)]}
    rules = "Rules = [ FileSize < 20 ] Analyzers = [ FileSize ]"
    found = evaluate_by(rules, THREE, "part", keys=["a", "b", "c"], files=files, now=NOW)
    assert [e.outcomes[0].status for e in found.values()] == ["Passed", "Failed", "Error"]
    assert found["b"].metrics["Dataset.*.FileSize.Maximum"] == 99.0


@pytest.mark.parametrize(
    ("rules", "depth"),
    [
        ('IsComplete "a", RowCount > 3', 0),
        ("RowCount > last()", 1),
        ("RowCount > last() * 2 + avg(last(4))", 4),
        ("RowCount between (0.9 * average(last(10))) and max(last(7))", 10),
        ('(RowCount > 0) and ((IsUnique "a") or (RowCount > avg(last(3))))', 3),
        ('ColumnValues "a" != 1 with threshold > avg(last(5))', 5),
        ("RowCount > avg(last(2 + 3))", LONGEST),
        ('DetectAnomalies "RowCount"', LONGEST),
    ],
)
def test_how_far_rules_look_back(rules: str, depth: int) -> None:
    assert looks_back(parse(f"Rules = [ {rules} ]").rules) == depth


def test_series_tell_metrics_of_one_name_apart() -> None:
    rules = """Rules = [
        RowCount > 0, RowCount > 0 where "v > 1", CustomSql "select 1" = 1, CustomSql "select 2" > 1,
        (ColumnValues "v" > 1) or (ColumnValues "v" < 7)
    ] Analyzers = [ Mean "v" ]"""
    assert evaluate(rules, THREE).series == {
        COUNT: 6.0,
        f'{COUNT} where "v > 1"': 5.0,
        'Dataset.*.CustomSQL "select 1"': 1.0,
        'Dataset.*.CustomSQL "select 2"': 2.0,
        "Column.v.ColumnValues.Compliance > 1": pytest.approx(5 / 6),
        "Column.v.ColumnValues.Compliance < 7": 1.0,
        "Column.v.Mean": 3.5,
    }


@pytest.mark.parametrize(
    "rule",
    [
        'RowCount = 1 where "day < current_date"',
        'RowCount = 1 where "day < current_date()"',
        'RowCount = 1 where "at < current_timestamp()"',
        'RowCount = 1 where "at < now()"',
        'RowCount = 1 where "at < now() - interval 1 hours"',
        'CustomSql "select count(*) from primary where at < now()" = 1',
        'CustomSql "select count(*) from primary where at > current_timestamp" = 1',
        'CustomSql "select unix_timestamp()" = 1772366400',
        'CustomSql "select day from primary where day < current_date()" with threshold = 0.5',
    ],
)
def test_sql_has_the_clock_of_the_evaluation(rule: str, on_engine: Callable[[pa.Table], Any]) -> None:
    moments = [NOW - timedelta(hours=30), NOW + timedelta(hours=30)]
    data = pa.table({"at": pa.array(moments, pa.timestamp("us", "UTC")), "day": [m.date() for m in moments]})
    found = evaluate(f"Rules = [ {rule} ]", on_engine(data), now=NOW).outcomes[0]
    assert found.status == "Passed", found


@pytest.mark.parametrize("function", ["current_time()", "getdate()", "localtime()", "current_user()"])
def test_other_clocks_are_refused(function: str) -> None:
    found = evaluate(f'Rules = [ CustomSql "select max({function}) from primary" = 1 ]', THREE).outcomes[0]
    assert found.status == "Error"
    assert "not allowed" in str(found.reason)
