r"""What users' SQL means: an engine's words for an expression whose kinds are known (`sql_typing`).

- Values are of a kind: text, whole number, decimal, double, boolean, date, timestamp, list or struct. Nothing is converted
  silently between numbers, texts, booleans and moments: `name > 5` is refused, and `cast(name as double) > 5` is not. A
  date or a timestamp may be compared with a text as written, as in `day >= '2026-03-01'`.
- What cannot be calculated is NULL: a division by 0, a whole number of more than 64 bits, the logarithm of 0, a text that
  is no number, a day that is not in the calendar.
- `/` divides doubles. Sums, differences and products of decimals are exact, and refused where they would need more than
  38 digits. Averages of whole numbers and decimals are made of the exact sum.
- `cast` from text takes the forms that columns take ([casts](casts.md)). To a whole number it drops the fraction, to a
  decimal it rounds half up, as `round` does.
- Timestamps are instants in UTC, and their text is `2026-03-01 08:00:00`, with as many decimals as needed.
- Patterns are written, and of the common ground of Java and RE2: `$` is the end of the text, `.` all but a line feed, and
  `\d`, `\w` and `\s` are ASCII.
- `upper('ß')` is `SS`; other letters whose upper case is several letters stay. Scripts that came with
  Unicode 14 may have a case on one engine only. A sigma's lower case is the same wherever it
  stands.
- NaN equals itself and is greater than all numbers; NULL comes first in an order.
- `exp`, `ln`, `log` and `power` may differ in the last digits of a double (the 16th), as may sums, averages and deviations of
  doubles, which depend on the order in which they are added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlglot
from sqlglot import exp

from lake_pipeline.dqdl import sql_patterns
from lake_pipeline.dqdl.sql_arguments import of as arguments_of
from lake_pipeline.dqdl.sql_casts import CASTS, FALSE, FORMS, TRUE
from lake_pipeline.dqdl.sql_functions import FUNCTIONS
from lake_pipeline.dqdl.sql_kinds import (
    DATE,
    DECIMAL,
    DOUBLE,
    MOMENTS,
    NULL,
    TEXT,
    TIMESTAMP,
    UNKNOWN,
    WHOLE,
    as_decimal,
    kind_of,
    with_kind,
)
from lake_pipeline.dqdl.sql_typing import DAYS, MONTHS

DUCKDB = "duckdb"
CALCULATIONS = {exp.Add: ("+", "TRY_ADD"), exp.Sub: ("-", "TRY_SUBTRACT"), exp.Mul: ("*", "TRY_MULTIPLY")}


def for_engine(statement: exp.Expr, engine: str) -> exp.Expr:
    """A typed statement in an engine's words; the innermost first, for a replacement is not looked at again."""
    holder: Any = exp.Paren(this=statement.copy())
    for node in reversed(list(holder.this.walk(bfs=False))):
        write = next((WORDS[class_] for class_ in type(node).__mro__ if class_ in WORDS), _called)
        write(node, engine)
    found: exp.Expr = holder.this
    return found


def filled(template: str, engine: str, **parts: exp.Expr) -> exp.Expr:
    """A template with its parts, each copied as often as it is there."""
    parsed = _parsed(template, engine)
    for place in list(parsed.find_all(exp.Placeholder)):
        place.replace(
            exp.paren(parts[place.this].copy())
            if isinstance(parts[place.this], exp.Binary)
            else parts[place.this].copy()
        )
    return exp.paren(parsed, copy=False) if isinstance(parsed, exp.Binary) else parsed


def _parsed(template: str, engine: str) -> exp.Expr:
    return sqlglot.parse_one(template, read=DUCKDB if engine == DUCKDB else "spark")


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
    type_ = exp.DataType.build(
        "TIMESTAMPTZ" if engine == DUCKDB and kind_of(node) == TIMESTAMP else to.copy()
    )
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
        divisor = (
            "NULLIF(CAST(:expression AS DOUBLE), 0)" if engine == DUCKDB else "CAST(:expression AS DOUBLE)"
        )
        _become(node, filled(f"CAST(:this AS DOUBLE) / {divisor}", engine, **parts))
    elif kind == WHOLE:
        sign, function = CALCULATIONS[type(node)]
        text = (
            f"TRY_CAST(CAST(:this AS HUGEINT) {sign} CAST(:expression AS HUGEINT) AS BIGINT)"
            if engine == DUCKDB
            else (f"{function}(CAST(:this AS BIGINT), CAST(:expression AS BIGINT))")
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
        text = (
            "TRY_CAST(-CAST(:this AS HUGEINT) AS BIGINT)"
            if engine == DUCKDB
            else "TRY_SUBTRACT(CAST(0 AS BIGINT), CAST(:this AS BIGINT))"
        )
        _become(node, filled(text, engine, this=node.this))


def _remainder(node: Any, engine: str) -> None:
    """By 0 it is NULL; by -1 it is that by 1, without an overflow."""
    if engine == DUCKDB:
        text = ":this % CASE WHEN :expression = -1 THEN 1 ELSE NULLIF(:expression, 0) END"
        _become(node, filled(text, engine, this=node.this, expression=node.expression))


def _join(node: Any, engine: str) -> None:
    """Timestamps are texts without an offset."""
    for part in arguments_of(node):
        if kind_of(part) == TIMESTAMP and engine == DUCKDB:
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
        total, number = (
            _instead(whole, node, class_(this=node.this.copy())) for class_ in (exp.Sum, exp.Count)
        )
        divided = (
            "CAST(:total AS DOUBLE) / NULLIF(:number, 0)"
            if engine == DUCKDB
            else "CAST(:total AS DOUBLE) / :number"
        )
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
    **dict.fromkeys((exp.DPipe, exp.Concat), _join),
    exp.Sum: _add_up,
    exp.Avg: _average,
    **dict.fromkeys((exp.Like, exp.ILike), sql_patterns.write_like),
    **dict.fromkeys((exp.RegexpLike, exp.RegexpExtract, exp.RegexpReplace), sql_patterns.write),
}
