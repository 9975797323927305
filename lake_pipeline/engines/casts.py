"""Casts: which texts a type accepts, decided here and by no engine.

For every type there is a *canonical* form, and for most a *coercible* one, whose original text is kept
in ``_rescued`` (drift policy ``types: coerce``) or rejected (``strict``):

=========  ============================================  ===================================================
type       canonical                                     coercible
=========  ============================================  ===================================================
string     any text                                      ·
integer    ``-12``, ``+12``, ``007``; 64 bits            white space around it; ``517.0``
number     ``1.5``, ``.5``, ``1e5``; finite              white space around it
decimal    ``12.50``, at most *s* digits after the point white space around it; more digits: rounded half up
boolean    ``true``, ``false``                           white space, any case, ``t f yes no y n 1 0``
date       ``2026-02-25``, or the contract's format      white space around it; a timestamp at midnight
timestamp  ISO 8601 with seconds, up to 6 decimals, an   white space around it; without seconds; a date
           offset or none; or the contract's format
object     a JSON object whose fields cast               ·
array      a JSON array whose items cast                 ·
=========  ============================================  ===================================================

Everything else fails: ``1_000``, ``1,000``, ``0x1F``, ``NaN``, ``Infinity``, ``2026-02-30``, an empty text.

A JSON number keeps its value in a string column, and, where it has fewer than 17 digits, not its text: ``1.10`` is read
as ``1.1``, and ``1e5`` as ``100000.0``. Where the text matters, as in a version or an account number, have it sent as a
JSON string. Whole numbers, and numbers of 17 digits and more, stay as they are written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

import ibis
import ibis.expr.datatypes as dt

from lake_pipeline.contracts import (
    Array,
    Boolean,
    Date,
    Decimal,
    Integer,
    Number,
    Object,
    String,
    Timestamp,
    Type,
)
from lake_pipeline.contracts.drift import CARRIERS
from lake_pipeline.contracts.formats import to_regex

Expr = Any  # an Ibis value expression; Ibis has no static types for them

INTEGER = r"^[+-]?[0-9]+\z"
INTEGRAL = r"^[+-]?[0-9]+\.0*\z"
NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\z"
DECIMAL = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)\z"
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\z"
MIDNIGHT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]00:00(:00(\.0+)?)?Z?\z"
OFFSET = r"(Z|[+-]((0[0-9]|1[0-7]):?[0-5][0-9]|18:?00))"
CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
TIMESTAMP = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]{CLOCK}:[0-5][0-9](\.[0-9]{{1,6}})?{OFFSET}?\z"
SHORT_TIMESTAMP = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ]{CLOCK}{OFFSET}?)?\z"
ENDS_IN_OFFSET = rf"[0-9]{OFFSET}\z"
DATE_LENGTH = 10
LARGEST = sys.float_info.max  # NaN is greater, in every engine; Ibis knows no isinf in Spark
TRUE, FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")


class Dialect(Protocol):
    """The few functions that engines name differently."""

    def instant(self, local: Expr, zone: str) -> Expr:
        """The instant of a local timestamp in a zone; in a fold the later one, in a gap as after it."""
        ...

    def local(self, instant: Expr, zone: str) -> Expr:
        """The local timestamp of an instant in a zone."""
        ...

    def parse(self, text: Expr, pattern: str) -> Expr:
        """A local timestamp by a JDK pattern, or NULL."""
        ...

    def from_json(self, text: Expr, shape: dt.DataType) -> Expr:
        """A JSON text as a value of a shape of structs, arrays and strings; NULL where it is none."""
        ...

    def text(self, value: Expr) -> Expr:
        """A number, a time or a boolean as text, the same in every engine."""

    def to_json(self, value: Expr) -> Expr:
        """A value as JSON text."""
        ...

    def moment(self, text: Expr) -> Expr:
        """ISO text as an instant, NULL where it is none; without an offset it is UTC."""
        ...

    def apart(self, table: Expr) -> Expr:
        """The table, its columns not written into the expressions above that use them, where that costs."""
        ...


@dataclass(frozen=True)
class Cast:
    """A cast value (NULL where it failed) and whether its text was canonical (not NULL where there is text)."""

    value: Expr
    canonical: Expr


def cast(source: Expr, type_: Type, dialect: Dialect, canonical: Expr = None) -> Cast:
    """Cast a source column, text or typed (Parquet), to a contract type.

    canonical: what an earlier call said of the same source, where it has been computed meanwhile; engines
    compute an expression as often as it is written. `settled` has to be asked of the value yet.
    """
    if source.type().is_string():
        return from_text(source, type_, dialect, canonical)
    if _carries(source.type(), type_):
        value = source
        if isinstance(type_, Timestamp):
            value = dialect.instant(source, type_.timezone) if source.type().timezone is None else source
        return Cast(value.cast(type_.ibis), ibis.literal(True))
    if isinstance(type_, Object) and source.type().is_struct():
        return _nested(source, type_, dialect)
    if isinstance(type_, Array) and source.type().is_array():
        return _nested(source, type_, dialect)
    if isinstance(type_, Object | Array):
        return Cast(ibis.null(type_.ibis), ibis.literal(True))
    text = dialect.to_json(source) if source.type().is_nested() else dialect.text(source)
    return from_text(text, type_, dialect, canonical)


def settled(value: Expr, type_: Type) -> Expr:
    """A cast value that its type can hold: a number is finite."""
    if not isinstance(type_, Number):
        return value
    return value.between(-LARGEST, LARGEST).ifelse(value, ibis.null(dt.float64))


def _carries(seen: dt.DataType, type_: Type) -> bool:
    """Whether every value of the source type is one of the contract type."""
    if isinstance(type_, Decimal) and isinstance(seen, dt.Decimal):
        scale, precision = seen.scale or 0, seen.precision or 38
        return scale <= type_.scale and precision - scale <= type_.precision - type_.scale
    return isinstance(seen, CARRIERS[type(type_)]) and not isinstance(type_, Object | Array)


def from_text(text: Expr, type_: Type, dialect: Dialect, canonical: Expr = None) -> Cast:
    """Cast text. A value is canonical also where it is NULL; it is NULL also where the text fails."""
    known = canonical if canonical is not None else canonical_text(text, type_)
    return TEXT_CASTS[type(type_)](text, type_, dialect, known)


def canonical_text(text: Expr, type_: Type) -> Expr:
    """Whether a text is canonical for a scalar type; None for nested types, whose casts say it themselves."""
    if isinstance(type_, String):
        return ibis.literal(True)
    if isinstance(type_, Boolean):
        return text.isin(("true", "false"))
    if isinstance(type_, Date | Timestamp):
        own = DATE if isinstance(type_, Date) else TIMESTAMP
        return text.re_search(to_regex(type_.format) if type_.format else own)
    if isinstance(type_, Decimal) and type_.scale:
        return text.re_search(rf"^[+-]?([0-9]+(\.[0-9]{{0,{type_.scale}}})?|\.[0-9]{{1,{type_.scale}}})\z")
    if isinstance(type_, Integer | Decimal):
        return text.re_search(INTEGER)
    return text.re_search(NUMBER) if isinstance(type_, Number) else None


def _string(text: Expr, _: Type, __: Dialect, canonical: Expr) -> Cast:
    return Cast(text, canonical)


def _cases(*branches: tuple[Expr, Expr], of: dt.DataType) -> Expr:
    return ibis.cases(*branches, else_=ibis.null(of))


def _integer(text: Expr, _: Type, __: Dialect, canonical: Expr) -> Cast:
    trimmed = _trim(text)
    value = _cases(
        (canonical, text.try_cast("int64")),
        (trimmed.re_search(INTEGER), trimmed.try_cast("int64")),
        (trimmed.re_search(INTEGRAL), trimmed.re_replace(r"\.0*\z", "").try_cast("int64")),
        of=dt.int64,
    )
    return Cast(value, canonical)


def _number(text: Expr, _: Type, __: Dialect, canonical: Expr) -> Cast:
    trimmed = _trim(text)
    value = _cases(
        (canonical, text.try_cast("float64")),
        (trimmed.re_search(NUMBER), trimmed.try_cast("float64")),
        of=dt.float64,
    )
    return Cast(value, canonical)


def _decimal(text: Expr, type_: Decimal, _: Dialect, canonical: Expr) -> Cast:
    trimmed = _trim(text)
    value = _cases(
        (canonical, text.try_cast(type_.ibis)),
        (trimmed.re_search(DECIMAL), trimmed.try_cast(type_.ibis)),
        of=type_.ibis,
    )
    return Cast(value, canonical)


def _boolean(text: Expr, _: Type, __: Dialect, canonical: Expr) -> Cast:
    word = _trim(text).lower()
    value = _cases(
        (word.isin(TRUE), ibis.literal(True)), (word.isin(FALSE), ibis.literal(False)), of=dt.boolean
    )
    return Cast(value, canonical)


def _date(text: Expr, type_: Date, dialect: Dialect, canonical: Expr) -> Cast:
    trimmed = _trim(text)
    if type_.format:
        form = to_regex(type_.format)
        value = _cases(
            (canonical, dialect.parse(text, type_.format).cast("date")),
            (trimmed.re_search(form), dialect.parse(trimmed, type_.format).cast("date")),
            of=dt.date,
        )
        return Cast(value, canonical)
    value = _cases(
        (canonical, text.try_cast("date")),
        (trimmed.re_search(DATE), trimmed.try_cast("date")),
        (trimmed.re_search(MIDNIGHT), trimmed.left(10).try_cast("date")),
        of=dt.date,
    )
    return Cast(value, canonical)


def _timestamp(text: Expr, type_: Timestamp, dialect: Dialect, canonical: Expr) -> Cast:
    trimmed = _trim(text)
    if type_.format:
        value = _cases(
            (canonical, _formatted(text, type_, dialect)),
            (trimmed.re_search(to_regex(type_.format)), _formatted(trimmed, type_, dialect)),
            of=type_.ibis,
        )
        return Cast(value, canonical)
    value = _cases(
        (canonical, _instant(text, type_, dialect)),
        (trimmed.re_search(TIMESTAMP), _instant(trimmed, type_, dialect)),
        (trimmed.re_search(SHORT_TIMESTAMP), _instant(_with_seconds(trimmed), type_, dialect)),
        of=type_.ibis,
    )
    return Cast(value, canonical)


def _with_seconds(text: Expr) -> Expr:
    """A date as it is; a timestamp without seconds with them, which not every engine needs."""
    return (text.length() > DATE_LENGTH).ifelse(text.left(16) + ":00" + text.substr(16), text)


def _formatted(text: Expr, type_: Timestamp, dialect: Dialect) -> Expr:
    """Text in the contract's format as an instant."""
    moment = dialect.parse(text, str(type_.format))
    value = moment if moment.type().timezone else dialect.instant(moment, type_.timezone)
    return value.cast(type_.ibis)


