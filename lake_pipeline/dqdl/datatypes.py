"""Whether a value can be cast to a type of ColumnDataType.

Text is judged as Spark casts it (``"11.5"`` is an Integer, because Spark drops the fraction). A typed column
is judged by whether the cast would lose anything, mostly from the schema alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from lake_pipeline.dqdl.subject import RuleError, is_text, present
from lake_pipeline.errors import did_you_mean

Test = Callable[[ir.Value], ir.BooleanValue]
DECIMAL = re.compile(r"DECIMAL\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
BOOLEANS = ("t", "true", "y", "yes", "1", "f", "false", "n", "no", "0")
WHOLE = r"^\s*([+-]?[0-9]+)(\.[0-9]*)?\s*$"
DAY = r"^\s*([0-9]{4}-[0-9]{1,2}-[0-9]{1,2})([ T].*)?\s*$"
YEAR = r"^\s*[0-9]{4}(-(0?[1-9]|1[0-2]))?\s*$"
INTEGERS = {"INTEGER": dt.int32, "LONG": dt.int64}


def _all(value: ir.Value) -> ir.BooleanValue:
    return present(value)


def _none(value: ir.Value) -> ir.BooleanValue:
    return ibis.literal(False) & present(value)


def _whole_text(kind: dt.DataType) -> Test:
    def test(value: ir.Value) -> ir.BooleanValue:
        return value.re_extract(WHOLE, 1).replace("+", "").try_cast(kind).notnull()

    return test


def _date_text(value: ir.Value) -> ir.BooleanValue:
    return value.re_extract(DAY, 1).try_cast(dt.date).notnull() | value.re_search(YEAR)


def _timestamp_text(value: ir.Value) -> ir.BooleanValue:
    return (value.try_cast(dt.timestamp).notnull() & value.contains("-")) | value.re_search(YEAR)


TEXT: dict[str, Test] = {
    "BOOLEAN": lambda v: v.strip().lower().isin(BOOLEANS),
    "DATE": _date_text,
    "TIMESTAMP": _timestamp_text,
    "INTEGER": _whole_text(dt.int32),
    "LONG": _whole_text(dt.int64),
    "FLOAT": lambda v: present(v.try_cast(dt.float64)),
    "DOUBLE": lambda v: present(v.try_cast(dt.float64)),
    "INTEGRAL": lambda v: v.re_search(r"^\s*[+-]?[0-9]+\s*$"),
    "FRACTIONAL": lambda v: present(v.try_cast(dt.float64)),
}


def _small(value: ir.Value) -> ir.BooleanValue:
    return value.between(-(2**31), 2**31 - 1)


def _whole(value: ir.Value) -> ir.BooleanValue:
    return (value == value.floor()) & (value.abs() < float(2**63))


def _bit(value: ir.Value) -> ir.BooleanValue:
    return value.isin([0, 1])


_FRACTION: dict[str, Test] = {
    "BOOLEAN": _bit,
    "INTEGER": lambda v: _whole(v) & _small(v),
    "LONG": _whole,
    "INTEGRAL": _whole,
    "FLOAT": _all,
    "DOUBLE": _all,
    "FRACTIONAL": _all,
}
_NUMBERS = dict.fromkeys(("INTEGER", "LONG", "INTEGRAL", "FLOAT", "DOUBLE", "FRACTIONAL"), _all)

# What a typed column holds of each type; what is not listed is nothing.
TYPED: tuple[tuple[Callable[[dt.DataType], bool], dict[str, Test]], ...] = (
    (lambda t: t.is_boolean(), {"BOOLEAN": _all, **_NUMBERS}),
    (
        lambda t: t.is_int64() or t.is_uint32() or t.is_uint64(),
        {**_NUMBERS, "BOOLEAN": _bit, "INTEGER": _small},
    ),
    (lambda t: t.is_integer(), {**_NUMBERS, "BOOLEAN": _bit}),
    (lambda t: t.is_floating() or t.is_decimal(), _FRACTION),
    (lambda t: t.is_date() or t.is_timestamp(), {"DATE": _all, "TIMESTAMP": _all}),
)


def castable(value: ir.Value, type_name: str, pattern: str | None = None) -> ir.BooleanValue:
    """Whether a value can be cast to the type (its name in any case); ``pattern``: the format of dates."""
    wanted = type_name.strip().upper()
    decimal = DECIMAL.fullmatch(wanted)
    if decimal is not None:
        return _decimal(value, int(decimal[1]), int(decimal[2] or 0))
    if wanted not in TEXT:
        raise RuleError(f'Unrecognized data type "{type_name}".{did_you_mean(wanted, TEXT)}')
    if is_text(value):
        if pattern is not None and wanted in ("DATE", "TIMESTAMP"):
            return _formatted(value, pattern)
        return TEXT[wanted](value)
    tests = next((tests for fits, tests in TYPED if fits(value.type())), {})
    return tests.get(wanted, _none)(value)


def _decimal(value: ir.Value, precision: int, scale: int) -> ir.BooleanValue:
    if not 0 <= scale <= precision <= 38 or precision == 0:
        raise RuleError(f"Unrecognized data type DECIMAL({precision},{scale}): it has at most 38 digits")
    kind = value.type()
    if is_text(value):
        return value.strip().try_cast(dt.Decimal(precision, scale)).notnull()
    if kind.is_decimal() and _fits(kind, precision, scale):
        return _all(value)
    if kind.is_numeric() and not kind.is_boolean():
        return value.try_cast(dt.Decimal(precision, scale)).notnull()
    return _none(value)


def _fits(kind: dt.DataType, precision: int, scale: int) -> bool:
    """Whether every value of a decimal type has few enough digits before the point."""
    digits, places = getattr(kind, "precision", None), getattr(kind, "scale", None)
    return (
        digits is not None and places is not None and digits - places < precision - scale + (places <= scale)
    )


# Letters of Java's date patterns: what they match, and where the match goes in an ISO timestamp.
LETTERS = {
    "yyyy": ("[0-9]{4}", "year"),
    "MM": ("[0-9]{2}", "month"),
    "M": ("[0-9]{1,2}", "month"),
    "dd": ("[0-9]{2}", "day"),
    "d": ("[0-9]{1,2}", "day"),
    "HH": ("[0-9]{2}", "hour"),
    "H": ("[0-9]{1,2}", "hour"),
    "mm": ("[0-9]{2}", "minute"),
    "ss": ("[0-9]{2}", "second"),
    "SSS": ("[0-9]{3}", "millisecond"),
}
DEFAULTS = {"year": "1970", "month": "01", "day": "01", "hour": "00", "minute": "00", "second": "00"}


PATTERN = re.compile(r"'(?P<literal>[^']*)'|(?P<letters>([A-Za-z])\3*)|(?P<other>.)", re.DOTALL)


def _formatted(value: ir.Value, pattern: str) -> ir.BooleanValue:
    """Whether the text has the form of a Java date pattern and names a moment that exists."""
    regex, places = _form(pattern)
    parts = {
        part: value.re_extract(regex, places[part]) if part in places else ibis.literal(default)
        for part, default in DEFAULTS.items()
    }
    day = parts["year"] + "-" + parts["month"] + "-" + parts["day"]
    moment = day + " " + parts["hour"] + ":" + parts["minute"] + ":" + parts["second"]
    return moment.try_cast(dt.timestamp).notnull()


def _form(pattern: str) -> tuple[str, dict[str, int]]:
    """The regular expression of a Java date pattern, and which group is which part of the moment."""
    regex = ""
    places: dict[str, int] = {}
    for match in PATTERN.finditer(pattern):
        letters = match["letters"]
        if letters is None:
            regex += re.escape(match["literal"] or match["other"] or "'")
            continue
        if letters not in LETTERS or LETTERS[letters][1] in places:
            raise RuleError(f'format "{pattern}": {letters} is not supported; use {", ".join(LETTERS)}')
        regex += f"({LETTERS[letters][0]})"
        places[LETTERS[letters][1]] = len(places) + 1
    return f"^{regex}$", places
