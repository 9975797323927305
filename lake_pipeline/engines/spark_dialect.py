"""What Spark calls the functions that engines name differently.

The session's time zone is UTC, so Spark's TIMESTAMP holds instants and local times alike.
"""

from __future__ import annotations

from collections.abc import Callable

import ibis
import ibis.expr.datatypes as dt
from ibis.backends.sql.datatypes import PySparkType

from lake_pipeline.contracts.formats import parts as format_parts
from lake_pipeline.engines.builtins import builtin
from lake_pipeline.engines.casts import LARGEST, Expr

INSTANT, LOCAL = dt.Timestamp("UTC", 6), dt.Timestamp(None, 6)
TEXTS = dt.Map(dt.string, dt.string)
STRICT_JSON = ("mode", "PERMISSIVE", "allowSingleQuotes", "false")
LONG_NUMBER = "[0-9.]{17}"  # what a double may not hold
STRING_OR_NUMBER = r'("(?:[^"\\]|\\.)*+")|(-?[0-9][0-9.eE+-]{16,})'
OPEN, CLOSE = "\x01", "\x02"  # no JSON has them
NUMBER = "\ue0f1\ue0f2"  # marks of numbers within JSON, from a plane that texts do not use
DOUBLE_DIGITS = 15
FOLDS = (60, 30, 120)  # minutes by which clocks go back


class SparkDialect:
    """The functions that Spark names in its own way."""

    def instant(self, local: Expr, zone: str) -> Expr:
        """``to_utc_timestamp``, which takes the earlier instant of a fold."""
        if zone == "UTC":  # there are no folds, and each of those below costs every row something
            return local.cast(INSTANT)
        early = builtin("to_utc_timestamp", (LOCAL, dt.string), INSTANT)(local, zone)
        later = [early + ibis.interval(minutes=m) for m in FOLDS]
        return ibis.cases(*((self.local(t, zone) == local, t) for t in later), else_=early)

    def local(self, instant: Expr, zone: str) -> Expr:
        """``from_utc_timestamp``."""
        if zone == "UTC":
            return instant.cast(LOCAL)
        return builtin("from_utc_timestamp", (INSTANT, dt.string), LOCAL)(instant, zone)

    def parse(self, text: Expr, pattern: str) -> Expr:
        """``try_to_timestamp``; its patterns are the JDK's."""
        made = INSTANT if "offset" in format_parts(pattern) else LOCAL
        return builtin("try_to_timestamp", (dt.string, dt.string), made)(text, pattern)

    def from_json(self, text: Expr, shape: dt.DataType) -> Expr:
        """``from_json`` of an array of the text: alone, Spark stops reading where a value ends."""
        array = dt.Array(shape)
        options = builtin("MAP", (dt.string,) * len(STRICT_JSON), TEXTS)(*STRICT_JSON)
        parse = builtin("from_json", (dt.string, dt.string, TEXTS), array)
        read = parse(
            "[" + text.re_search(LONG_NUMBER).ifelse(exact_numbers(text), text) + "]",
            PySparkType.to_string(array),
            options,
        )
        return (read.length() == 1).ifelse(read[0], ibis.null(shape))

    def to_json(self, value: Expr) -> Expr:
        """``to_json``, with numbers and times as DuckDB writes them; the session keeps null fields."""
        plain = _jsonable(value, value.type())
        text = builtin("to_json", (plain.type(),), dt.string)(plain)
        if not _has(value.type(), _as_double):
            return text
        return text.replace(f'"{NUMBER}', "").replace(f'{NUMBER}"', "")

    def moment(self, text: Expr) -> Expr:
        """``try_cast``; without a ``Z``, for which Spark compiles two patterns with each text."""
        return text.replace("Z", "").try_cast(INSTANT)

    def apart(self, table: Expr) -> Expr:
        """A subquery of its own: Spark computes once what is written once."""
        return table.view()

    def text(self, value: Expr) -> Expr:
        """``CAST(… AS STRING)``, with numbers and times as DuckDB writes them."""
        if value.type().is_floating():
            text = _number_text(value, 1e-4, 1e16, "e+", "e-0", "e-")
            return text.replace("Infinity", "inf").replace("NaN", "nan")
        return _time_text(value) if value.type().is_timestamp() else value.cast("string")


def _has(type_: dt.DataType, what: Callable[[dt.DataType], bool]) -> bool:
    """Whether a type, or one within it, is such a one."""
    if isinstance(type_, dt.Struct):
        return any(_has(field, what) for field in type_.types)
    return _has(type_.value_type, what) if isinstance(type_, dt.Array) else what(type_)


def _as_double(type_: dt.DataType) -> bool:
    """Whether DuckDB writes such numbers into JSON as doubles; it does so with decimals that fit into one."""
    return type_.is_floating() or (isinstance(type_, dt.Decimal) and (type_.precision or 38) <= DOUBLE_DIGITS)


def _jsonable(value: Expr, type_: dt.DataType) -> Expr:
    """A value in which numbers and times are texts; those of numbers are marked, for their quotes to go."""
    if type_.is_timestamp():
        return _time_text(value)
    if _as_double(type_):
        return NUMBER + _number_text(value.cast("float64"), 1e-6, 1e21, "e", "e-", "e-") + NUMBER
    if not _has(type_, lambda t: t.is_timestamp() or _as_double(t)):
        return value
    if isinstance(type_, dt.Array):
        return value.map(lambda item: _jsonable(item, type_.value_type))
    made = ibis.struct({name: _jsonable(value[name], field) for name, field in type_.items()})
    return value.isnull().ifelse(ibis.null(made.type()), made)


def _time_text(value: Expr) -> Expr:
    """``2026-03-01 05:00:00.5``, with an offset where it is an instant."""
    return value.cast("string") + ("+00" if value.type().timezone else "")


def _number_text(value: Expr, least: float, most: float, *exponents: str) -> Expr:
    """A double in plain digits from `least` to `most`, else with an exponent; exponents: +, of one digit and -, -."""
    replace = builtin("regexp_replace", (dt.string, dt.string, dt.string), dt.string)
    size, java = value.abs(), value.cast("string")  # 1.5E7
    plain = (size >= 1).ifelse(*(java.cast(dt.Decimal(38, scale)).cast("string") for scale in (17, 25)))
    plain = replace(replace(plain, "0+$", ""), "[.]$", ".0")
    positive, one_digit, negative = exponents
    short = replace(java, "[.]0E", "E")
    short = replace(short, "E-([0-9])$", f"{one_digit}$1")
    short = short.replace("E-", negative).replace("E", positive)
    return ibis.cases(
        (value.isnan() | (size > LARGEST) | (value == 0), java),
        ((size >= least) & (size < most), plain),
        else_=short,
    )


def exact_numbers(text: Expr) -> Expr:
    """JSON text with its long numbers in quotes, so that Spark does not read them as doubles."""
    replace = builtin("regexp_replace", (dt.string, dt.string, dt.string), dt.string)
    marked = replace(text, STRING_OR_NUMBER, f"$1{OPEN}$2{CLOSE}")
    return marked.replace(OPEN + CLOSE, "").replace(OPEN, '"').replace(CLOSE, '"')