def _instant(text: Expr, type_: Timestamp, dialect: Dialect) -> Expr:
    """ISO text as an instant; in UTC, text without an offset needs no other treatment."""
    absolute = dialect.moment(text)
    if type_.timezone == "UTC":
        return absolute
    local = dialect.instant(text.try_cast(dt.Timestamp(None, 6)), type_.timezone).cast(type_.ibis)
    return text.re_search(ENDS_IN_OFFSET).ifelse(absolute, local)


def _trim(text: Expr) -> Expr:
    return text.strip()


def _json(text: Expr, type_: Object | Array, dialect: Dialect, _: Expr) -> Cast:
    """Nested values arrive as JSON text: one level of it is read as texts, and each is cast in its turn."""
    shape = text_shape(type_)
    opening = "{" if isinstance(type_, Object) else "["
    fits = _trim(text).startswith(opening)
    return _nested(fits.ifelse(dialect.from_json(text, shape), ibis.null(shape)), type_, dialect)


def _nested(source: Expr, type_: Object | Array, dialect: Dialect) -> Cast:
    """A struct, field by field, or an array, item by item: NULL as a whole when one of them fails."""
    made = (
        _bound(source, lambda struct: _fields(struct, type_, dialect))
        if isinstance(type_, Object)
        else _bound(source, lambda array: _items(array, type_, dialect))
    )
    return Cast(made["value"], made["canonical"])


