"""The outcome of a composite rule: of its parts' outcomes, or of every row.

By default a composite combines the overall outcomes of its parts. With the tag
``compositeRuleEvaluation.method = "ROW"`` on one of them it combines their verdicts row by row, and passes
when every row does; for that, every part must have a verdict on each row that does not depend on a share.
"""

from __future__ import annotations

from collections.abc import Mapping

from lake_pipeline.dqdl.attempt import Failure, attempt
from lake_pipeline.dqdl.measure import ratio
from lake_pipeline.dqdl.nodes import AnyRule, Composite, Rule
from lake_pipeline.dqdl.outcomes import ERROR, FAILED, PASSED, Outcome
from lake_pipeline.dqdl.plan import Data, leaves
from lake_pipeline.dqdl.rows import mark
from lake_pipeline.dqdl.rules import RULE_TYPES
from lake_pipeline.dqdl.subject import RuleError

METHOD = "compositeRuleEvaluation.method"
METHODS = ("COLUMN", "ROW")
METRIC = "Dataset.*.CompositeRule.Compliance"
OF_SHARES = frozenset(
    ("Completeness", "Uniqueness", "UniqueValueRatio", "ReferentialIntegrity", "DatasetMatch")
)


def combined(rule: AnyRule, outcomes: Mapping[Rule, Outcome], data: Data) -> Outcome:
    """The outcome of a rule; of a composite, by its method.

    A part that could not be evaluated makes the whole an error, even beside a part that passed.
    """
    if not isinstance(rule, Composite):
        return _simple(rule, outcomes)
    method = _method(rule)
    if method not in METHODS:
        return Outcome(rule, ERROR, reason=f'{METHOD} = "{method}" is none of {", ".join(METHODS)}')
    parts = [combined(part, outcomes, data) for part in rule.rules]
    metrics = {name: value for part in parts for name, value in part.metrics.items()}
    reasons = "; ".join(f"{part.rule}: {part.reason}" for part in parts if part.reason)
    if any(part.status == ERROR for part in parts):
        return Outcome(rule, ERROR, metrics, reasons)
    if method == "ROW":
        return _by_rows(rule, metrics, data)
    joined = all if rule.op == "AND" else any
    if joined(part.passed for part in parts):
        return Outcome(rule, PASSED, metrics)
    return Outcome(rule, FAILED, metrics, reasons)


def _simple(rule: Rule, outcomes: Mapping[Rule, Outcome]) -> Outcome:
    found = outcomes[rule]
    return Outcome(rule, found.status, found.metrics, found.reason)


def _method(rule: Composite) -> str:
    tags = [tag for leaf in leaves([rule]) if (tag := leaf.tag(METHOD)) is not None]
    return tags[0].upper() if tags else METHODS[0]


def _by_rows(rule: Composite, metrics: Mapping[str, float], data: Data) -> Outcome:
    counted = attempt(lambda: _counts(rule, data))
    if isinstance(counted, Failure):
        return Outcome(rule, ERROR, metrics, counted.reason)
    total, passing = counted
    if not total:
        return Outcome(rule, FAILED, metrics, "there are no rows")
    metrics = {**metrics, METRIC: ratio(passing, total)}
    if passing == total:
        return Outcome(rule, PASSED, metrics)
    return Outcome(rule, FAILED, metrics, f"{total - passing} of {total} rows do not meet the rule")


def _counts(rule: Composite, data: Data) -> tuple[int, int]:
    """How many rows there are, and how many pass."""
    for leaf in leaves([rule]):
        if leaf.type in OF_SHARES or leaf.threshold is not None or not RULE_TYPES[leaf.type].row_level:
            raise RuleError(f"{leaf} has no verdict of a single row, which {METHOD} = ROW needs")
    marked = mark([rule], data)
    passes = marked.value(rule)
    if passes is None:
        raise RuleError("a part of the rule has no verdict of a single row")
    judged = marked.table.select(__passes=passes)
    query = judged.aggregate(total=judged.count(), passing=judged.count(where=judged["__passes"]))
    found = data.engine.connection.to_pyarrow(query).to_pylist()[0]
    return found["total"], found["passing"]
