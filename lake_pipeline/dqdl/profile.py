"""What is to be known of a table's columns before rules are proposed, in one scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from lake_pipeline.dqdl.datatypes import castable

# The first pattern that all values have is proposed; what is more particular stands first.
PATTERNS = (
    "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "[^@ ]+@[^@ ]+[.][a-zA-Z]+",
    "[0-9]+",
    "[A-Z]+",
    "[a-z]+",
    "[A-Z]+[-_]?[0-9]+",
    "[a-z0-9_]+",
    "[A-Za-z0-9_-]+",
)
# Types that a text may be meant as, narrow before wide.
MEANT = ("BOOLEAN", "INTEGRAL", "DOUBLE", "DATE", "TIMESTAMP")
MOST_LISTED = 10
LONGEST_LISTED = 60


@dataclass(frozen=True)
class ColumnProfile:
    """A column's name, type and measured numbers; ``listed``: its few distinct values, where they are few."""

    name: str
    kind: dt.DataType
    rows: int
    found: Mapping[str, Any]
    listed: tuple[Any, ...] = field(default=())

    @property
    def values(self) -> int:
        """How many values are not NULL."""
        return int(self.found["values"])

    @property
    def complete(self) -> bool:
        """Whether no value is NULL."""
        return self.values == self.rows


def profile(table: ir.Table) -> list[ColumnProfile]:
    """The profiles of all columns."""
    wanted = {
        f"{i}:{name}": value
        for i, column in enumerate(table.columns)
        for name, value in _measures(table[column]).items()
    }
    measured = table.aggregate(rows=table.count(), **wanted).to_pyarrow().to_pylist()[0]
    profiles = []
    for i, column in enumerate(table.columns):
        prefix = f"{i}:"
        own = {k.removeprefix(prefix): v for k, v in measured.items() if k.startswith(prefix)}
        listed = _listed(table, column, own)
        profiles.append(ColumnProfile(column, table[column].type(), measured["rows"], own, listed))
    return profiles


def _measures(column: ir.Value) -> dict[str, ir.Scalar]:
    kind = column.type()
    found: dict[str, ir.Scalar] = {"values": column.count()}
    if kind.is_nested() or kind.is_binary():
        return found
    found["distinct"] = column.nunique()
    if kind.is_numeric() and not kind.is_boolean():
        found |= {"least": column.min(), "most": column.max()}
        if kind.is_floating():
            found["odd"] = (column.isnan() | column.isinf()).sum()
    if kind.is_date() or kind.is_timestamp():
        day = column.cast(dt.date)
        found |= {"least": day.min(), "most": day.max()}
    return found | _of_text(column) if kind.is_string() else found


def _of_text(column: ir.StringValue) -> dict[str, ir.Scalar]:
    length = column.length().fill_null(0)
    matches = {
        f"pattern {i}": (column.re_extract(f"^{pattern}$", 0) != "").sum()
        for i, pattern in enumerate(PATTERNS)
    }
    meant = {f"meant {kind}": castable(column, kind).sum() for kind in MEANT}
    return {"shortest": length.min(), "longest": length.max(), **matches, **meant}


def _listed(table: ir.Table, column: str, found: Mapping[str, Any]) -> tuple[Any, ...]:
    """The distinct values of a text, when each of few occurs often, and they are short."""
    few = min(MOST_LISTED, (found["values"] or 0) // 2)
    if not table[column].type().is_string() or not 0 < found["distinct"] <= few:
        return ()
    if found["longest"] > LONGEST_LISTED:
        return ()
    rows = table.filter(table[column].notnull()).select(v=table[column]).distinct().order_by("v")
    return tuple(row["v"] for row in rows.to_pyarrow().to_pylist())
