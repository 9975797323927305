"""What users' SQL means, on every engine: Spark SQL, and where engines differ, one meaning that both can be told.

`typed` finds the kind of every expression and refuses what engines would understand in their own ways; `for_engine`
writes it in an engine's words. What cannot be calculated is NULL: a division by zero, a whole number of more than 64
bits, the logarithm of 0, a text that is no number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from lake_pipeline.dqdl import sql_patterns
from lake_pipeline.dqdl.sql_casts import CASTS, DAY, FALSE, FORMS, TRUE, check_cast, kind_of_type
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

DUCKDB = "duckdb"
DAYS = {"DAY": 1, "DAYS": 1, "WEEK": 7, "WEEKS": 7}
MONTHS = {"MONTH": 1, "MONTHS": 1, "YEAR": 12, "YEARS": 12}
HOURS = ("HOUR", "HOURS", "MINUTE", "MINUTES", "SECOND", "SECONDS")
CALCULATIONS = {exp.Add: ("+", "TRY_ADD"), exp.Sub: ("-", "TRY_SUBTRACT"), exp.Mul: ("*", "TRY_MULTIPLY")}
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


# ── kinds ──


def typed(statement: exp.Expr, tables: Mapping[str, Columns]) -> exp.Expr:
    """A copy of a statement in which the kind of every expression is known; raises `RuleError` for what is refused."""
    copy = statement.copy()
    if isinstance(copy, exp.Query):
        outputs: dict[int, Columns] = {}
        for scope in traverse_scope(copy):
            find_columns(scope, tables, outputs)
            _find_kinds(scope.expression)
            outputs[id(scope.expression)] = output(scope.expression, scope, tables, outputs)
        return copy
    holder = exp.select(copy).from_("primary")  # an expression is one of a query
    found = typed(holder, tables).expressions[0]
    return found.pop()  # type: ignore[no-any-return]


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
    import re

    written = isinstance(value, exp.Literal)
    pattern = FORMS[form] if form == TIMESTAMP.name else rf"^({DAY})\z"
    if not written or not re.match(pattern.replace(r"\z", r"\Z"), value.this):
        raise RuleError(
            f"{value.sql(dialect='spark')} is compared with a {form}: write it as 2026-02-25, or cast it, as in "
            f"cast({value.sql(dialect='spark')} as {form})"
        )
    made = with_kind(exp.cast(value.copy(), exp.DataType.build(form.upper())), DATE if form == DATE.name else TIMESTAMP)
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
    else:
        _comparable(node, [node.this, *node.expressions])
    return BOOLEAN


def _calculated(node: Any) -> Kind:
    left, right = kind_of(node.this), kind_of(node.expression)
    if INTERVAL in (left, right) or (left.name in MOMENTS and right == WHOLE):
        return _shifted(node, left, right)
    if {left.name, right.name} <= MOMENTS:
        instead = "datediff(a, b)" if left == DATE == right else "unix_timestamp(a) - unix_timestamp(b)"
        raise RuleError(f"{node.sql(dialect='spark')}: write {instead}")
    for kind in (left, right):
        if kind.name not in NUMBERS | ANY:
            raise RuleError(f"{node.sql(dialect='spark')}: {kind} is no number; cast it, as in cast(x as double)")
    if isinstance(node, exp.Div):
        return DOUBLE
    both = common((left, right), node.sql(dialect="spark"))
    return _decimal_of(node, as_decimal(left), as_decimal(right)) if both.name == DECIMAL else both


def _decimal_of(node: Any, left: Kind, right: Kind) -> Kind:
    """The decimal that holds every sum, product or remainder."""
    if isinstance(node, exp.Mul):
        return decimal(left.digits + right.digits, left.scale + right.scale)
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
        raise RuleError("an interval is a number as written and year, month, week, day, hour, minute or second")
    if left == DATE and unit in HOURS:
        raise RuleError(f"{node.sql(dialect='spark')}: a date has no hours; cast(day as timestamp) has")
    return left


def _joined(node: Any) -> Kind:
    for part in (node.this, node.expression):
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
    exp.DPipe: _joined,
    **dict.fromkeys((exp.Cast, exp.TryCast), _cast_kind),
    **dict.fromkeys((exp.Like, exp.ILike), _matched),
    exp.Escape: lambda node: BOOLEAN,
    **dict.fromkeys((exp.RegexpLike, exp.RegexpExtract, exp.RegexpReplace), _pattern),
    **dict.fromkeys((exp.And, exp.Or, exp.Not), _truth),
    exp.Is: lambda node: BOOLEAN,
    **dict.fromkeys((exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseNot), _bits),
    exp.Bracket: _index,
    exp.Dot: _field,
}


# ── what an engine runs ──


def for_engine(statement: exp.Expr, engine: str) -> exp.Expr:
    """A typed statement in an engine's words; the innermost first, for a replacement is not looked at again."""
    holder = exp.Paren(this=statement.copy())
    for node in reversed(list(holder.this.walk(bfs=False))):
        write = next((WORDS[class_] for class_ in type(node).__mro__ if class_ in WORDS), _called)
        write(node, engine)
    return holder.this


