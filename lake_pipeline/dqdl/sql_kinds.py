"""Kinds of values in SQL: what engines convert silently, each in its own way, is told apart here and refused.

A kind is known of every expression over known columns. Where a column is not known, nothing is refused: the engine
says that it is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import ibis.expr.datatypes as dt
from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from lake_pipeline.dqdl.subject import RuleError

DIGITS = 38
LONG_DIGITS = 20  # as Spark counts those of 64 bits


@dataclass(frozen=True)
class Kind:
    """The kind of a value. digits, scale: of a decimal; item: of a list; fields: of a struct."""

    name: str
    digits: int = 0
    scale: int = 0
    item: Kind | None = None
    fields: tuple[tuple[str, Kind], ...] = ()

    def __str__(self) -> str:
        return f"decimal({self.digits},{self.scale})" if self.name == "decimal" else self.name


TEXT, WHOLE, DOUBLE, BOOLEAN = (
    Kind("text"),
    Kind("whole number", LONG_DIGITS),
    Kind("double"),
    Kind("boolean"),
)
DATE, TIMESTAMP, NULL, UNKNOWN = Kind("date"), Kind("timestamp"), Kind("NULL"), Kind("unknown")
DECIMAL, LIST, STRUCT, INTERVAL = "decimal", "list", "struct", Kind("interval")
NUMBERS = frozenset((WHOLE.name, DECIMAL, DOUBLE.name))
MOMENTS = frozenset((DATE.name, TIMESTAMP.name))
ANY = frozenset((NULL.name, UNKNOWN.name))

Columns = Mapping[str, Kind]


def of_ibis(type_: dt.DataType) -> Kind:
    """The kind of a column."""
    if isinstance(type_, dt.Decimal):
        scale = DIGITS // 2 if type_.scale is None else type_.scale
        return Kind(DECIMAL, type_.precision or DIGITS, scale)
    if isinstance(type_, dt.Array):
        return Kind(LIST, item=of_ibis(type_.value_type))
    if isinstance(type_, dt.Struct):
        return Kind(STRUCT, fields=tuple((name.lower(), of_ibis(t)) for name, t in type_.items()))
    plain = (
        (dt.String, TEXT),
        (dt.Boolean, BOOLEAN),
        (dt.Integer, WHOLE),
        (dt.Floating, DOUBLE),
        (dt.Date, DATE),
        (dt.Timestamp, TIMESTAMP),
    )
    return next((kind for class_, kind in plain if isinstance(type_, class_)), Kind(str(type_)))


def columns_of(types: Iterable[tuple[str, dt.DataType]]) -> Columns:
    """The kinds of a table's columns by their names in lower case."""
    return {name.lower(): of_ibis(type_) for name, type_ in types}


def decimal(digits: int, scale: int) -> Kind:
    """A decimal's kind; one that no engine can hold is an error."""
    if digits > DIGITS:
        raise RuleError(
            f"it would need a decimal of {digits} digits, and {DIGITS} is most: cast what it is made of to fewer "
            "digits, as in cast(amount as decimal(12,2)), or to double"
        )
    return Kind(DECIMAL, digits, scale)


def as_decimal(kind: Kind) -> Kind:
    """A number that is no double as a decimal."""
    return kind if kind.name == DECIMAL else Kind(DECIMAL, kind.digits or LONG_DIGITS, 0)


def common(kinds: Iterable[Kind], what: str) -> Kind:
    """The one kind that values have that are compared, or are each other's alternatives."""
    found = [kind for kind in kinds if kind.name not in ANY]
    if not found:
        return UNKNOWN
    names = {kind.name for kind in found}
    if names <= NUMBERS:
        return _number(found, names)
    if names <= MOMENTS:
        return TIMESTAMP if TIMESTAMP.name in names else DATE
    if len(names) == 1:
        return found[0]
    raise RuleError(
        f"{what}: {' and '.join(sorted(names))} are of different kinds, and engines convert them in ways of their own; "
        "cast one of them, as in cast(amount as double) > 5 or cast(day as date) = date'2026-03-01'"
    )


def _number(found: list[Kind], names: set[str]) -> Kind:
    if DOUBLE.name in names:
        return DOUBLE
    if names == {WHOLE.name}:
        return WHOLE
    both = [as_decimal(kind) for kind in found]
    scale = max(kind.scale for kind in both)
    return decimal(max(kind.digits - kind.scale for kind in both) + scale, scale)


def kind_of(node: exp.Expr | None) -> Kind:
    """The kind that was found of an expression."""
    return UNKNOWN if node is None else node.meta.get("kind", UNKNOWN)


def with_kind(node: exp.Expr, kind: Kind) -> exp.Expr:
    """The expression, of a kind."""
    node.meta["kind"] = kind
    return node


def find_columns(scope: Scope, tables: Mapping[str, Columns], outputs: Mapping[int, Columns]) -> None:
    """Note the kind of every column of a query, by the tables and inner queries that it reads."""
    for column in scope.columns:  # those of inner queries, whose kind is known already, are among them
        if kind_of(column) == UNKNOWN:
            with_kind(column, _column(column, scope, tables, outputs))


def _columns(source: Any, tables: Mapping[str, Columns], outputs: Mapping[int, Columns]) -> Columns:
    """The columns of what a query reads: a table, or another query."""
    if isinstance(source, Scope):
        return outputs.get(id(source.expression), {})
    return tables.get(source.name.lower(), {})


def _column(
    column: exp.Column, scope: Scope | None, tables: Mapping[str, Columns], outputs: Mapping[int, Columns]
) -> Kind:
    """By its table, or the first that has it; `a.b` may be a struct's field; what is not found here is looked for outside."""
    name, table = column.name.lower(), column.table.lower()
    while scope is not None:
        found = {alias.lower(): _columns(source, tables, outputs) for alias, source in scope.sources.items()}
        if table in found:
            return found[table].get(name, UNKNOWN)
        holder = next((known[table or name] for known in found.values() if (table or name) in known), None)
        if holder is not None:
            return dict(holder.fields).get(name, UNKNOWN) if table else holder
        scope = scope.parent
    return UNKNOWN


def output(
    query: exp.Expr, scope: Scope, tables: Mapping[str, Columns], outputs: Mapping[int, Columns]
) -> Columns:
    """The kinds of a query's columns, by their names."""
    if isinstance(query, exp.SetOperation):
        return outputs.get(id(query.this.unnest()), {})
    found: dict[str, Kind] = {}
    for item in query.expressions:
        if item.is_star:
            for source in scope.sources.values():
                found |= _columns(source, tables, outputs)
        else:
            found[item.alias_or_name.lower()] = kind_of(item)
    return found
