"""The shared half of the public corpus: what parses, what does not, and which verdicts hold."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lake_pipeline.dqdl import DQDLSyntaxError, Evaluation, Rule, evaluate, parse
from lake_pipeline.dqdl.conditions import FUNCTIONS, meets
from lake_pipeline.dqdl.rows import FAIL, PASS, RESULT, SKIP

SHARED = Path(os.environ.get("LAKE_SHARED") or Path(__file__).resolve().parents[4] / "shared")
CASES = SHARED / "dqdl" / "cases.json"  # conftest.py leaves this module out when it does not exist
CORPUS: dict[str, list[dict[str, Any]]] = json.loads(CASES.read_text())
LISTS = (PASS, FAIL, SKIP)
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

# Cases in which the outcome differs, and that alone: what cannot be evaluated is an Error here, where the
# reference says Failed of it. The reasons and the rows' results agree. A case that starts to agree fails.
AN_ERROR_HERE = frozenset(
    (
        'Rules=[RowCountMatch "missing" >= 0.5] 7060af',
        'Rules=[ReferentialIntegrity "state" "missing.state_code" >= 0.9] 8481cf',
        'Rules=[ReferentialIntegrity "state" "ref.NonExistentColumn" > 0.9] e55417',
        'Rules=[DatasetMatch "ref" "ID" "state->missing" >= 0.9] 1631c8',
        'Rules=[AggregateMatch "sum(amount)" "sum(missing.amount)" > 0.5] eb43c7',
        'Rules=[AggregateMatch "sum(amount)" "sum(ref.amount)" > 0.5] d60598',
        'Rules = [ColumnDataType "date_col" = "DATE" where "invalid%%clause"] eae09b',
        'Rules = [ColumnDataType "col" = "UNKNOWN_TYPE"] 82f775',
        'Rules = [ColumnDataType "nonexistent" = "DATE"] 16bc79',
        'Rules=[DataFreshness "Some Date" < 100 hours where "%%\'\' > %%%%"] e8e547',
        'Rules=[CustomSql "SELECT id, amount FROM ref_table"] a31eb2',
    )
)


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


def _disagreements(case: dict[str, Any], on_engine: Callable[[pa.Table], Any]) -> Iterator[str]:
    """Everything in which the evaluation differs from what the case expects."""
    expected = case["expected"]
    data = _table(case["data"])
    if "throws" in expected:
        with pytest.raises(DQDLSyntaxError):
            evaluate(case["rules"], data)
        return
    sources = {name: on_engine(_table(source)) for name, source in case.get("additional", {}).items()}
    found = evaluate(case["rules"], on_engine(data), sources=sources)
    statuses = [outcome.status for outcome in found.outcomes]
    if "outcome" in expected:
        judged = statuses if expected.get("all_rules") else statuses[:1]
        if set(judged) != {expected["outcome"]}:
            yield f"{judged} is not {expected['outcome']}"
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
    if case["api"].startswith("processRows"):
        yield from _row_disagreements(found, data, expected)


def _row_disagreements(found: Evaluation, data: pa.Table, expected: dict[str, Any]) -> Iterator[str]:
    """What differs in the rows, which come in any order; every rule stands in one of the lists."""
    rows = found.rows().to_pyarrow().to_pylist()
    results = Counter(str([row[c] for c in data.column_names] + [row[RESULT]]) for row in rows)
    wanted = expected.get("row_level")
    if "row_level_all" in expected:
        wanted = [expected["row_level_all"]] * data.num_rows
    if wanted is not None:
        cells = [list(row.values()) for row in data.to_pylist()]
        due = Counter(str([*row, verdict]) for row, verdict in zip(cells, wanted, strict=True))
        if results != due:
            yield f"rows {results} are not {due}"
    if len(rows) != data.num_rows:
        yield f"{len(rows)} rows of {data.num_rows}"
    counts = {sum(len(row[name]) for name in LISTS) for row in rows}
    if counts - {expected.get("row_level_list_size", len(found.outcomes))}:
        yield f"{counts} rules in a row's lists"


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
def test_evaluation(case: dict[str, Any], on_engine: Callable[[pa.Table], Any]) -> None:
    found = list(_disagreements(case, on_engine))
    if case_id(case) in AN_ERROR_HERE:
        assert found == ["['Error'] is not Failed"]
    else:
        assert not found


def test_listed_cases_exist() -> None:
    assert {case_id(case) for case in CORPUS["evaluation"]} >= AN_ERROR_HERE


def test_the_page_lists_exactly_these_with_their_reasons() -> None:
    page = (Path(__file__).parents[3] / "docs" / "dqdl.md").read_text(encoding="utf-8")
    section = page.partition("## Failed there, Error here")[2]
    listed = re.findall(r"^\| `(.*)` \| .+ \|$", section, re.MULTILINE)
    ours = [re.sub(r"Rules ?= ?\[(.*)\] \w{6}", r"\1", case) for case in AN_ERROR_HERE]
    assert sorted(listed) == sorted(ours)
    numbers = {key: len(cases) for key, cases in CORPUS.items()}
    assert numbers == {"positive": 361, "negative": 74, "condition": 40, "evaluation": 182}
    assert all(re.search(rf"\b{number}\b", section) for number in (*numbers.values(), len(listed)))