def filled(template: str, engine: str, **parts: exp.Expr) -> exp.Expr:
    """A template with its parts, each copied as often as it is there."""
    parsed = _parsed(template, engine)
    for place in list(parsed.find_all(exp.Placeholder)):
        place.replace(exp.paren(parts[place.this].copy()) if isinstance(parts[place.this], exp.Binary) else parts[place.this].copy())
    return exp.paren(parsed, copy=False) if isinstance(parsed, exp.Binary) else parsed


def _parsed(template: str, engine: str) -> exp.Expr:
    return sqlglot.parse_one(template, read=engine)


def _become(node: exp.Expr, made: exp.Expr) -> None:
    node.replace(with_kind(made, kind_of(node)))


def _called(node: Any, engine: str) -> None:
    """A function by its template."""
    function = FUNCTIONS.get(type(node).__name__)
    if function is None or not isinstance(node, exp.Func):
        return
    template = function.duckdb if engine == DUCKDB else function.spark
    text = template if isinstance(template, str) else template(node)
    if text:
        parts = {name: value for name, value in node.args.items() if isinstance(value, exp.Expr)}
        _become(node, filled(text, engine, **parts))


def _cast(node: Any, engine: str) -> None:
    value, to = kind_of(node.this), node.args.get("to") or exp.DataType.build("DATE")
    if to.this in exp.DataType.NESTED_TYPES or value in (UNKNOWN, NULL):
        return
    template = CASTS[value.name, kind_of(node).name][engine != DUCKDB]
    type_ = exp.DataType.build("TIMESTAMPTZ" if engine == DUCKDB and kind_of(node) == TIMESTAMP else to.copy())
    if kind_of(node) == TIMESTAMP and engine != DUCKDB:
        type_ = exp.DataType.build("TIMESTAMP", dialect="spark")
    texts = {"form": FORMS.get(kind_of(node).name, ""), "true": TRUE, "false": FALSE}
    literals = {name: exp.Literal.string(text) for name, text in texts.items()}
    made = filled(template.replace(":type", "INT"), engine, this=node.this, **literals)
    if ":type" in template:
        outer = made if isinstance(made, exp.Cast) else made.find(exp.Cast)
        outer.set("to", type_)  # type: ignore[union-attr]
    _become(node, made)


def _calculate(node: Any, engine: str) -> None:
    left, right, kind = kind_of(node.this), kind_of(node.expression), kind_of(node)
    parts = {"this": node.this, "expression": node.expression}
    if left.name in MOMENTS:
        _shift(node, engine)
    elif isinstance(node, exp.Div):
        divisor = "NULLIF(CAST(:expression AS DOUBLE), 0)" if engine == DUCKDB else "CAST(:expression AS DOUBLE)"
        _become(node, filled(f"CAST(:this AS DOUBLE) / {divisor}", engine, **parts))
    elif kind == WHOLE:
        sign, function = CALCULATIONS[type(node)]
        text = f"TRY(CAST(:this AS BIGINT) {sign} CAST(:expression AS BIGINT))" if engine == DUCKDB else (
            f"{function}(CAST(:this AS BIGINT), CAST(:expression AS BIGINT))"
        )
        _become(node, filled(text, engine, **parts))
    elif kind.name == DECIMAL and engine == DUCKDB:
        sign, scales = CALCULATIONS[type(node)][0], (as_decimal(left).scale, as_decimal(right).scale)
        text = f"CAST(:this AS DECIMAL(38, {scales[0]})) {sign} CAST(:expression AS DECIMAL(38, {scales[1]}))"
        _become(node, filled(text, engine, **parts))


