"""What a query needs of the tables it names: some columns, and by conditions on ``_partition`` some files.

Where it cannot be told, all of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

PARTITION = "_partition"
Wanted = Callable[[str], bool]
COMPARED: dict[type[exp.Expression], Callable[[str, str], bool]] = {
    exp.EQ: lambda a, b: a == b,
    exp.NEQ: lambda a, b: a != b,
    exp.LT: lambda a, b: a < b,
    exp.LTE: lambda a, b: a <= b,
    exp.GT: lambda a, b: a > b,
    exp.GTE: lambda a, b: a >= b,
}
MIRRORED: dict[type[exp.Expression], type[exp.Expression]] = {
    exp.EQ: exp.EQ,
    exp.NEQ: exp.NEQ,
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
}


def columns_needed(query: exp.Expression) -> set[str] | None:
    """The names, in lower case, among which all columns are that a query reads; None where it may be any column."""
    stars = [s for s in query.find_all(exp.Star) if not isinstance(s.parent, exp.Count)]
    rows = {t.alias_or_name.lower() for t in query.find_all(exp.Table)}
    whole = any(c.name.lower() in rows and not c.table for c in query.find_all(exp.Column))
    natural = any(j.method == "NATURAL" for j in query.find_all(exp.Join))
    if stars or whole or natural or query.find(exp.Pivot, exp.Columns):
        return None
    return {PARTITION, *(i.name.lower() for i in query.find_all(exp.Identifier))}


def partitions_needed(table: exp.Table) -> Wanted:
    """Whether a query reads rows of a partition of a table, where it names it there."""
    select = table.find_ancestor(exp.Select)
    source = select and (select.args.get("from_") or select.args.get("from"))
    if select is None or source is None or source.this is not table or select.args.get("joins"):
        return lambda _: True
    where = select.args.get("where")
    found = [condition(part) for part in parts_of(where.this)] if where else []
    return lambda partition: all(known(partition) for known in found if known)


def parts_of(where: exp.Expression) -> list[exp.Expression]:
    """The conditions that all must hold."""
    if isinstance(where, exp.Paren):
        return parts_of(where.this)
    return [*parts_of(where.this), *parts_of(where.expression)] if isinstance(where, exp.And) else [where]


def condition(found: Any) -> Wanted | None:
    """A condition on ``_partition`` and texts alone, as a function of the partition; None for any other."""
    kind = type(found)
    if kind in COMPARED:
        left, right = found.this, found.expression
        if _is_text(left) and _is_partition(right):
            kind, left, right = MIRRORED[kind], right, left
        if _is_partition(left) and _is_text(right):
            return lambda partition: COMPARED[kind](partition, right.name)
    if not _is_partition(getattr(found, "this", None)):
        return None
    if kind is exp.In and found.expressions and all(map(_is_text, found.expressions)):
        return lambda partition: partition in {e.name for e in found.expressions}
    if kind is exp.Between and _is_text(found.args["low"]) and _is_text(found.args["high"]):
        return lambda partition: found.args["low"].name <= partition <= found.args["high"].name
    if kind is exp.Like and _is_text(found.expression):
        pieces = re.split("([%_])", found.expression.name)
        pattern = "".join({"%": ".*", "_": "."}.get(p, re.escape(p)) for p in pieces)
        return lambda partition: re.fullmatch(pattern, partition, re.DOTALL) is not None
    return None


def _is_partition(found: Any) -> bool:
    return isinstance(found, exp.Column) and found.name.lower() == PARTITION


def _is_text(found: Any) -> bool:
    return isinstance(found, exp.Literal) and found.is_string
