"""AggregateMatch: an aggregate of the table against one of another table, or of the same."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from lake_pipeline.dqdl.measure import Measure, Query, Row, judge, measures, number
from lake_pipeline.dqdl.sql import PRIMARY
from lake_pipeline.dqdl.subject import Engine, Group, RuleError, Subject, resolve
from lake_pipeline.errors import did_you_mean

OPERATION = re.compile(r"\s*(?P<function>\w+)\s*\(\s*(?P<column>.+?)\s*\)\s*", re.DOTALL)
FUNCTIONS: dict[str, Callable[[ir.NumericValue], ir.Scalar]] = {
    "sum": lambda column: column.cast(dt.float64).sum(),
    "avg": lambda column: column.cast(dt.float64).mean(),
}


@dataclass(frozen=True)
class Operation:
    """An aggregate of a column, of the table (``source`` None) or of another."""

    function: str
    source: str | None
    column: str
    value: ir.Scalar


@measures("AggregateMatch")
def aggregate_match(subject: Subject) -> Measure:
    """The first aggregate, of the second; 0/0 is 1 and x/0 is 0."""
    first, second = (_operation(subject, text) for text in subject.rule.names)
    columns = dict.fromkeys((first.column, second.column))
    metric = f"Column.{','.join(columns)}.AggregateMatch"
    sides = {"first": first, "second": second}
    scan = {side: operation.value for side, operation in sides.items() if operation.source is None}
    queries = [
        Query(("aggregate", side, o.function, o.source, o.column), partial(_other, side, o))
        for side, o in sides.items()
        if o.source is not None
    ]
    return Measure(
        lambda row: judge(subject, metric, _quotient(number(row["first"]), number(row["second"]))),
        scan,
        tuple(queries),
    )


def _other(side: str, operation: Operation, engine: Engine) -> Mapping[Group, Row]:
    return engine.same(operation.value.name(side).as_table())


def _quotient(first: float, second: float) -> float:
    if math.isnan(first) or second != 0:
        return first / second if second else first
    return 1.0 if first == 0 else 0.0


def _operation(subject: Subject, text: str) -> Operation:
    match = OPERATION.fullmatch(text)
    if match is None:
        raise RuleError(f'"{text}" is not of the form "sum(column)" or "avg(source.column)"')
    function = match["function"].lower()
    if function not in FUNCTIONS:
        hint = did_you_mean(function, FUNCTIONS)
        raise RuleError(f"AggregateMatch knows {', '.join(FUNCTIONS)}, not {match['function']}.{hint}")
    source, name, column = _column(subject, match["column"])
    if not isinstance(column, ir.NumericValue) or isinstance(column, ir.BooleanValue):
        raise RuleError(f'Column "{match["column"]}" is {column.type()}; AggregateMatch needs numbers')
    return Operation(function, source, name, FUNCTIONS[function](column))


def _column(subject: Subject, text: str) -> tuple[str | None, str, ir.Value]:
    """The source (None: the table), the name and the column of ``column`` or ``source.column``."""
    head, dot, rest = text.partition(".")
    mine = {head.strip("`"), text.strip("`")} & set(subject.columns)
    if dot and head in subject.sources:
        return head, rest, resolve(subject.sources[head], rest)
    if dot and head == PRIMARY and not mine:
        return None, rest, subject.column(rest)
    if dot and not mine:
        subject.source(head)  # says that there is none
    return None, text, subject.column(text)
