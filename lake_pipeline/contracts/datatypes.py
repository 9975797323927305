"""The types a column may have, and the one place that says how each is stored.

Timestamps are stored in UTC with microseconds; `timezone` is not how they are stored but what a
source value without an offset means. A number is a double; money that must add up is a `Decimal`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis.expr.datatypes as dt

if TYPE_CHECKING:
    from lake_pipeline.contracts.model import Column

MAX_PRECISION = 38
TIMESTAMP_SCALE = 6


@dataclass(frozen=True)
class String:
    """Text. Its length is counted in characters, not bytes."""

    @property
    def ibis(self) -> dt.DataType:
        return dt.string

    def __str__(self) -> str:
        return "string"


@dataclass(frozen=True)
class Integer:
    """A whole number of 64 bits, signed."""

    @property
    def ibis(self) -> dt.DataType:
        return dt.int64

    def __str__(self) -> str:
        return "integer"


@dataclass(frozen=True)
class Number:
    """A double."""

    @property
    def ibis(self) -> dt.DataType:
        return dt.float64

    def __str__(self) -> str:
        return "number"


@dataclass(frozen=True)
class Decimal:
    """An exact number with `precision` digits in all, `scale` of them after the point."""

    precision: int
    scale: int

    @property
    def ibis(self) -> dt.DataType:
        return dt.Decimal(self.precision, self.scale)

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})"


@dataclass(frozen=True)
class Boolean:
    """True or false."""

    @property
    def ibis(self) -> dt.DataType:
        return dt.boolean

    def __str__(self) -> str:
        return "boolean"


@dataclass(frozen=True)
class Date:
    """A calendar date; `format` is a JDK pattern, None means ISO 8601 (`2026-02-25`)."""

    format: str | None = None

    @property
    def ibis(self) -> dt.DataType:
        return dt.date

    def __str__(self) -> str:
        return f"date({self.format})" if self.format else "date"


@dataclass(frozen=True)
class Timestamp:
    """An instant, stored in UTC; `timezone` is the zone of source values that carry no offset."""

    format: str | None = None
    timezone: str = "UTC"

    @property
    def ibis(self) -> dt.DataType:
        return dt.Timestamp("UTC", TIMESTAMP_SCALE)

    def __str__(self) -> str:
        return "timestamp(" + ", ".join(filter(None, [self.format, self.timezone])) + ")"


@dataclass(frozen=True)
class Object:
    """Named fields, each a column of its own."""

    fields: tuple[Column, ...]

    @property
    def ibis(self) -> dt.DataType:
        return dt.Struct({field.name: field.type.ibis for field in self.fields})

    def __str__(self) -> str:
        return "object<" + ", ".join(f"{field.name}: {field.type}" for field in self.fields) + ">"


@dataclass(frozen=True)
class Array:
    """Any number of values of one type."""

    item: Type

    @property
    def ibis(self) -> dt.DataType:
        return dt.Array(self.item.ibis)

    def __str__(self) -> str:
        return f"array<{self.item}>"


Scalar = String | Integer | Number | Decimal | Boolean | Date | Timestamp
Type = Scalar | Object | Array
