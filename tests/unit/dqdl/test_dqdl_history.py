"""Rules on earlier results: anomalies, dynamic operands, analyzers' metrics as the next history."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake_pipeline.dqdl import Outcome, evaluate
from lake_pipeline.dqdl.anomalies import MINIMUM, expect

FOUR = pa.table({"v": [1.0, 2.0, 3.0, None]})


def one(rule: str, history: Mapping[str, Sequence[float]] | None) -> Outcome:
    return evaluate(f"Rules = [ {rule} ]", FOUR, history=history).outcomes[0]


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ([4, 4, 4], "Passed"),
        ([4, 5, 4, 3, 4000], "Passed"),
        ([100, 101, 99, 100], "Failed"),
        ([100, 100, 100], "Failed"),
        ([100, 100], "Passed"),
        ([], "Passed"),
        ([math.nan, 100, 100], "Passed"),
        ([0, 0, 0], "Failed"),
    ],
)
def test_anomalies_of_a_count(values: list[float], status: str) -> None:
    found = one('DetectAnomalies "RowCount"', {"Dataset.*.RowCount": values})
    assert found.status == status
    assert found.metrics["Dataset.*.RowCount"] == 4.0
    enough = sum(map(math.isfinite, values)) >= MINIMUM
    assert ("Dataset.*.RowCount.LowerBound" in found.metrics) == enough
    assert (found.reason is None) == (status == "Passed")


def test_anomalies_of_a_column() -> None:
    history = {"Column.v.Mean": [2.0, 2.0, 2.1]}
    assert one('DetectAnomalies "Mean" "v"', history).passed
    assert not one('DetectAnomalies "Mean" "v"', {"Column.v.Mean": [9.0, 9.1, 9.0]}).passed
    assert one('DetectAnomalies "Completeness" "v"', None).passed


def test_a_week_has_seven_days() -> None:
    weekend = [10.0, 200, 200, 200, 200, 200, 11] * 4  # the newest first: next is as values[6]
    expected = expect(weekend)
    assert expected is not None
    assert expected.allows(11)
    assert not expected.allows(200)


@given(st.floats(-1e6, 1e6), st.integers(MINIMUM, 30))
def test_a_constant_history_allows_itself_and_not_much_more(value: float, count: int) -> None:
    expected = expect([value] * count)
    assert expected is not None
    assert expected.allows(value)
    assert not expected.allows(value + max(1.0, abs(value)))


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("> last()", "Passed"),
        ("= last() + 1", "Passed"),
        ("> avg(last(2))", "Passed"),
        ("= median(last(3)) + 1", "Passed"),
        ("between min(last(9)) and max(last(9)) - 3", "Failed"),
        ("< sum(last(2))", "Passed"),
        ("> std(last(3))", "Passed"),
        ("= index(last(3), 0) + 1", "Passed"),
        ("> index(last(3), 7)", "Passed"),
        ("= percentile(last(3), 50) + 1", "Passed"),
        ("= percentile(last(3), 100)", "Failed"),
        ("= abs(0 - last()) + 1", "Passed"),
        ("> percentile(last(3), 101)", "Error"),
        ("> index(1, 1)", "Error"),
        ("> last(3)", "Error"),
        ("> last(0)", "Error"),
        ("> last(1, 2)", "Error"),
        ("> nope(last(2))", "Error"),
        ("> 1 / (last() - 3)", "Error"),
    ],
)
def test_dynamic_operands(condition: str, status: str) -> None:
    found = one(f"RowCount {condition}", {"Dataset.*.RowCount": [3.0, 2.0, 7.0]})
    assert found.status == status, found


@pytest.mark.parametrize("history", [None, {}, {"Dataset.*.RowCount": []}])
def test_no_history_is_zero(history: Mapping[str, Sequence[float]] | None) -> None:
    assert one("RowCount = last() + avg(last(5)) + index(last(2), 0) + 4", history).passed


def test_thresholds_have_a_history_too() -> None:
    metric = "Column.v.ColumnValues.Compliance"
    rule = 'ColumnValues "v" != 3 with threshold >= last()'
    assert one(rule, {metric: [0.75]}).passed
    assert not one(rule, {metric: [0.8]}).passed


def test_analyzers_measure_and_do_not_judge() -> None:
    text = 'Analyzers = [ RowCount, Completeness "v", ColumnValues "v", AllStatistics "v", Mean "nope", FileMatch ]'
    found = evaluate(text, FOUR, files=[])
    assert found.outcomes == ()
    assert not found.passed
    assert found.metrics["Dataset.*.RowCount"] == 4.0
    assert found.metrics["Column.v.Completeness"] == 0.75
    assert (found.metrics["Column.v.Minimum"], found.metrics["Column.v.Maximum"]) == (1.0, 3.0)
    assert found.metrics["Column.v.Mean"] == 2.0
    reasons = [analysis.reason is not None for analysis in found.analyses]
    assert reasons == [False, False, False, False, True, True]
    again = evaluate(
        "Rules = [ RowCount = last() ]", FOUR, history={k: [v] for k, v in found.metrics.items()}
    )
    assert again.passed


def test_analyzers_of_each_kind_of_column() -> None:
    table = pa.table({"t": ["a", "bbb", None], "b": [True, None, False]})
    text = 'Rules = [ RowCount > 0 ] Analyzers = [ AllStatistics "AllColumns", ColumnLength "t", ColumnValues "b" ]'
    metrics = evaluate(text, table).metrics
    assert (metrics["Column.t.MinimumLength"], metrics["Column.t.MaximumLength"]) == (0.0, 3.0)
    assert metrics["Column.b.Completeness"] == pytest.approx(2 / 3)
    assert "Column.b.Mean" not in metrics
