"""Parsing of conditions: the operator and its operands, one function per production."""

from __future__ import annotations

from lake_pipeline.dqdl import nodes
from lake_pipeline.dqdl.cursor import Cursor
from lake_pipeline.dqdl.rules import DATE, DURATION, NUMBER, SIZE, STRING
from lake_pipeline.dqdl.tokens import SIZE_UNITS, TIME_UNITS, Span

Variables = dict[str, str | tuple[str, ...]]

MAX_DIGITS = 18
COMPARISONS = ("=", "!=", ">", ">=", "<", "<=")
OPERATORS = (*(f"`{op}`" for op in COMPARISONS), "between", "in", "matches", "not")
STRING_OPERATORS = frozenset(("=", "!=", "in", "not in", "matches", "not matches"))
SPECIAL_OPERATORS = frozenset(("=", "!=", "in", "not in"))
SPECIALS = {"null": "NULL", "empty": "EMPTY", "whitespaces_only": "WHITESPACES_ONLY"}
KINDS: dict[type, str] = {
    nodes.Text: STRING,
    nodes.Day: DATE,
    nodes.Clock: DATE,
    nodes.Now: DATE,
    nodes.Duration: DURATION,
    nodes.Size: SIZE,
    nodes.Number: NUMBER,
    nodes.Call: NUMBER,
    nodes.Arithmetic: NUMBER,
    nodes.Parenthesis: NUMBER,
}
CALLED = {
    STRING: "a quoted string",
    NUMBER: "a number",
    DATE: 'a date ("2026-02-25", now() or a time "21:45")',
    DURATION: "a duration (3 days)",
    SIZE: "a size (5 MB)",
}


def at_condition(cursor: Cursor) -> bool:
    """Whether a condition starts here."""
    token = cursor.token
    if token.kind == "symbol":
        return token.value in ("=", "!", ">", ">=", "<", "<=")
    return cursor.at_keyword("between", "in", "matches", "not")


def condition(cursor: Cursor, kinds: tuple[str, ...], variables: Variables) -> nodes.Condition:
    """A condition of one of the kinds."""
    start = cursor.token.span
    op = _operator(cursor)
    first = cursor.token.span
    operands = _operands(cursor, op, kinds, variables)
    if kinds == (SIZE,):
        operands = tuple(_as_size(o) for o in operands)
    kind = _kind(cursor, operands, kinds, Span(first.start, cursor.previous.span.end))
    if kind == STRING and op not in STRING_OPERATORS:
        cursor.fail(f"{op} does not compare strings", at=start, expected=STRING_OPERATORS)
    if any(isinstance(o, nodes.Special) for o in operands) and op not in SPECIAL_OPERATORS:
        cursor.fail(f"{op} does not compare NULL or EMPTY", at=start, expected=SPECIAL_OPERATORS)
    if op.endswith("matches") and not isinstance(operands[0], nodes.Text):
        cursor.fail(f"{op} needs a regular expression", at=start, expected=["a quoted string"])
    return nodes.Condition(kind, op, operands)


def _operator(cursor: Cursor) -> str:
    if cursor.accept("not", "keyword"):
        if not cursor.at_keyword("between", "in", "matches"):
            cursor.fail(expected=["between", "in", "matches"])
        return "not " + cursor.advance().value
    if cursor.at_keyword("between", "in", "matches"):
        return cursor.advance().value
    if cursor.accept("!"):
        cursor.expect("=")
        return "!="
    if cursor.token.kind == "symbol" and cursor.token.value in COMPARISONS:
        return cursor.advance().value
    cursor.fail(expected=OPERATORS)


def _operands(
    cursor: Cursor, op: str, kinds: tuple[str, ...], variables: Variables
) -> tuple[nodes.Operand, ...]:
    if op.endswith("between"):
        low = _operand(cursor, kinds)
        cursor.expect("and", "keyword")
        return low, _operand(cursor, kinds)
    if not op.endswith("in"):
        return (_operand(cursor, kinds),)
    if cursor.token.kind == "variable":
        return _variable_list(cursor, variables)
    cursor.expect("[")
    found = [_operand(cursor, kinds)]
    while cursor.accept(","):
        found.append(_operand(cursor, kinds))
    cursor.expect("]")
    return tuple(found)


def _variable_list(cursor: Cursor, variables: Variables) -> tuple[nodes.Operand, ...]:
    span = cursor.token.span
    value = variable(cursor, variables)
    if isinstance(value, str):
        cursor.fail("this variable is a string, not an array", at=span)
    return tuple(nodes.Text(_quote_escaped(raw)) for raw in value)


def variable(cursor: Cursor, variables: Variables) -> str | tuple[str, ...]:
    """The value of the variable that is read here."""
    if cursor.token.value not in variables:
        cursor.fail(
            f"variable {cursor.token.text} is not defined", expected=[f"${name}" for name in variables]
        )
    return variables[cursor.advance().value]


