"""Statistics of numeric columns, of values that are not NULL.

An infinity makes sums and means infinite, as IEEE 754 has it. Spreads and correlations of it, and every
statistic of NaN, are undefined on all engines, and an undefined number fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from lake_pipeline.dqdl.measure import Finding, Measure, Query, Row, judge, measures, number
from lake_pipeline.dqdl.subject import Engine, Group, Subject, numeric, present

Statistic = Callable[[ir.NumericValue, ir.BooleanValue | None], ir.Scalar]
STATISTICS: dict[str, Statistic] = {
    "Mean": lambda c, where: c.mean(where=where),
    "Sum": lambda c, where: c.sum(where=where),
    "Range": lambda c, where: c.max(where=where).cast(dt.float64) - c.min(where=where).cast(dt.float64),
}
# Digits of a decimal of which a thousand million values can be summed up exactly, and of the widest decimal.
EXACT, WIDEST = 29, 38
SPREADS: dict[str, Statistic] = {
    "StandardDeviation": lambda c, where: c.std(how="pop", where=where),
    "Variance": lambda c, where: c.var(how="pop", where=where),
}


@measures(*STATISTICS)
def statistic(subject: Subject) -> Measure:
    """A statistic of the values that are not NULL."""
    (name,) = subject.rule.names
    column = numeric(subject, name)
    kind = column.type()
    if kind.is_decimal() and (kind.precision or WIDEST) > EXACT:
        column = column.cast(dt.float64)  # their sum need not fit into a decimal
    if subject.engine.connection.name != "duckdb" and kind.is_integer():
        column = column.cast(dt.float64)  # Spark's sums of integers wrap around without a word
    aggregate = STATISTICS[subject.rule.type](column, subject.kept)
    metric = f"Column.{name}.{subject.rule.type}"
    return Measure(lambda row: _judged(subject, metric, row["value"]), {"value": aggregate})


@measures(*SPREADS)
def spread(subject: Subject) -> Measure:
    """A statistic that engines refuse, each in its way, when a value is not finite."""
    (name,) = subject.rule.names
    column = numeric(subject, name)
    odd = _odd(column)
    where = _both(subject.kept, None if odd is None else ~odd)
    scan = {"value": SPREADS[subject.rule.type](column, where)}
    return _guarded(subject, f"Column.{name}.{subject.rule.type}", scan, odd)


@measures("ColumnCorrelation")
def correlation(subject: Subject) -> Measure:
    """Pearson's coefficient of the rows in which both columns have a value."""
    left, right = subject.rule.names
    first, second = (numeric(subject, name).cast(dt.float64) for name in (left, right))
    odd = _any(_odd(first), _odd(second))
    where = _both(subject.kept, None if odd is None else ~odd)
    scan = {"value": first.corr(second, how="pop", where=where)}
    return _guarded(subject, f"Multicolumn.{left},{right}.ColumnCorrelation", scan, odd)


def _odd(column: ir.NumericValue) -> ir.BooleanValue | None:
    """Whether a value is NaN or infinite, for types that have such values."""
    if not column.type().is_floating():
        return None
    return (column.isnan() | column.isinf()).fill_null(False)


def _any(left: ir.BooleanValue | None, right: ir.BooleanValue | None) -> ir.BooleanValue | None:
    return right if left is None else left if right is None else left | right


def _both(left: ir.BooleanValue | None, right: ir.BooleanValue | None) -> ir.BooleanValue | None:
    return right if left is None else left if right is None else left & right


def _guarded(
    subject: Subject, metric: str, scan: Mapping[str, ir.Scalar], odd: ir.BooleanValue | None
) -> Measure:
    """A measure that is undefined as soon as one value is odd."""
    counted = {} if odd is None else {"odd": subject.count(odd)}

    def decide(row: Row) -> Finding:
        return _judged(subject, metric, math.nan if counted and row["odd"] else row["value"])

    return Measure(decide, {**scan, **counted})


def _judged(subject: Subject, metric: str, value: Any) -> Finding:
    if value is not None and math.isnan(value):
        return Finding(False, {}, f"{metric} is undefined: a value is NaN or infinite")
    return judge(subject, metric, number(value))


@measures("Entropy")
def entropy(subject: Subject) -> Measure:
    """Shannon's entropy of the values that are not NULL, in nats."""
    (name,) = subject.rule.names
    column = subject.column(name)
    where = None if subject.kept is None else subject.kept.get_name()
    rows = subject.selected.filter(present(column))
    keyed = rows.select(*subject.engine.group_columns, __key=column)
    metric = f"Column.{name}.Entropy"
    query = Query(("entropy", name, where), partial(_information, keyed))
    return Measure(lambda row: judge(subject, metric, _entropy(row)), queries=(query,))


def _information(keyed: ir.Table, engine: Engine) -> Mapping[Group, Row]:
    counted = keyed.aggregate(occurs=keyed.count(), by=[*engine.group_columns, "__key"])
    occurs = counted.occurs.cast(dt.float64)
    weighted = occurs * ibis.ifelse(occurs > 1.0, occurs, 1.0).ln()
    wanted = {"values": occurs.sum(), "weighted": weighted.sum(), "kinds": counted.count()}
    return engine.rows(engine.grouped(counted, wanted))


def _entropy(row: Row) -> float:
    """``-Σ p ln p`` with ``p = n / N`` is ``ln N - Σ n ln n / N``."""
    if not row["values"]:
        return math.nan
    if row["kinds"] == 1:  # exactly, however an engine rounds its logarithms
        return 0.0
    return max(0.0, math.log(number(row["values"])) - number(row["weighted"]) / number(row["values"]))
