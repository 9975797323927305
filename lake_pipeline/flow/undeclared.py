"""Columns that the contract does not have: which of them are columns of validated, and which are kept aside.

A column of a table has one type and one spelling for ever, and there can be only so many; files come as they come. So
a column of validated is what a file brings first under that name; values of another type, of a name that differs in
its case only, or of a name that no catalog takes, are kept as text in ``_rescued``, row by row. No file changes what
others can be.
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import pyarrow as pa

from lake_pipeline.contracts import Contract
from lake_pipeline.engines.rows import kept_type

LONGEST = (
    255  # characters of a column's name in the Glue Data Catalog, which takes no control characters either
)
MOST = 1000  # undeclared columns of a table


class Undeclared:
    """The undeclared columns of a dataset, as they become known. there: the columns of validated, and their types."""

    def __init__(self, contract: Contract, there: Mapping[str, str]) -> None:
        self._declared = {c.name for c in contract.columns}
        self._keeps = contract.drift.additive == "keep"
        self._types = {n: t for n, t in there.items() if n not in self._declared}
        self._spelled = {n.casefold(): n for n in (*self._types, *self._declared)}

    def aside(self, columns: ibis.Schema) -> tuple[str, ...]:
        """Those of a file's columns that are kept in ``_rescued`` only."""
        if not self._keeps:
            return ()
        return tuple(n for n in columns.names if n not in self._declared and not self._fits(n, columns))

    def _fits(self, name: str, columns: ibis.Schema) -> bool:
        kind = type_name(kept_type(columns[name]).to_pyarrow())
        if name.casefold() not in self._spelled:
            if len(self._types) >= MOST or len(name) > LONGEST or not name.isprintable():
                return False
            self._types[name], self._spelled[name.casefold()] = kind, name
        return self._spelled[name.casefold()] == name and self._types[name] == kind


def type_name(kind: pa.DataType) -> str:
    """An Arrow type by name, the same for what engines write and what Iceberg says of it."""
    return str(pa.string() if pa.types.is_large_string(kind) else kind)


def columns_of(schema: pa.Schema | None) -> dict[str, str]:
    """The columns of a table with the names of their types; none where there is no table."""
    return {field.name: type_name(field.type) for field in schema} if schema is not None else {}