def _shift(node: Any, engine: str) -> None:
    """Days and months of dates; intervals of timestamps are the engines' own."""
    if kind_of(node) != DATE:
        return
    sign = -1 if isinstance(node, exp.Sub) else 1
    shift: Any = node.expression
    if isinstance(shift, exp.Interval):
        unit, amount = shift.args["unit"].name.upper(), sign * int(shift.this.this)
        count: exp.Expr = exp.Literal.number(amount * {**DAYS, **MONTHS}[unit])
        name = "AddMonths" if unit in MONTHS else "TsOrDsAdd"
    else:
        count, name = (exp.Neg(this=exp.paren(shift.copy())) if sign < 0 else shift), "TsOrDsAdd"
    function = FUNCTIONS[name]
    template = function.duckdb if engine == DUCKDB else function.spark
    _become(node, filled(str(template), engine, this=node.this, expression=count))


def _negate(node: Any, engine: str) -> None:
    if kind_of(node) == WHOLE and not isinstance(node.this, exp.Literal):
        text = "TRY(-CAST(:this AS BIGINT))" if engine == DUCKDB else "TRY_SUBTRACT(CAST(0 AS BIGINT), CAST(:this AS BIGINT))"
        _become(node, filled(text, engine, this=node.this))


def _remainder(node: Any, engine: str) -> None:
    if engine == DUCKDB:
        _become(node, filled(":this % NULLIF(:expression, 0)", engine, this=node.this, expression=node.expression))


def _join(node: Any, engine: str) -> None:
    """Timestamps are texts without an offset."""
    for part in list(node.args.values()):
        if isinstance(part, exp.Expr) and kind_of(part) == TIMESTAMP and engine == DUCKDB:
            part.replace(filled(CASTS[TIMESTAMP.name, TEXT.name][0], engine, this=part))


def _add_up(node: Any, engine: str) -> None:
    """Sums of whole numbers are exact, and NULL where they have more than 64 bits."""
    if kind_of(node) == WHOLE:
        whole = _around(node)
        if engine != DUCKDB:
            _each(node, "CAST(:this AS DECIMAL(38, 0))", engine)
        _become(whole, filled("TRY_CAST(:this AS BIGINT)", engine, this=whole))


def _average(node: Any, engine: str) -> None:
    """A mean is the exact sum by the number of values; of doubles it is the engine's own."""
    value = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
    if kind_of(value) not in (DOUBLE, UNKNOWN):
        if engine != DUCKDB and kind_of(value) == WHOLE:
            _each(node, "CAST(:this AS DECIMAL(38, 0))", engine)
        whole = _around(node)
        total, number = (_instead(whole, node, class_(this=node.this.copy())) for class_ in (exp.Sum, exp.Count))
        divided = "CAST(:total AS DOUBLE) / NULLIF(:number, 0)" if engine == DUCKDB else "CAST(:total AS DOUBLE) / :number"
        _become(whole, filled(divided, engine, total=total, number=number))


def _each(node: Any, template: str, engine: str) -> None:
    value = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
    value.replace(filled(template, engine, this=value))


def _around(node: exp.Expr) -> exp.Expr:
    """An aggregate with its filter and window."""
    found = node
    while isinstance(found.parent, exp.Filter | exp.Window) and found.arg_key == "this":
        found = found.parent
    return found


def _instead(whole: exp.Expr, node: exp.Expr, new: exp.Expr) -> exp.Expr:
    """A copy of an aggregate with its filter and window, of another function."""
    if whole is node:
        return new
    node.meta["mine"] = True
    copy = whole.copy()
    node.meta.pop("mine")
    next(found for found in copy.walk() if found.meta.pop("mine", False)).replace(new)
    return copy


WORDS: dict[type, Callable[[Any, str], None]] = {
    **dict.fromkeys((exp.Cast, exp.TryCast, exp.TsOrDsToDate), _cast),
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul, exp.Div), _calculate),
    exp.Neg: _negate,
    exp.Mod: _remainder,
    exp.DPipe: _join,
    exp.Sum: _add_up,
    exp.Avg: _average,
    **dict.fromkeys((exp.Like, exp.ILike), sql_patterns.write_like),
    **dict.fromkeys((exp.RegexpLike, exp.RegexpExtract, exp.RegexpReplace), sql_patterns.write),
}
