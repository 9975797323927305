"""Rules on the share of rows that comply: ColumnValues and ColumnDataType."""

from __future__ import annotations

from typing import cast

import ibis.expr.types as ir

from lake_pipeline.dqdl.conditions import meets
from lake_pipeline.dqdl.datatypes import castable
from lake_pipeline.dqdl.measure import Finding, Measure, Row, measures, ratio
from lake_pipeline.dqdl.metrics import offending
from lake_pipeline.dqdl.nodes import Condition, Text
from lake_pipeline.dqdl.predicates import NEGATIVE, values_predicate
from lake_pipeline.dqdl.rules import NUMBER
from lake_pipeline.dqdl.subject import RuleError, Subject

ALL_OR_NOTHING = frozenset(("=", ">", ">=", "<", "<=", "between"))


@measures("ColumnValues")
def column_values(subject: Subject) -> Measure:
    """The share of rows whose value meets the condition."""
    (name,) = subject.rule.names
    column = subject.column(name)
    passing = values_predicate(subject, column, name)
    metric = f"Column.{name}.ColumnValues.Compliance"
    return Measure(
        lambda row: _share(subject, metric, row, empty_passes=False),
        {"rows": subject.rows, "passing": _count(subject, passing, column)},
        offenders=lambda: offending(subject, column, passing),
    )


@measures("ColumnDataType")
def column_data_type(subject: Subject) -> Measure:
    """The share of rows whose value can be cast; NULL cannot. No rows: passed."""
    (name,) = subject.rule.names
    column = subject.column(name)
    condition = cast(Condition, subject.rule.condition)
    if condition.op.endswith("matches") or condition.specials:
        raise RuleError(f"ColumnDataType does not compare by {condition}")
    types = [o.literal for o in condition.operands if isinstance(o, Text)]
    fits = castable(column, types[0], subject.rule.tag("format"))
    for other in types[1:]:
        fits = fits | castable(column, other, subject.rule.tag("format"))
    passing = ~fits.fill_null(False) if condition.op in NEGATIVE else fits
    metric = f"Column.{name}.ColumnDataType.Compliance"
    return Measure(
        lambda row: _share(subject, metric, row, empty_passes=True),
        {"rows": subject.rows, "passing": _count(subject, passing, column)},
        offenders=lambda: offending(subject, column, passing),
    )


def _count(subject: Subject, passing: ir.BooleanValue, column: ir.Value) -> ir.Scalar:
    """Rows that pass; what the schema decides is a plain count of values, shared with completeness."""
    if passing.equals(column.notnull()):
        return column.count(where=subject.kept)
    return subject.count(passing)


def threshold_of(subject: Subject) -> Condition | None:
    """The rule's threshold, where it counts: a comparison of numbers is always one of all rows."""
    rule = subject.rule
    condition = cast(Condition, rule.condition)
    if condition.kind == NUMBER and condition.op in ALL_OR_NOTHING and not condition.specials:
        return None
    return rule.threshold


def _share(subject: Subject, metric: str, row: Row, *, empty_passes: bool) -> Finding:
    rows, passing = row["rows"] or 0, row["passing"] or 0
    if not rows:
        reason = None if empty_passes else f"{metric} has no value: there are no rows"
        return Finding(empty_passes, {metric: 1.0} if empty_passes else {}, reason)
    share, threshold = ratio(passing, rows), threshold_of(subject)
    metrics = {metric: share}
    if threshold is not None:
        if meets(threshold, share, subject.history_of(metric)):
            return Finding(True, metrics)
        return Finding(False, metrics, f"{share:.2%} of rows passed the threshold, which must be {threshold}")
    if passing == rows:
        return Finding(True, metrics)
    ignored = " (a threshold does not count here)" if subject.rule.threshold else ""
    return Finding(
        False,
        metrics,
        f"Value: {share!r} does not meet the constraint requirement: {rows - passing} of {rows} rows "
        f"are not {subject.rule.condition}{ignored}",
    )
