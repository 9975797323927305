"""Rules on the share of rows that comply: ColumnValues, ColumnDataType and DataFreshness."""

from __future__ import annotations

from typing import cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from lake_pipeline.dqdl.conditions import meets
from lake_pipeline.dqdl.datatypes import castable
from lake_pipeline.dqdl.measure import Finding, Measure, Row, analyzes, found, measures, number, ratio
from lake_pipeline.dqdl.metrics import completeness, offending
from lake_pipeline.dqdl.nodes import Condition, Duration, Text
from lake_pipeline.dqdl.predicates import NEGATIVE, compare, values_predicate
from lake_pipeline.dqdl.rules import NUMBER
from lake_pipeline.dqdl.subject import RuleError, Subject, is_text, present

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
        rows=lambda: passing,
    )


@analyzes("ColumnValues")
def extremes(subject: Subject) -> Measure:
    """The least and the greatest value of a numeric column; of another, whether it is complete."""
    (name,) = subject.rule.names
    column = subject.column(name)
    if not isinstance(column, ir.NumericValue) or isinstance(column, ir.BooleanValue):
        return completeness(subject)
    return Measure(
        lambda row: found(
            {f"Column.{name}.Minimum": number(row["least"]), f"Column.{name}.Maximum": number(row["most"])}
        ),
        {"least": column.min(where=subject.kept), "most": column.max(where=subject.kept)},
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
        rows=lambda: passing,
    )


@measures("DataFreshness")
def data_freshness(subject: Subject) -> Measure:
    """The share of rows whose age in hours meets the condition; NULL never does. No rows: passed."""
    (name,) = subject.rule.names
    column = subject.column(name)
    hours = age(subject, name)
    condition = cast(Condition, subject.rule.condition)
    fits = compare(hours, condition.op, [o.hours for o in condition.operands if isinstance(o, Duration)])
    passing = fits & hours.notnull()
    metric = f"Column.{name}.DataFreshness.Compliance"
    return Measure(
        lambda row: _share(subject, metric, row, empty_passes=True),
        {"rows": subject.rows, "passing": subject.count(passing)},
        offenders=lambda: offending(subject, column, passing),
        rows=lambda: passing,
    )


@analyzes("DataFreshness")
def ages(subject: Subject) -> Measure:
    """The age in hours of the newest and of the oldest value."""
    (name,) = subject.rule.names
    hours = age(subject, name)
    return Measure(
        lambda row: found(
            {
                f"Column.{name}.DataFreshness.Minimum": number(row["newest"]),
                f"Column.{name}.DataFreshness.Maximum": number(row["oldest"]),
            }
        ),
        {"newest": hours.min(where=subject.kept), "oldest": hours.max(where=subject.kept)},
    )


def age(subject: Subject, name: str) -> ir.FloatingValue:
    """How many hours ago a moment was, rounded to hundredths; NULL for what is no moment."""
    column = subject.column(name)
    kind = column.type()
    if not (kind.is_date() or kind.is_timestamp() or is_text(column)):
        raise RuleError(f'Column "{name}" is {kind}; DataFreshness needs dates or timestamps')
    moment = column.try_cast(dt.timestamp) if is_text(column) else column.cast(dt.timestamp)
    seconds = ibis.literal(int(subject.now.timestamp()), dt.int64) - moment.epoch_seconds().cast(dt.int64)
    return cast(ir.FloatingValue, (seconds.cast(dt.float64) / 3600.0).round(2))


def _count(subject: Subject, passing: ir.BooleanValue, column: ir.Value) -> ir.Scalar:
    """Rows that pass; what the schema decides is a plain count of values, shared with completeness."""
    if passing.equals(present(column)):
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
        f"do not meet: {subject.rule.condition}{ignored}",
    )
