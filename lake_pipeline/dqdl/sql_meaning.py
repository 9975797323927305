"""What Spark SQL means where DuckDB takes the same words for something else, and sqlglot does not say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from sqlglot import exp

WHOLE = frozenset((exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT))
EXACT = exp.DataType.build("DECIMAL(38, 18)")


def _day_of_week(node: Any) -> exp.Expr:
    """Sunday is 1, and not 0."""
    return exp.paren(exp.Add(this=node.copy(), expression=exp.Literal.number(1)))


def _extract(node: Any) -> exp.Expr:
    return _day_of_week(node) if node.name.upper() in ("DOW", "DAYOFWEEK") else node


def _substring(node: Any) -> exp.Expr:
    """Position 0 is the first character, too."""
    start = node.args.get("start")
    if isinstance(start, exp.Literal) and start.this == "0":
        start.replace(exp.Literal.number(1))
    return cast(exp.Expr, node)


def _cast(node: Any) -> exp.Expr:
    """A cast to whole numbers drops the fraction, and does not round."""
    if node.to.this in WHOLE and not (isinstance(node.this, exp.Literal) and node.this.is_int):
        inner = exp.TryCast(this=node.this.copy(), to=EXACT.copy())
        node.set("this", exp.Anonymous(this="TRUNC", expressions=[inner]))
    return cast(exp.Expr, node)


def _like(node: Any) -> exp.Expr:
    """A backslash takes the meaning from `%` and `_`."""
    pattern = node.expression
    if isinstance(node.parent, exp.Escape) or not (isinstance(pattern, exp.Literal) and "\\" in pattern.this):
        return cast(exp.Expr, node)
    return exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))


MEANINGS: dict[type[exp.Expr], Callable[[Any], exp.Expr]] = {
    exp.DayOfWeek: _day_of_week,
    exp.Extract: _extract,
    exp.Substring: _substring,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Like: _like,
    exp.ILike: _like,
}


def for_duckdb(statement: exp.Expr) -> exp.Expr:
    """The statement in DuckDB's words; the innermost first, for a replacement is not looked at again."""
    found = statement.copy()
    for node in reversed(list(found.find_all(*MEANINGS))):
        meant = MEANINGS[type(node)](node)
        if node is found:
            found = meant
        elif meant is not node:
            node.replace(meant)
    return found
