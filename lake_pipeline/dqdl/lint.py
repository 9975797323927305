"""What is wrong with a rule before there is data: its SQL, and the functions of its operands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

import ibis.expr.datatypes as dt
from sqlglot import exp

from lake_pipeline.dqdl import guard, nodes
from lake_pipeline.dqdl.conditions import FUNCTIONS
from lake_pipeline.dqdl.sql_kinds import BOOLEAN, NULL, UNKNOWN, Columns, columns_of, kind_of
from lake_pipeline.dqdl.sql_typing import typed
from lake_pipeline.dqdl.subject import RuleError
from lake_pipeline.errors import did_you_mean

SQL_RULE = "CustomSql"


def problems(rule: nodes.AnyRule, columns: Iterable[tuple[str, dt.DataType]]) -> Iterator[str]:
    """Why a rule on a table of these columns would be an error, whatever the data; nothing where it would not."""
    known = columns_of(columns)
    for leaf in _leaves(rule):
        if leaf.where is not None:
            yield from _said(
                f'where clause is invalid: "{leaf.where}"', partial(condition, leaf.where, known)
            )
        if leaf.type == SQL_RULE:
            yield from _said(SQL_RULE, partial(_query, leaf.names[0], known))
        yield from (
            f"unknown function {call.name}.{did_you_mean(call.name, [*FUNCTIONS, 'last'])}"
            for call in _calls(leaf.condition)
            if call.name not in (*FUNCTIONS, "last")
        )


def condition(text: str | None, columns: Columns) -> None:
    """Raise `RuleError` where a text is no condition over columns, or does not mean the same on every engine."""
    kind = kind_of(typed(guard.predicate(text or ""), {guard.PRIMARY: columns}))
    if kind not in (BOOLEAN, NULL, UNKNOWN):
        raise RuleError(f"it is of type {kind}, and neither true nor false")


def value(text: str, to: exp.DataType, columns: Columns) -> None:
    """Raise `RuleError` where a text is no expression over columns that can be cast, or means different things."""
    typed(exp.cast(guard.predicate(text), to), {guard.PRIMARY: columns})


def _query(text: str, columns: Columns) -> None:
    """Of other tables nothing is known here: neither which there are, nor their columns."""
    typed(guard.query(text, guard.tables_in(text)), {guard.PRIMARY: columns})


def _said(where: str, check: Any) -> Iterator[str]:
    try:
        check()
    except RuleError as error:
        yield f"{where}: {error}"


def _leaves(rule: nodes.AnyRule) -> Iterator[nodes.Rule]:
    if isinstance(rule, nodes.Composite):
        for part in rule.rules:
            yield from _leaves(part)
    else:
        yield rule


def _calls(part: Any) -> Iterator[nodes.Call]:
    """The calls within a condition, wherever they stand."""
    if isinstance(part, nodes.Call):
        yield part
    if isinstance(part, tuple):
        for item in part:
            yield from _calls(item)
    elif is_dataclass(part):
        for field in fields(part):
            yield from _calls(getattr(part, field.name))
