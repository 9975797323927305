"""The shared half of the public corpus: what parses, what does not, and which verdicts hold."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lake_pipeline.dqdl import DQDLSyntaxError, Evaluation, Rule, evaluate, parse
from lake_pipeline.dqdl.conditions import FUNCTIONS, meets

SHARED = Path(os.environ.get("LAKE_SHARED") or Path(__file__).resolve().parents[4] / "shared")
CASES = SHARED / "dqdl" / "cases.json"  # conftest.py leaves this module out when it does not exist
CORPUS: dict[str, list[dict[str, Any]]] = json.loads(CASES.read_text())
TYPES = {
    "string": pa.string(),
    "int": pa.int32(),
    "long": pa.int64(),
    "double": pa.float64(),
    "float": pa.float32(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}

# Cases that disagree, by reason. A case listed here that starts to agree fails the test.
AN_ERROR_HERE = "the reference says Failed of what cannot be evaluated; here that is an Error"
NOT_EVALUATED = "this rule type is parsed but not evaluated yet: Error"
DISAGREE: dict[str, str] = {
    'Rules=[ColumnCorrelation "att2" "att3" > 0.8] 36f7e6': NOT_EVALUATED,
    'Rules=[Entropy "att2" > 1] 9ee377': NOT_EVALUATED,
    'Rules=[RowCountMatch "missing" >= 0.5] 7060af': AN_ERROR_HERE,
    'Rules = [ SchemaMatch "ref" != 1.0 ] dbdb8b': NOT_EVALUATED,
    'Rules = [ SchemaMatch "ref" >= 0.67 ] 57b9ce': NOT_EVALUATED,
    'Rules = [ SchemaMatch "ref" < 0.7 ] 23f30d': NOT_EVALUATED,
    'Rules = [ SchemaMatch "ref" between 0.6 and 0.7 ] 844311': NOT_EVALUATED,
    'Rules = [ SchemaMatch "ref" not between 0.7 and 0.9 ] a24f41': NOT_EVALUATED,
    'Rules = [ SchemaMatch "ref" not between 0.1 and 0.6 ] 9aaba3': NOT_EVALUATED,
    'Rules=[ReferentialIntegrity "state" "missing.state_code" >= 0.9] 8481cf': AN_ERROR_HERE,
    'Rules=[ReferentialIntegrity "state" "ref.NonExistentColumn" > 0.9] e55417': AN_ERROR_HERE,
    'Rules=[DatasetMatch "ref" "ID->ID_ref" >= 0.9] 5d0912': NOT_EVALUATED,
    'Rules=[DatasetMatch "ref" "ID" >= 0.7] 17ead6': NOT_EVALUATED,
    'Rules=[DatasetMatch "ref" "ID" > 0.9] 37470e': NOT_EVALUATED,
    'Rules=[DatasetMatch "ref" "ID_1->ID_ref1,ID_2->ID_ref2" >= 0.9] 99cdc7': NOT_EVALUATED,
    'Rules=[DatasetMatch "ref" "ID_1->ID_ref1,ID_2->ID_ref2" "Amount1->Amount2" >= 0.6] dadf79': NOT_EVALUATED,
    'Rules=[DatasetMatch "ref" "ID" "state->missing" >= 0.9] 1631c8': NOT_EVALUATED,
    'Rules=[AggregateMatch "sum(amount)" "sum(ref.amount)" > 0.7] a8f656': NOT_EVALUATED,
    'Rules=[AggregateMatch "avg(colA)" "avg(colB)" = 0.5] d3f70f': NOT_EVALUATED,
    'Rules=[AggregateMatch "sum(amount)" "sum(ref.amount)" between 0.7 and 0.8] c8e323': NOT_EVALUATED,
    'Rules=[AggregateMatch "sum(amount)" "sum(missing.amount)" > 0.5] eb43c7': NOT_EVALUATED,
    'Rules=[AggregateMatch "sum(value)" "sum(ref.value)" = 1.0] bd5cc6': NOT_EVALUATED,
    'Rules=[AggregateMatch "avg(value)" "avg(ref.value)" = 1.0] 6d028c': NOT_EVALUATED,
    'Rules=[AggregateMatch "sum(amount)" "sum(ref.amount)" > 0.5] d60598': NOT_EVALUATED,
    'Rules = [ColumnDataType "date_col" = "DATE" where "invalid%%clause"] eae09b': AN_ERROR_HERE,
    'Rules = [ColumnDataType "col" = "UNKNOWN_TYPE"] 82f775': AN_ERROR_HERE,
    'Rules = [ColumnDataType "nonexistent" = "DATE"] 16bc79': AN_ERROR_HERE,
    'Rules=[DataFreshness "Some Date" < 200 hours] 1db38a': NOT_EVALUATED,
    'Rules=[DataFreshness "Some Date" between 12 hours and 60 hours] 3371bf': NOT_EVALUATED,
    'Rules=[DataFreshness "Some Date" >= 50 hours] 241ff2': NOT_EVALUATED,
    'Rules=[DataFreshness "Some Date" <= 30 hours] 2e00b8': NOT_EVALUATED,
    'Rules=[DataFreshness "Some Date" != 72 hours] 627891': NOT_EVALUATED,
    'Rules=[DataFreshness "Some Date" not in [24 hours, 48 hours]] b9e785': NOT_EVALUATED,
    'Rules=[DataFreshness "Some Date" < 100 hours where "ID > 2"] f3aed4': NOT_EVALUATED,
    'Rules=[DataFreshness "Some Date" < 100 hours where "%%\'\' > %%%%"] e8e547': AN_ERROR_HERE,
    'Rules=[CustomSql "SELECT id, amount FROM ref_table"] a31eb2': AN_ERROR_HERE,
}


def case_id(case: dict[str, Any]) -> str:
    content = json.dumps([case["rules"], case["data"], case.get("additional")], sort_keys=True)
    return f"{' '.join(case['rules'].split())} {hashlib.sha256(content.encode()).hexdigest()[:6]}"


@pytest.mark.parametrize("case", CORPUS["positive"], ids=lambda c: c["ruleset"])
def test_positive(case: dict[str, Any]) -> None:
    ruleset = parse(case["ruleset"])
    assert parse(str(ruleset)) == ruleset
    if "canonical_item" in case:
        assert case["canonical_item"] in [str(rule) for rule in (*ruleset.rules, *ruleset.analyzers)]


@pytest.mark.parametrize("case", CORPUS["negative"], ids=lambda c: c["ruleset"])
def test_negative(case: dict[str, Any]) -> None:
    with pytest.raises(DQDLSyntaxError) as caught:
        parse(case["ruleset"])
    if case.get("message") not in (None, "Parsing Error"):
        assert case["message"] in str(caught.value)


def _product(args: Sequence[Any]) -> float:
    product = 1.0
    for arg in args:
        product *= arg
    return product


@pytest.mark.parametrize("case", CORPUS["condition"], ids=lambda c: f"{c['rule']} {c['metric']}")
def test_condition(case: dict[str, Any]) -> None:
    rule = parse(f"Rules = [ {case['rule']} ]").rules[0]
    assert isinstance(rule, Rule)
    condition = rule.threshold if case["on"] == "threshold" else rule.condition
    assert condition is not None
    assert meets(condition, case["metric"], functions={**FUNCTIONS, "multiply": _product}) is case["expected"]


def _cell(value: Any, kind: str) -> Any:
    if isinstance(value, dict):
        ((form, content),) = value.items()
        if form == "$struct":
            return content
        if form in ("$date", "$timestamp"):
            return _cell(content, form.removeprefix("$"))
        day = datetime.now(UTC) - timedelta(days=content)
        value = day.strftime("%Y-%m-%d %H:%M:%S" if form == "$now_minus_days" else "%Y-%m-%d")
    if kind == "date" and isinstance(value, str):
        return date.fromisoformat(value[:10])
    if kind == "timestamp" and isinstance(value, str):
        return datetime.fromisoformat(value)
    return value


def _table(data: dict[str, Any]) -> pa.Table:
    columns = {}
    for i, column in enumerate(data["columns"]):
        cells = [_cell(row[i], column["type"]) for row in data["rows"]]
        columns[column["name"]] = pa.array(cells, TYPES.get(column["type"]))
    return pa.table(columns)


def _disagreements(case: dict[str, Any]) -> Iterator[str]:
    """Everything in which the evaluation differs from what the case expects."""
    expected = case["expected"]
    sources = {name: _table(data) for name, data in case.get("additional", {}).items()}
    if "throws" in expected:
        with pytest.raises(DQDLSyntaxError):
            evaluate(case["rules"], _table(case["data"]), sources=sources)
        return
    found = evaluate(case["rules"], _table(case["data"]), sources=sources)
    statuses = [outcome.status for outcome in found.outcomes]
    if "outcome" in expected:
        judged = statuses if expected.get("all_rules") else statuses[:1]
        if set(judged) != {expected["outcome"]}:
            yield f"{judged} is not {expected['outcome']}: {found.outcomes[0].reason}"
    if "outcome_set" in expected and set(statuses) != set(expected["outcome_set"]):
        yield f"{statuses} is not {expected['outcome_set']}"
    yield from _metric_disagreements(found, expected)
    reason = found.outcomes[0].reason
    yield from (
        f"no {part!r} in {reason!r}"
        for part in expected.get("failure_reason_contains", [])
        if part not in (reason or "")
    )
    if expected.get("failure_reason_null") and reason is not None:
        yield f"there is a reason: {reason}"


def _metric_disagreements(found: Evaluation, expected: dict[str, Any]) -> Iterator[str]:
    metrics = {name: value for outcome in found.outcomes for name, value in outcome.metrics.items()}
    yield from (f"no metric {key}" for key in expected.get("metric_keys", []) if key not in metrics)
    for name, wanted in expected.get("metrics", {}).items():
        value = next(iter(metrics.values()), None) if name == "*" else metrics.get(name)
        if value is None:
            yield f"no metric {name} in {metrics}"
        elif not _agrees(value, wanted):
            yield f"{name} is {value}, not {wanted}"


def _agrees(value: float, wanted: dict[str, float]) -> bool:
    """A metric is given exactly, within a tolerance, or truncated (perhaps after multiplying by 100)."""
    return (
        abs(value - wanted.get("value", value)) <= wanted.get("tol", 0.0)
        and int(value) == wanted.get("trunc", int(value))
        and int(value * 100) == wanted.get("trunc_x100", int(value * 100))
    )


@pytest.mark.parametrize("case", CORPUS["evaluation"], ids=case_id)
def test_evaluation(case: dict[str, Any]) -> None:
    found = list(_disagreements(case))
    if case_id(case) in DISAGREE:
        assert found, "this case agrees now: take it off the list"
        assert "Error" in found[0]
    else:
        assert not found
