"""The kind of every expression in users' SQL, and what is refused because engines understand it in their own ways."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from lake_pipeline.dqdl import sql_patterns
from lake_pipeline.dqdl.sql_arguments import of as arguments_of
from lake_pipeline.dqdl.sql_casts import DAY, FORMS, check_cast, kind_of_type
from lake_pipeline.dqdl.sql_functions import FUNCTIONS
from lake_pipeline.dqdl.sql_kinds import (
    ANY,
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    INTERVAL,
    MOMENTS,
    NULL,
    NUMBERS,
    TEXT,
    TIMESTAMP,
    UNKNOWN,
    WHOLE,
    Columns,
    Kind,
    as_decimal,
    common,
    decimal,
    find_columns,
    kind_of,
    output,
    with_kind,
)
from lake_pipeline.dqdl.subject import RuleError

DAYS = {"DAY": 1, "DAYS": 1, "WEEK": 7, "WEEKS": 7}
MONTHS = {"MONTH": 1, "MONTHS": 1, "YEAR": 12, "YEARS": 12}
HOURS = ("HOUR", "HOURS", "MINUTE", "MINUTES", "SECOND", "SECONDS")
COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
REFUSED = {
    exp.IntDiv: "div: write cast(a / b as bigint)",
    exp.BitwiseLeftShift: "shifts mean different things: multiply by a power of 2",
    exp.BitwiseRightShift: "shifts mean different things: divide by a power of 2",
    exp.Any: "any and some: write in (…), or bool_or(condition)",
    exp.All: "all: write bool_and(condition)",
    exp.Lambda: "functions of functions are not allowed",
    exp.ArrayContainsAll: "containment of lists is not allowed",
    exp.SimilarTo: "similar to: write rlike",
    exp.Glob: "glob: write rlike",
    exp.AtTimeZone: "at time zone: timestamps are instants in UTC",
}


def typed(statement: exp.Expr, tables: Mapping[str, Columns]) -> exp.Expr:
    """A copy of a statement in which the kind of every expression is known; raises `RuleError` for what is refused."""
    copy = statement.copy()
    if isinstance(copy, exp.Query):
        outputs: dict[int, Columns] = {}
        for scope in traverse_scope(copy):
            find_columns(scope, tables, outputs)
            _name_kinds(scope.expression)
            _find_kinds(scope.expression)
            found = output(scope.expression, scope, tables, outputs)
            outputs[id(scope.expression)] = _renamed(scope.expression, found)
        return copy
    holder = exp.select(copy).from_("primary")  # an expression is one of a query
    found = typed(holder, tables).expressions[0]
    return found.pop()  # type: ignore[no-any-return]


def _renamed(query: exp.Expr, columns: Columns) -> Columns:
    """The columns by the names that an alias gives them: `(select …) as t(a, b)`, `with t(a, b) as (…)`."""
    alias = query.parent.args.get("alias") if query.parent is not None else None
    names = (
        [name.name.lower() for name in alias.args.get("columns") or ()]
        if isinstance(alias, exp.TableAlias)
        else []
    )
    return dict(zip(names, columns.values(), strict=False)) if names else columns


def _name_kinds(query: exp.Expr) -> None:
    """The kinds of what a query selects, in its order, for the columns that mean a name given there."""
    if isinstance(query, exp.SetOperation):
        _mean_names(query, {item.alias_or_name.lower(): kind_of(item) for item in query.selects})
    if not isinstance(query, exp.Select):
        return
    named: dict[str, Kind] = {}
    for item in query.expressions:
        _mean_names(item, named)
        _find_kinds(item)
        named.setdefault(item.alias_or_name.lower(), kind_of(item))
    _mean_names(query, named)


def _mean_names(part: exp.Expr, named: Mapping[str, Kind]) -> None:
    for column in part.find_all(exp.Column):
        if kind_of(column) == UNKNOWN and not column.table and column.name.lower() in named:
            with_kind(column, named[column.name.lower()])


def unknown_column(statement: exp.Expr) -> exp.Column | None:
    """A column of a typed statement that no table has, and no name is given to."""
    columns = statement.find_all(exp.Column)
    return next((c for c in columns if kind_of(c) == UNKNOWN and not isinstance(c.this, exp.Star)), None)


def _find_kinds(root: exp.Expr) -> None:
    for node in reversed(list(root.walk(bfs=False))):
        if "kind" not in node.meta and not isinstance(node, exp.Identifier):
            with_kind(node, _kind(node))


def _kind(node: exp.Expr) -> Kind:
    if type(node) in REFUSED:
        raise RuleError(REFUSED[type(node)])
    find = next((KINDS[class_] for class_ in type(node).__mro__ if class_ in KINDS), None)
    if find is not None:
        return find(node)
    if isinstance(node, exp.Func) and type(node).__name__ in FUNCTIONS:
        return FUNCTIONS[type(node).__name__].kind(node)
    return UNKNOWN


def _literal(node: Any) -> Kind:
    if node.is_string:
        return TEXT
    if node.is_int:
        return Kind(WHOLE.name, WHOLE.digits)
    if "e" in node.this.lower():
        return DOUBLE
    whole, _, fraction = node.this.partition(".")
    return decimal(max(len(whole.lstrip("0")), 0) + len(fraction) or 1, len(fraction))


def _compared(node: Any) -> Kind:
    _comparable(node, [node.this, node.expression])
    return BOOLEAN


def _comparable(node: Any, values: list[Any]) -> None:
    """A text as written is a date where a date is compared with it; all else is of one kind."""
    kinds = [kind_of(value) for value in values]
    moments = {kind for kind in kinds if kind.name in MOMENTS}
    if moments and TEXT in kinds:
        form = DATE.name if moments == {DATE} else TIMESTAMP.name
        for value in values:
            if kind_of(value) == TEXT:
                _as_moment(value, form)
        return
    common(kinds, node.sql(dialect="spark"))


def _as_moment(value: Any, form: str) -> None:
    written = isinstance(value, exp.Literal)
    pattern = FORMS[form] if form == TIMESTAMP.name else rf"^({DAY})\z"
    if not written or not re.match(pattern.replace(r"\z", r"\Z"), value.this):
        raise RuleError(
            f"{value.sql(dialect='spark')} is compared with a {form}: write it as 2026-02-25, or cast it, as in "
            f"cast({value.sql(dialect='spark')} as {form})"
        )
    made = with_kind(
        exp.cast(value.copy(), exp.DataType.build(form.upper())), DATE if form == DATE.name else TIMESTAMP
    )
    with_kind(made.this, TEXT)
    value.replace(made)


def _between(node: Any) -> Kind:
    _comparable(node, [node.this, node.args["low"], node.args["high"]])
    return BOOLEAN


def _in(node: Any) -> Kind:
    query = node.args.get("query")
    if query is not None:
        listed = [kind_of(item) for item in query.unnest().expressions]
        common([kind_of(node.this), *listed], node.this.sql(dialect="spark") + " in (…)")
        if not _decides(node):
            raise RuleError(
                "in (select …) stands in where, alone or with and, or; elsewhere, write exists (select …)"
            )
    else:
        _comparable(node, [node.this, *node.expressions])
    return BOOLEAN


def _decides(node: Any) -> bool:
    """Whether a condition that is NULL is one that is not true: not within another `not`, and not as a value."""
    above = node.parent.parent if isinstance(node.parent, exp.Not) else node.parent
    while isinstance(above, exp.And | exp.Or | exp.Paren):
        above = above.parent
    return isinstance(above, exp.Where)


def _calculated(node: Any) -> Kind:
    left, right = kind_of(node.this), kind_of(node.expression)
    if INTERVAL in (left, right) or (left.name in MOMENTS and right == WHOLE):
        return _shifted(node, left, right)
    if {left.name, right.name} <= MOMENTS:
        instead = "datediff(a, b)" if left == DATE == right else "unix_timestamp(a) - unix_timestamp(b)"
        raise RuleError(f"{node.sql(dialect='spark')}: write {instead}")
    for kind in (left, right):
        if kind.name not in NUMBERS | ANY:
            raise RuleError(
                f"{node.sql(dialect='spark')}: {kind} is no number; cast it, as in cast(x as double)"
            )
    if isinstance(node, exp.Div):
        return DOUBLE
    if UNKNOWN in (left, right):
        return UNKNOWN
    both = common((left, right), node.sql(dialect="spark"))
    return _decimal_of(node, _exact(node.this), _exact(node.expression)) if both.name == DECIMAL else both


def _exact(node: Any) -> Kind:
    """A number as a decimal; one that is written has as many digits as are written."""
    written = node.unnest()
    whole = isinstance(written, exp.Literal) and written.is_int
    return Kind(DECIMAL, len(written.this), 0) if whole else as_decimal(kind_of(node))


def _decimal_of(node: Any, left: Kind, right: Kind) -> Kind:
    """The decimal that holds every sum, product or remainder."""
    if isinstance(node, exp.Mul):
        return decimal(left.digits + right.digits + 1, left.scale + right.scale)  # as Spark counts them
    scale = max(left.scale, right.scale)
    return decimal(max(left.digits - left.scale, right.digits - right.scale) + scale + 1, scale)


def _shifted(node: Any, left: Kind, right: Kind) -> Kind:
    """A date or a timestamp and an interval; a date and days."""
    if isinstance(node, exp.Mul | exp.Div) or left.name not in MOMENTS | ANY:
        raise RuleError(f"{node.sql(dialect='spark')}: write moment + interval 1 day")
    if right == WHOLE:
        if left != DATE:
            raise RuleError(f"{node.sql(dialect='spark')}: write moment + interval 1 day")
        return DATE
    unit = node.expression.args["unit"].name.upper()
    if not isinstance(node.expression.this, exp.Literal) or unit not in {*DAYS, *MONTHS, *HOURS}:
        raise RuleError(
            "an interval is a number as written and year, month, week, day, hour, minute or second"
        )
    if left == DATE and unit in HOURS:
        raise RuleError(f"{node.sql(dialect='spark')}: a date has no hours; cast(day as timestamp) has")
    return left


def _joined(node: Any) -> Kind:
    for part in arguments_of(node):
        check_cast(kind_of(part), TEXT)
    return TEXT


def _cast_kind(node: Any) -> Kind:
    to = node.to
    if to.this in exp.DataType.NESTED_TYPES:
        return kind_of(node.this)
    kind = kind_of_type(to)
    check_cast(kind_of(node.this), kind)
    return kind


def _matched(node: Any) -> Kind:
    sql_patterns.check_like(node)
    return BOOLEAN


def _pattern(node: Any) -> Kind:
    found = FUNCTIONS[type(node).__name__].kind(node)
    sql_patterns.check(node)
    return found


def _negative(node: Any) -> Kind:
    kind = kind_of(node.this)
    if kind.name not in NUMBERS | ANY:
        raise RuleError(f"{node.sql(dialect='spark')}: {kind} is no number")
    return kind


def _truth(node: Any) -> Kind:
    for part in (node.this, node.args.get("expression")):
        kind = kind_of(part)
        if kind not in (BOOLEAN, NULL, UNKNOWN):
            raise RuleError(f"{part.sql(dialect='spark')} is of kind {kind}, and no condition")
    return BOOLEAN


def _bits(node: Any) -> Kind:
    for part in (node.this, node.args.get("expression")):
        if kind_of(part) not in (WHOLE, NULL, UNKNOWN):
            raise RuleError(f"{part.sql(dialect='spark')} is no whole number")
    return WHOLE


def _index(node: Any) -> Kind:
    (at,) = node.expressions
    if not (isinstance(at, exp.Literal) and at.is_int):
        raise RuleError("the place in a list is a number from 0, as written")
    return kind_of(node.this).item or UNKNOWN


def _field(node: Any) -> Kind:
    return dict(kind_of(node.this).fields).get(node.expression.name.lower(), UNKNOWN)


def _united(node: Any) -> Kind:
    """The queries of a union have columns of the same kinds."""
    for mine, theirs in zip(node.left.selects, node.right.selects, strict=False):
        common([kind_of(mine), kind_of(theirs)], "union")
    return UNKNOWN


def _query(node: Any) -> Kind:
    query = node.unnest()
    return kind_of(query.expressions[0]) if isinstance(query, exp.Select) and query.expressions else UNKNOWN


def _inner(node: Any) -> Kind:
    return kind_of(node.this)


KINDS: dict[type, Callable[[Any], Kind]] = {
    exp.Literal: _literal,
    exp.Boolean: lambda node: BOOLEAN,
    exp.Null: lambda node: NULL,
    exp.Column: lambda node: UNKNOWN,
    exp.Interval: lambda node: INTERVAL,
    **dict.fromkeys((exp.Paren, exp.Alias, exp.Window, exp.Filter, exp.IgnoreNulls), _inner),
    **dict.fromkeys((exp.Subquery,), _query),
    **dict.fromkeys(COMPARISONS, _compared),
    exp.Between: _between,
    exp.In: _in,
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod), _calculated),
    exp.Neg: _negative,
    **dict.fromkeys((exp.DPipe, exp.Concat), _joined),
    **dict.fromkeys((exp.Cast, exp.TryCast), _cast_kind),
    **dict.fromkeys((exp.Like, exp.ILike), _matched),
    exp.Escape: lambda node: BOOLEAN,
    **dict.fromkeys((exp.RegexpLike, exp.RegexpExtract, exp.RegexpReplace), _pattern),
    **dict.fromkeys((exp.And, exp.Or, exp.Not), _truth),
    exp.Is: lambda node: BOOLEAN,
    **dict.fromkeys((exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseNot), _bits),
    exp.SetOperation: _united,
    exp.Bracket: _index,
    exp.Dot: _field,
}