def _bound(value: Expr, use: Callable[[Expr], Expr]) -> Expr:
    """``use(value)``, with the value's expression written once: else nested ones would grow exponentially."""
    return ibis.array([value]).map(use)[0]


def _fields(source: Expr, type_: Object, dialect: Dialect) -> Expr:
    present = [f for f in type_.fields if f.name in source.names]
    members = ibis.struct(
        {f.name: _member(source[f.name], f.type, dialect) for f in present} or {"none": ibis.literal(True)}
    )

    def whole(made: Expr) -> Expr:
        absent = {f.name: ibis.null(f.type.ibis) for f in type_.fields}
        values = {name: made[name]["value"] if name in made.names else null for name, null in absent.items()}
        fine = reduce(lambda a, b: a & b, (made[f.name]["fine"] for f in present), ibis.literal(True))
        canonical = reduce(
            lambda a, b: a & b, (made[f.name]["canonical"] for f in present), ibis.literal(True)
        )
        struct = ibis.struct(values).cast(type_.ibis)
        value = (source.notnull() & fine).ifelse(struct, ibis.null(type_.ibis))
        return ibis.struct({"value": value, "canonical": canonical})

    return _bound(members, whole)


def _items(source: Expr, type_: Array, dialect: Dialect) -> Expr:
    members = source.map(lambda item: _member(item, type_.item, dialect))

    def whole(made: Expr) -> Expr:
        lost = made.filter(lambda member: ~member["fine"]).length()
        odd = made.filter(lambda member: ~member["canonical"]).length()
        values = made.map(lambda member: member["value"]).cast(type_.ibis)
        value = (lost == 0).ifelse(values, ibis.null(type_.ibis))
        return ibis.struct({"value": value, "canonical": odd.fill_null(0) == 0})

    return _bound(members, whole)


