"""The algebra of conditions: what an operand is worth, and whether a metric meets a condition."""

from __future__ import annotations

import math
import operator
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lake_pipeline.dqdl import nodes
from lake_pipeline.dqdl.subject import RuleError
from lake_pipeline.errors import did_you_mean

MAX_LAST = 100_000
Value = float | list[float]
Function = Callable[[Sequence[Value]], Value]


def same(a: float, b: float) -> bool:
    """Equality of doubles as in Java: no epsilon, and -0.0 differs from 0.0."""
    return a == b and math.copysign(1.0, a) == math.copysign(1.0, b)


TESTS: dict[str, Callable[..., bool]] = {
    "=": same,
    "!=": lambda v, a: not same(v, a),
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "between": lambda v, a, b: a < v < b,
    "not between": lambda v, a, b: v <= a or v >= b,
    "in": lambda v, *listed: any(same(v, x) for x in listed),
    "not in": lambda v, *listed: not any(same(v, x) for x in listed),
}
ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def _flat(args: Sequence[Value]) -> Iterator[float]:
    for arg in args:
        yield from arg if isinstance(arg, list) else (arg,)


def _reducing(reduce: Callable[[list[float]], float]) -> Function:
    """A function of a list; of an empty one, 0.0."""

    def call(args: Sequence[Value]) -> Value:
        values = list(_flat(args))
        return reduce(values) if values else 0.0

    return call


def _abs(args: Sequence[Value]) -> Value:
    (arg,) = args
    return [abs(x) for x in arg] if isinstance(arg, list) else abs(arg)


def _percentile(args: Sequence[Value]) -> Value:
    """The value below which ``p`` percent of a list lie, interpolated between neighbours."""
    listed, share = args
    if not isinstance(listed, list) or isinstance(share, list) or not 0 <= share <= 100:
        raise ValueError
    ordered, place = sorted(listed), share / 100 * (len(listed) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _index(args: Sequence[Value]) -> Value:
    listed, at = args
    if not isinstance(listed, list) or isinstance(at, list):
        raise TypeError
    return listed[int(at)] if 0 <= at < len(listed) else 0.0


FUNCTIONS: dict[str, Function] = {
    "avg": _reducing(statistics.fmean),
    "average": _reducing(statistics.fmean),
    "median": _reducing(statistics.median),
    "max": _reducing(max),
    "min": _reducing(min),
    "sum": _reducing(math.fsum),
    "std": _reducing(statistics.pstdev),
    "abs": _abs,
    "index": _index,
    "percentile": _percentile,
}

# How those are written that take something else than a list.
FORMS = {"abs": "abs(last())", "index": "index(last(3), 0)", "percentile": "percentile(last(9), 90)"}


def meets(
    condition: nodes.Condition,
    value: float,
    history: Sequence[float] = (),
    functions: Mapping[str, Function] = FUNCTIONS,
) -> bool:
    """Whether a metric meets a numeric condition. ``history``: earlier values, the newest first."""
    test = TESTS.get(condition.op)
    if test is None:
        raise RuleError(f"a metric cannot be compared by {condition.op}")
    return test(value, *(worth(o, history, functions) for o in condition.operands))


def worth(
    operand: nodes.Operand,
    history: Sequence[float] = (),
    functions: Mapping[str, Function] = FUNCTIONS,
) -> float:
    """The number that an operand stands for."""
    value = _value(operand, history, functions)
    if isinstance(value, list):
        raise RuleError(f"{operand} is a list; reduce it, for instance avg({operand})")
    return value


def _value(operand: nodes.Operand, history: Sequence[float], functions: Mapping[str, Function]) -> Value:
    if isinstance(operand, nodes.Number):
        return float(operand.text)
    if isinstance(operand, nodes.Parenthesis):
        return _value(operand.inner, history, functions)
    if isinstance(operand, nodes.Arithmetic):
        total = worth(operand.first, history, functions)
        for op, right in operand.rest:
            total = _calculate(op, total, worth(right, history, functions))
        return total
    if isinstance(operand, nodes.Call):
        return _call(operand, history, functions)
    raise RuleError(f"{operand} is not a number")


def _calculate(op: str, left: float, right: float) -> float:
    try:
        return ARITHMETIC[op](left, right)
    except ZeroDivisionError as error:
        raise RuleError(f"division by zero: {left!r} / {right!r}") from error


def _call(call: nodes.Call, history: Sequence[float], functions: Mapping[str, Function]) -> Value:
    args = [_value(arg, history, functions) for arg in call.args]
    if call.name == "last":
        return _last(args, history)
    if call.name not in functions:
        raise RuleError(f"unknown function {call.name}.{did_you_mean(call.name, [*functions, 'last'])}")
    try:
        return functions[call.name](args)
    except (ValueError, TypeError) as error:
        form = FORMS.get(call.name, f"{call.name}(last(3))")
        raise RuleError(f"{call} cannot be calculated; it is written as in {form}") from error


def _last(args: Sequence[Value], history: Sequence[float]) -> Value:
    """``last()`` is the newest earlier value (0.0 without one), ``last(k)`` the newest k as a list."""
    if not args:
        return float(history[0]) if history else 0.0
    count = args[0]
    if len(args) > 1 or isinstance(count, list) or count not in range(1, MAX_LAST + 1):
        raise RuleError(f"last(k) takes a whole number from 1 to {MAX_LAST}")
    return [float(v) for v in history[: int(count)]] or [0.0]


def is_literal(condition: nodes.Condition) -> bool:
    """Whether the condition's operands are numbers as written, without functions or calculations."""
    return all(isinstance(o, nodes.Number) for o in condition.operands)


def day_of(operand: nodes.Operand, now: datetime, zone: str | None = None) -> date:
    """The day that a date operand stands for, in UTC."""
    return instant_of(operand, now, zone).date()


def instant_of(operand: nodes.Operand, now: datetime, zone: str | None = None) -> datetime:
    """The moment that a date operand stands for, in UTC; a time of day is today's in ``zone``."""
    if isinstance(operand, nodes.Day):
        return datetime.combine(_calendar_day(operand.text), time(), UTC)
    if isinstance(operand, nodes.Now):
        shift = timedelta(**{operand.unit: operand.amount}) if operand.unit else timedelta()
        moment = now.astimezone(UTC).replace(microsecond=0)
        return moment - shift if operand.sign == "-" else moment + shift
    if isinstance(operand, nodes.Clock):
        local = now.astimezone(_zone(zone or "UTC"))
        return datetime.combine(local.date(), _clock(operand.text), local.tzinfo).astimezone(UTC)
    raise RuleError(f"{operand} is not a date")


def _calendar_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise RuleError(f'"{text}" is no day of the calendar') from error


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise RuleError(f'unknown time zone "{name}"') from error


def _clock(text: str) -> time:
    match = re.fullmatch(r"(\d+):(\d+)(?: (AM|PM))?", text)
    if match is None:
        raise RuleError(f'"{text}" is no time of day')
    hour, minute, half = int(match[1]), int(match[2]), match[3]
    return time(hour % 12 + (12 if half == "PM" else 0) if half else hour, minute)
