"""The data that one rule sees: its columns, its rows after ``where``, and the engine that holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from lake_pipeline.dqdl.files import File
from lake_pipeline.dqdl.nodes import Rule
from lake_pipeline.dqdl.past import Surroundings
from lake_pipeline.errors import Terminal, did_you_mean

Group = str | None


class RuleError(Terminal):
    """A rule that cannot be evaluated; it becomes an outcome with status ``Error``."""


class Connection(Protocol):
    """What is used of an Ibis backend."""

    dialect: Any
    name: str

    def compile(self, expr: ir.Expr, /) -> str: ...

    def sql(self, query: str, /, *, schema: Any = None) -> ir.Table: ...

    def to_pyarrow(self, expr: ir.Expr, /) -> Any: ...


@dataclass(frozen=True)
class Engine:
    """Runs queries that may be grouped by the column ``by``."""

    connection: Connection
    by: str | None = None
    keys: tuple[str, ...] = ()

    @property
    def group_columns(self) -> list[str]:
        """The columns that every query groups by."""
        return [] if self.by is None else [self.by]

    def grouped(self, table: ir.Table, aggregates: Mapping[str, ir.Scalar]) -> ir.Table:
        """The aggregates of a table for each group."""
        return table.aggregate(**aggregates, by=self.group_columns)

    def rows(self, table: ir.Table) -> dict[Group, dict[str, Any]]:
        """Run a query that has a row per group."""
        found = self.connection.to_pyarrow(table).to_pylist()
        if self.by is None:
            return dict.fromkeys([None], found[0]) if found else {}
        return {row.pop(self.by): row for row in found}

    def same(self, table: ir.Table) -> dict[Group, dict[str, Any]]:
        """Run a query of one row that is not about groups: it holds for each of them."""
        found = self.connection.to_pyarrow(table).to_pylist()
        return dict.fromkeys([None, *self.keys], found[0])


@dataclass(frozen=True)
class Subject:
    """One rule and its data. ``kept`` is the rule's ``where`` as a boolean column of ``table``."""

    rule: Rule
    engine: Engine
    table: ir.Table
    columns: tuple[str, ...]
    kept: ir.BooleanValue | None
    sources: Mapping[str, ir.Table]
    now: datetime
    around: Surroundings = field(default_factory=Surroundings)

    @property
    def files(self) -> Sequence[File] | None:
        """The files of the group being judged; None where none are known."""
        return self.around.files

    def column(self, name: str) -> ir.Value:
        """The column of a name, perhaps in backquotes, or the field ``a.b`` of a struct."""
        return resolve(self.table, name, self.columns)

    @property
    def rows(self) -> ir.IntegerScalar:
        """How many rows the rule sees, as an aggregate."""
        return self.table.count(where=self.kept)

    @property
    def selected(self) -> ir.Table:
        """The rows the rule sees, as a table."""
        return self.table if self.kept is None else self.table.filter(self.kept)

    def count(self, predicate: ir.BooleanValue) -> ir.IntegerScalar:
        """In how many of the rows the rule sees a predicate is true, as an aggregate."""
        return self.table.count(where=predicate if self.kept is None else predicate & self.kept)

    def source(self, name: str) -> ir.Table:
        """A further data source by name."""
        if name not in self.sources:
            raise RuleError(
                f'Data source "{name}" was not found in additional sources '
                f"(not found in additional data sources).{did_you_mean(name, self.sources)}"
            )
        return self.sources[name]

    def history_of(self, metric: str) -> Sequence[float]:
        """Earlier values of the rule's metric, the newest first."""
        return self.around.values(self.rule, metric)


def resolve(table: ir.Table, name: str, columns: Sequence[str] | None = None) -> ir.Value:
    """A table's column by name, or by dotted path into structs."""
    known = tuple(table.columns) if columns is None else columns
    plain = name.strip("`")
    for candidate in (name, plain):
        if candidate in known:
            return table[candidate]
    head, *path = plain.split(".")
    value: ir.Value | None = table[head] if head in known else None
    for step in path:
        if not isinstance(value, ir.StructValue) or step not in value.names:
            value = None
            break
        value = value[step]
    if value is None:
        raise RuleError(f'Column "{name}" does not exist.{did_you_mean(plain, known)}')
    return value


def numeric(subject: Subject, name: str) -> ir.NumericValue:
    """A column that can be calculated with."""
    value = subject.column(name)
    if not isinstance(value, ir.NumericValue) or isinstance(value, ir.BooleanValue):
        raise RuleError(f'Column "{name}" is {value.type()}; {subject.rule.type} needs a numeric column')
    return value


def is_text(value: ir.Value) -> bool:
    """Whether a column holds strings."""
    return isinstance(value.type(), dt.String)


def present(value: ir.Value) -> ir.BooleanValue:
    """Whether a value is not NULL. NaN is a value, though Ibis takes it for NULL in Spark."""
    if not isinstance(value, ir.FloatingValue):
        return value.notnull()
    return value.notnull() | value.isnan().fill_null(False)
