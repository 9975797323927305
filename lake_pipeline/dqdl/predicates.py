"""Conditions on the values of a column, as boolean Ibis expressions (NULL where the value is NULL)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from lake_pipeline.dqdl import nodes
from lake_pipeline.dqdl.conditions import day_of, worth
from lake_pipeline.dqdl.rules import DATE, NUMBER, STRING
from lake_pipeline.dqdl.subject import RuleError, Subject, is_text, present

INT64 = range(-(2**63), 2**63)
DIGITS = 38  # of the widest decimal
# Digits before and after the point of a decimal that can be compared with any double and 64-bit integer.
BEFORE, AFTER = 20, 17
MEMBERSHIP = frozenset(("=", "!=", "in", "not in"))
NEGATIVE = frozenset(("!=", "not in"))
COMPARISONS: dict[str, Callable[..., ir.BooleanValue]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "between": lambda v, a, b: (v > a) & (v < b),
    "not between": lambda v, a, b: (v <= a) | (v >= b),
    "in": lambda v, *listed: v.isin(listed),
    "not in": lambda v, *listed: v.notin(listed),
}


def compare(value: ir.Value, op: str, operands: Sequence[Any]) -> ir.BooleanValue:
    """A value compared with operands of its own type; ``between`` is exclusive."""
    return COMPARISONS[op](value, *operands)


def values_predicate(subject: Subject, column: ir.Value, name: str) -> ir.BooleanValue:
    """Whether a value meets the rule's condition; true or not true (false, NULL) for a NULL value."""
    condition = cast(nodes.Condition, subject.rule.condition)
    found = KINDS[condition.kind](subject, condition, column, name)
    return found | ~present(column) if null_passes(condition) else found


def null_passes(condition: nodes.Condition) -> bool:
    """NULL fails everything but ``!=`` and ``not in``, unless NULL is an operand itself.

    A date's ``not between`` passes it too, a number's does not.
    """
    if "NULL" in condition.specials:
        return condition.op not in NEGATIVE
    return condition.op in NEGATIVE or (condition.kind == DATE and condition.op == "not between")


def _plain(condition: nodes.Condition) -> list[nodes.Operand]:
    return [o for o in condition.operands if not isinstance(o, nodes.Special)]


def _only_null(condition: nodes.Condition, column: ir.Value) -> ir.BooleanValue:
    """``= NULL`` and the like: what is left of the condition for values that are not NULL."""
    return present(column) if condition.op in NEGATIVE else ~present(column)


def _strings(subject: Subject, condition: nodes.Condition, column: ir.Value, name: str) -> ir.BooleanValue:
    value = _as_text(column, name)
    if condition.op.endswith("matches"):
        return _matches(value, condition)
    fold = (subject.rule.tag("ignoreCase") or "").lower() == "true"
    texts = [_text(o, condition.op) for o in condition.operands if isinstance(o, nodes.Text)]
    folded = value.lower() if fold else value
    tests: list[ir.BooleanValue] = []
    if texts:
        tests.append(folded.isin([t.lower() for t in texts] if fold else texts))
    if "EMPTY" in condition.specials:
        tests.append(value == "")
    if "WHITESPACES_ONLY" in condition.specials:
        tests.append((value.strip() == "") & (value != ""))
    met = tests[0]
    for test in tests[1:]:
        met = met | test
    return ~met if condition.op in NEGATIVE else met


def _matches(value: ir.StringValue, condition: nodes.Condition) -> ir.BooleanValue:
    """Like Spark's ``regexp_extract(value, '^pattern$') != ''``: an empty value never matches."""
    pattern = cast(nodes.Text, condition.operands[0]).raw
    extracted = value.re_extract(f"^{pattern}$", 0)
    return extracted == "" if condition.op.startswith("not") else extracted != ""


def _as_text(column: ir.Value, name: str) -> ir.StringValue:
    if is_text(column):
        return cast(ir.StringValue, column)
    if column.type().is_nested() or column.type().is_binary():
        raise RuleError(f'Column "{name}" is {column.type()}, which is not comparable with strings')
    return cast(ir.StringValue, column.cast(dt.string))


def _text(operand: nodes.Text, op: str) -> str:
    return operand.listed if op.endswith("in") else operand.literal


def _numbers(subject: Subject, condition: nodes.Condition, column: ir.Value, name: str) -> ir.BooleanValue:
    plain = _plain(condition)
    if not plain:
        return _only_null(condition, column)
    history = subject.history_of(f"Column.{name}.ColumnValues.Compliance")
    number = _as_number(column, condition.op, name)
    operands = [_number(o, history, number.type()) for o in plain]
    return compare(_as_double_if_wide(number, operands), condition.op, operands)


def _as_number(column: ir.Value, op: str, name: str) -> ir.Value:
    if column.type().is_numeric():
        return column
    if is_text(column) and op in MEMBERSHIP:
        return column.try_cast(dt.float64)
    raise RuleError(f'Column "{name}" is {column.type()}, which does not compare ({op}) with numbers')


def _as_double_if_wide(number: ir.Value, operands: Sequence[Any]) -> ir.Value:
    """A decimal that no decimal type can hold together with the operands, as a double: engines would lose it."""
    kind = number.type()
    if not isinstance(kind, dt.Decimal) or (
        kind.scale == 0 and not any(isinstance(o, float) for o in operands)
    ):
        return number
    scale = DIGITS if kind.scale is None else kind.scale
    before = DIGITS if kind.precision is None else kind.precision - scale
    return number.cast(dt.float64) if before > BEFORE or scale > AFTER else number


def _number(operand: nodes.Operand, history: Sequence[float], kind: dt.DataType) -> Any:
    """The number, exactly where it is written as an integer and compared with integers or decimals of no fraction."""
    if isinstance(operand, nodes.Number) and "." not in operand.text and len(operand.text) <= DIGITS:
        whole = int(operand.text)
        if whole in INT64:
            return whole
        if isinstance(kind, dt.Decimal) and kind.scale == 0:
            return ibis.literal(Decimal(whole), dt.Decimal(DIGITS, 0))
    return worth(operand, history)


def _dates(subject: Subject, condition: nodes.Condition, column: ir.Value, name: str) -> ir.BooleanValue:
    zone = subject.rule.tag("timeZone")
    days = [ibis.literal(day_of(o, subject.now, zone), type=dt.date) for o in _plain(condition)]
    return compare(_as_day(column, name), condition.op, days)


def _as_day(column: ir.Value, name: str) -> ir.Value:
    kind = column.type()
    if kind.is_date():
        return column
    if kind.is_timestamp():
        return cast(ir.TimestampValue, column).date()
    if is_text(column):
        return ibis.coalesce(column.try_cast(dt.date), column.try_cast(dt.timestamp).date())
    raise RuleError(f'Column "{name}" is {kind}, which does not compare with dates')


KINDS: dict[str, Callable[[Subject, nodes.Condition, ir.Value, str], ir.BooleanValue]] = {
    STRING: _strings,
    NUMBER: _numbers,
    DATE: _dates,
}
