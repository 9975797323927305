"""The verdict on each row: which rules it passes, fails, and which say nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_

import ibis
import ibis.expr.types as ir

from lake_pipeline.dqdl.measure import Lookup, RowTest
from lake_pipeline.dqdl.nodes import AnyRule, Composite, Rule
from lake_pipeline.dqdl.outcomes import ERROR, FAILED, PASSED, Outcome
from lake_pipeline.dqdl.plan import Data, Step, leaves, plan
from lake_pipeline.dqdl.rules import RULE_TYPES

PASS, FAIL, SKIP = "DataQualityRulesPass", "DataQualityRulesFail", "DataQualityRulesSkip"
RESULT = "DataQualityEvaluationResult"
ADDED = (PASS, FAIL, SKIP, RESULT)
TEXTS = "array<string>"


def row_level(rule: AnyRule) -> bool:
    """Whether a rule has a verdict on each row; a composite, when all of its parts have."""
    if isinstance(rule, Composite):
        return all(map(row_level, rule.rules))
    return RULE_TYPES[rule.type].row_level and not (rule.type == "CustomSql" and rule.condition is not None)


@dataclass(frozen=True)
class Marked:
    """A table with a boolean column for each rule that has row-level results; NULL: skipped."""

    table: ir.Table
    marks: Mapping[Rule, str]

    def value(self, rule: AnyRule) -> ir.BooleanValue | None:
        """Whether a row passes a rule; of a composite, when all of its parts have row-level results."""
        if not isinstance(rule, Composite):
            return self.table[self.marks[rule]] if rule in self.marks else None
        parts = [value for value in map(self.value, rule.rules) if value is not None]
        if len(parts) != len(rule.rules):
            return None
        return reduce(and_ if rule.op == "AND" else or_, parts)


def row_results(
    rules: Sequence[AnyRule], data: Data, outcomes: Sequence[Outcome], *, skip_filtered: bool
) -> ir.Table:
    """The table with the four columns of row-level results; ``outcomes`` are those of ``rules``."""
    sound = [rule for rule, outcome in zip(rules, outcomes, strict=True) if outcome.status != ERROR]
    marked = mark(sound, data, skip_filtered=skip_filtered)
    values = [_verdict(rule, outcome, marked) for rule, outcome in zip(rules, outcomes, strict=True)]
    skipped = [str(rule) for rule, value in zip(rules, values, strict=True) if value is None]
    judged = [(str(rule), value) for rule, value in zip(rules, values, strict=True) if value is not None]
    failed = _listed(judged, lambda value: ~value.fill_null(True))
    added = {
        PASS: _listed(judged, lambda value: value.fill_null(False)),
        FAIL: failed,
        SKIP: _constant(skipped).concat(_listed(judged, lambda value: value.isnull())),
        RESULT: ibis.ifelse(failed.length() > 0, FAILED, PASSED),
    }
    kept = [marked.table[name] for name in data.columns if name not in ADDED]
    return marked.table.select(*kept, **added)


def _verdict(rule: AnyRule, outcome: Outcome, marked: Marked) -> ir.BooleanValue | None:
    """What could not be evaluated fails every row: it neither passes nor is skipped."""
    return ibis.literal(False) if outcome.status == ERROR else marked.value(rule)


Judged = Sequence[tuple[str, ir.BooleanValue]]


def _listed(judged: Judged, when: Callable[[ir.BooleanValue], ir.BooleanValue]) -> ir.ArrayValue:
    """The texts of the rules of which something holds."""
    if not judged:
        return _constant([])
    texts = [ibis.ifelse(when(value), text, ibis.null("string")) for text, value in judged]
    return ibis.array(texts).filter(lambda text: text.notnull())


def _constant(texts: Sequence[str]) -> ir.ArrayValue:
    return ibis.literal(list(texts), type=TEXTS)


def mark(rules: Sequence[AnyRule], data: Data, *, skip_filtered: bool = False) -> Marked:
    """The table with a column per rule that has row-level results; a lookup is a join, all else one pass."""
    planned = plan(rules, data)
    marks: dict[Rule, str] = {}
    values: dict[str, ir.Value] = {}
    lookups: list[tuple[str, Lookup]] = []
    for i, rule in enumerate(dict.fromkeys(leaves(rules))):
        step = planned.steps[rule]
        test = row_test(step)
        if test is None:
            continue
        marks[rule] = f"__row_{i}"
        if isinstance(test, Lookup):
            lookups.append((marks[rule], test))
            values |= {f"{marks[rule]}_{j}": value for j, value in enumerate(test.values)}
        else:
            values[marks[rule]] = _filtered(step, test, skip_filtered=skip_filtered)
    table = planned.table.mutate(**values) if values else planned.table
    for name, lookup in lookups:
        table = _looked_up(table, name, lookup)
    return Marked(table, marks)


def row_test(step: Step) -> RowTest | None:
    """The test of a single row, for rules that have row-level results and could be planned."""
    if step.measure is None or step.measure.rows is None or not RULE_TYPES[step.rule.type].row_level:
        return None
    return step.measure.rows()


def _filtered(step: Step, test: ir.BooleanValue, *, skip_filtered: bool) -> ir.BooleanValue:
    """The test where the rule's ``where`` holds; elsewhere the row passes, or is skipped."""
    passes = test.fill_null(False)
    if step.kept is None:
        return passes
    return ibis.ifelse(step.kept.fill_null(False), passes, ibis.null("boolean") if skip_filtered else True)


def _looked_up(table: ir.Table, name: str, lookup: Lookup) -> ir.Table:
    """The table with a column that says whether the row's values are known; no row is multiplied."""
    found = f"{name}_found"
    columns = {f"{name}_known_{i}": lookup.known[c] for i, c in enumerate(lookup.known.columns)}
    known = lookup.known.select(**columns, **{found: ibis.literal(True)})
    conditions = [
        table[f"{name}_{i}"].identical_to(known[column]) if safe else table[f"{name}_{i}"] == known[column]
        for i, (column, safe) in enumerate(zip(columns, lookup.null_safe, strict=True))
    ]
    joined = table.left_join(known, conditions)
    return joined.mutate(**{name: joined[found].fill_null(False)}).drop(found, *columns)