def _member(cell: Expr, type_: Type, dialect: Dialect) -> Expr:
    """A field or an item: its value, whether it is fine (NULL, or not lost), whether it is canonical."""

    def judged(made: Expr) -> Expr:
        fine = cell.isnull() | made["value"].notnull()
        return ibis.struct({"value": made["value"], "fine": fine, "canonical": made["canonical"]})

    made = cast(cell, type_, dialect)
    pair = ibis.struct({"value": settled(made.value, type_), "canonical": cell.isnull() | made.canonical})
    return _bound(pair, judged)


def always(condition: Expr) -> bool:
    """Whether a condition is the literal true: then no engine need compute it."""
    return bool(condition.equals(ibis.literal(True)))


def text_shape(type_: Type) -> dt.DataType:
    """The shape in which JSON is read: one level of it, whatever stands there as text.

    Read at once to the last leaf, a value of another shape than the contract's would turn into NULL.
    """
    if isinstance(type_, Object):
        return dt.Struct({f.name: dt.string for f in type_.fields})
    return dt.Array(dt.string)


TEXT_CASTS: dict[type, Callable[[Expr, Any, Dialect, Any], Cast]] = {
    String: _string,
    Integer: _integer,
    Number: _number,
    Decimal: _decimal,
    Boolean: _boolean,
    Date: _date,
    Timestamp: _timestamp,
    Object: _json,
    Array: _json,
}