def _kind(cursor: Cursor, operands: tuple[nodes.Operand, ...], kinds: tuple[str, ...], span: Span) -> str:
    """The one kind that the operands have; NULL is of any kind, alone of a number's."""
    found = {KINDS[type(o)] for o in operands if not isinstance(o, nodes.Special)}
    if any(isinstance(o, nodes.Special) and o.name != "NULL" for o in operands):
        found.add(STRING)
    if not found:
        found = {NUMBER if NUMBER in kinds else kinds[0]}
    if len(found) > 1:
        cursor.fail("the operands are of different kinds: " + ", ".join(sorted(found)), at=span)
    kind = found.pop()
    if kind not in kinds:
        cursor.fail(
            f"this rule does not compare with {CALLED[kind]}", at=span, expected=[CALLED[k] for k in kinds]
        )
    return kind


def _as_size(operand: nodes.Operand) -> nodes.Operand:
    """A bare integer is a number of bytes."""
    if isinstance(operand, nodes.Number) and operand.text.isdigit() and len(operand.text) <= MAX_DIGITS:
        return nodes.Size(int(operand.text))
    return operand


def _operand(cursor: Cursor, kinds: tuple[str, ...]) -> nodes.Operand:
    token = cursor.token
    if token.kind == "string":
        return nodes.Text(_quote_escaped(cursor.advance().value))
    if token.kind == "date":
        return nodes.Day(cursor.advance().value)
    if token.kind == "time":
        return nodes.Clock(cursor.advance().value)
    if cursor.at_keyword(*SPECIALS):
        return nodes.Special(SPECIALS[cursor.advance().value])
    if cursor.at("now", "word"):
        return _now(cursor)
    if cursor.at("(") and cursor.following.text == "now":
        return _shifted_now(cursor)
    if token.kind == "int" and cursor.following.value in (*TIME_UNITS, *SIZE_UNITS):
        return _measured(cursor)
    called = token.kind == "word" and cursor.following.text == "("
    if called or token.kind in ("int", "decimal") or cursor.at("(") or cursor.at("-"):
        return arithmetic(cursor)
    cursor.fail(expected=[CALLED[k] for k in kinds])


def _quote_escaped(raw: str) -> str:
    """The string with a backslash before each single quote that has none."""
    out, escaped = [], False
    for char in raw:
        out.append("\\'" if char == "'" and not escaped else char)
        escaped = char == "\\" and not escaped
    return "".join(out)


def _now(cursor: Cursor) -> nodes.Now:
    cursor.expect("now", "word")
    cursor.expect("(")
    cursor.expect(")")
    return nodes.Now()


def _shifted_now(cursor: Cursor) -> nodes.Now:
    cursor.expect("(")
    _now(cursor)
    if not (cursor.at("+") or cursor.at("-")):
        cursor.fail(expected=["`+`", "`-`"])
    sign = cursor.advance().value
    amount = _integer(cursor)
    if not cursor.at_keyword(*TIME_UNITS):
        cursor.fail(expected=TIME_UNITS)
    unit = cursor.advance().value
    cursor.expect(")")
    return nodes.Now(sign, amount, unit)


def _integer(cursor: Cursor) -> int:
    if len(cursor.token.value) > MAX_DIGITS:
        cursor.fail(f"a number of more than {MAX_DIGITS} digits")
    return int(cursor.expect_kind("int", "an integer").value)


def _measured(cursor: Cursor) -> nodes.Operand:
    amount = _integer(cursor)
    unit = cursor.advance().value
    return nodes.Duration(amount, unit) if unit in TIME_UNITS else nodes.Size(amount, unit)


def arithmetic(cursor: Cursor) -> nodes.NumericOperand:
    """Numbers, functions and parentheses joined by ``+ - * /``, all of one precedence."""
    first = _atom(cursor)
    rest = []
    while cursor.token.kind == "symbol" and cursor.token.value in ("+", "-", "*", "/"):
        op = cursor.advance().value
        rest.append((op, _atom(cursor)))
    return nodes.Arithmetic(first, tuple(rest)) if rest else first


def _atom(cursor: Cursor) -> nodes.NumericOperand:
    if cursor.accept("("):
        with cursor.nested():
            inner = arithmetic(cursor)
        cursor.expect(")")
        return nodes.Parenthesis(inner)
    if cursor.token.kind == "word" and cursor.following.text == "(":
        return _call(cursor)
    sign = "-" if cursor.accept("-") else ""
    if cursor.token.kind not in ("int", "decimal"):
        cursor.fail(expected=["a number"])
    return nodes.Number(sign + cursor.advance().value)


def _call(cursor: Cursor) -> nodes.Call:
    name = cursor.advance().value
    cursor.expect("(")
    args: list[nodes.NumericOperand] = []
    with cursor.nested():
        while not cursor.at(")"):
            if args:
                cursor.expect(",")
            args.append(arithmetic(cursor))
    cursor.expect(")")
    return nodes.Call(name, tuple(args))
