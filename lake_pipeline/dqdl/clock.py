"""The clock of the SQL in a rule: the moment of the evaluation, and never the engine's own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from sqlglot import exp

Statement = TypeVar("Statement", bound=exp.Expr)
MOMENTS = (exp.CurrentTimestamp, exp.Localtimestamp)
DATE, TIMESTAMP = exp.DataType.build("DATE"), exp.DataType.build("TIMESTAMP")


def at(statement: Statement, now: datetime) -> Statement:
    """The statement, with what asks for the time (``now()``, ``current_date`` and the like) as literals, in UTC.

    >>> import sqlglot
    >>> moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> at(sqlglot.parse_one("a < current_date()", read="spark"), moment).sql(dialect="spark")
    "a < CAST('2026-03-01' AS DATE)"
    """
    moment = now.astimezone(UTC)

    def fixed(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.StrToUnix) and isinstance(node.this, MOMENTS):  # unix_timestamp()
            return exp.Literal.number(int(moment.timestamp()))
        if isinstance(node, exp.CurrentDate):
            return exp.cast(exp.Literal.string(moment.date().isoformat()), DATE)
        if isinstance(node, MOMENTS) or (isinstance(node, exp.Anonymous) and node.name.lower() == "now"):
            text = moment.isoformat(" ", "microseconds")
            return exp.cast(exp.Literal.string(text), TIMESTAMP)
        return node

    found: Any = statement.transform(fixed)
    return cast(Statement, found)
