"""What functions ask of their arguments besides their kinds, and templates that follow from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from sqlglot import exp

from lake_pipeline.dqdl.sql_kinds import DOUBLE, TEXT, WHOLE, common, kind_of
from lake_pipeline.dqdl.subject import RuleError

# Letters whose upper case is several letters, and marks that stand for them while the others change: engines differ.
SPECIALS = "".join(c for c in map(chr, range(0x100, 0xFB18)) if len(c.upper()) > 1)
PRIVATE = "".join(chr(0xF100 + i) for i in range(len(SPECIALS)))
MAX_DIGITS = 15
MOST_LETTERS = 1_000_000
BOUNDED = (
    f"CAST(CASE WHEN {{0}} < 0 THEN 0 WHEN {{0}} > {MOST_LETTERS} THEN {MOST_LETTERS} ELSE {{0}} END AS INT)"
)
LEFT, RIGHT = (f"{name}(:this, {BOUNDED.format(':expression')})" for name in ("LEFT", "RIGHT"))
# A last sigma and the dotted I, which engines put into lower case each in their own way, done beforehand.
LOWER = "LOWER(REPLACE(REPLACE(:this, 'Σ', 'σ'), 'İ', 'i'))"
UNITS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")
DAY_UNITS = {
    **dict.fromkeys(("year", "yyyy", "yy"), "year"),
    "quarter": "quarter",
    **dict.fromkeys(("month", "mon", "mm"), "month"),
    "week": "week",
}
FIELDS = {
    **{unit: unit for unit in UNITS if unit != "second"},
    **{"doy": "dayofyear", "dayofyear": "dayofyear", "dow": "dayofweek", "dayofweek": "dayofweek"},
}
FORMAT = re.compile(r"(?:%Y|%(?:m|d|H|M|S)strict|[^%a-zA-Z'])+")
NOT_ARGUMENTS = (exp.DataType, exp.Var, exp.Identifier, exp.Order, exp.Interval)


def of(node: exp.Expr) -> list[exp.Expr]:
    """The arguments of a call that are values."""
    return [found for found in _values(node) if not isinstance(found, NOT_ARGUMENTS)]


def _values(node: exp.Expr) -> Iterator[exp.Expr]:
    for name, value in node.args.items():
        if name in ("unit", "format", "to", "ifs"):
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, exp.Distinct):
                yield from item.expressions
            elif isinstance(item, exp.Expr):
                yield item


def number(node: exp.Expr | None) -> int | None:
    """A whole number as it is written, or None."""
    sign = -1 if isinstance(node, exp.Neg) else 1
    plain = node.this if isinstance(node, exp.Neg) else node
    return sign * int(plain.this) if isinstance(plain, exp.Literal) and plain.is_int else None


def text(node: exp.Expr | None) -> str | None:
    """A text as it is written, or None."""
    return str(node.this) if isinstance(node, exp.Literal) and node.is_string else None


def _refuse(unless: Any, message: str) -> None:
    if not unless:
        raise RuleError(message)


def whole_replace(node: Any) -> None:
    """`replace` says what with."""
    _refuse(node.args.get("replacement"), "write replace(text, old, ''): it takes three texts")


def pad(node: Any) -> None:
    """A length and a text that are written."""
    given = node.args.get("fill_pattern")
    _refuse(given is None or text(given), "lpad, rpad: what to fill with is a text as written, and not empty")
    times(node)


def times(node: Any) -> None:
    """A number of letters that is written, and not so large that memory ends."""
    given = number(node.args.get("times") or node.expression)
    fine = given is not None and given <= MOST_LETTERS
    _refuse(fine, f"{node.sql_name().lower()}: how many is a number up to {MOST_LETTERS}, as written")


def from_start(node: Any) -> None:
    """`locate` begins at a position from 1."""
    given = node.args.get("position")
    _refuse(given is None or (number(given) or 0) > 0, "locate: the position is a number from 1, as written")


def split_part(node: Any) -> None:
    """A separator and a number that engines take alike."""
    _refuse(text(node.args["delimiter"]), "split_part: the separator is a text as written, and not empty")
    _refuse(number(node.args["part_index"]), "split_part: the number of the part is written, and not 0")


def sha256(node: Any) -> None:
    """The one length that every engine has."""
    _refuse(number(node.args.get("length")) in (0, 256), "write sha2(text, 256)")


def alone(name: str) -> Callable[[Any], None]:
    """An argument that cannot be given."""

    def check(node: Any) -> None:
        _refuse(node.args.get(name) is None, f"{node.sql_name().lower()} takes no {name} here")

    return check


def places(node: Any) -> int:
    """The digits that `round` keeps."""
    return number(node.args.get("decimals")) or 0


def digits(node: Any) -> None:
    """`round` keeps a number of digits that is written."""
    given = node.args.get("decimals")
    fine = given is None or number(given) in range(MAX_DIGITS + 1)
    _refuse(fine, f"round: the digits are a number from 0 to {MAX_DIGITS}, as written")


def base(node: Any) -> None:
    """A base of logarithms is a number above 1."""
    given = node.this
    fine = isinstance(given, exp.Literal) and not given.is_string and float(given.this) > 1
    _refuse(fine and node.expression, "log: the base is a number above 1, as written")


def share(node: Any) -> None:
    """A percentile's share is a number that is written."""
    given = node.args["quantile"]
    fine = isinstance(given, exp.Literal) and not given.is_string and 0 <= float(given.this) <= 1
    _refuse(fine, "percentile: the share is a number from 0 to 1, as written")


def subquery(node: Any) -> None:
    """`exists` is of a query, and not of a list."""
    _refuse(isinstance(node.this.unnest(), exp.Query), "exists is of a query: exists (select …)")


def item_of_list(node: Any) -> None:
    """A list, and a value of the kind that it has."""
    item = kind_of(node.this).item
    _refuse(item or kind_of(node.this).name == "unknown", "array_contains takes a list and a value")
    common([kind_of(node.expression), *([item] if item else [])], "array_contains")


def list_of_texts(node: Any) -> None:
    """`array_join` is of texts."""
    _refuse(kind_of(node.this).item in (TEXT, None), "array_join takes a list of texts")
    _refuse(node.args.get("null") is None, "array_join takes no text for NULL")


def no_format(node: Any) -> None:
    """`to_date` without a format."""
    message = "to_date reads 2026-02-25; for another form, say `format` of the column in the contract, or build the text"
    _refuse(node.args.get("format") is None, message)


def date_format(node: Any) -> None:
    """The fields that engines write alike."""
    fine = FORMAT.fullmatch(text(node.args["format"]) or "")
    _refuse(fine, "date_format: the format is written of yyyy MM dd HH mm ss and marks between them")


def field(node: Any) -> None:
    """The fields that engines count alike."""
    _refuse(node.name.lower() in FIELDS, f"extract knows {', '.join(FIELDS)}; seconds are second(moment)")


def extract(node: Any) -> str:
    """A field; Sunday is 1."""
    name = FIELDS[node.name.lower()]
    return "DAYOFWEEK(:expression) + 1" if name == "dayofweek" else f"{name.upper()}(:expression)"


def _unit(node: Any) -> str:
    return str(node.args["unit"].name).lower()


def trunc_unit(node: Any) -> None:
    """The units of `date_trunc`."""
    _refuse(_unit(node) in UNITS, f"date_trunc knows {', '.join(UNITS)}")


def timestamp_trunc(node: Any) -> str:
    """A timestamp, of a date too."""
    return f"DATE_TRUNC('{_unit(node)}', CAST(:this AS TIMESTAMPTZ))"


def day_unit(node: Any) -> None:
    """The units of `trunc`."""
    _refuse(_unit(node) in DAY_UNITS, f"trunc knows {', '.join(DAY_UNITS)}")


def date_trunc(node: Any) -> str:
    """A date, of a timestamp too."""
    return f"CAST(DATE_TRUNC('{DAY_UNITS[_unit(node)]}', CAST(:this AS DATE)) AS DATE)"


def trim(node: Any) -> str:
    """Spaces only, or the letters that are given."""
    name = {"LEADING": "LTRIM", "TRAILING": "RTRIM"}.get(node.args.get("position") or "", "TRIM")
    return f"{name}(:this, :expression)" if node.expression else f"{name}(:this, ' ')"


def substring(node: Any) -> str:
    """Position 0 is the first, too, and less than no letters are none."""
    start, length = node.args.get("start"), node.args.get("length")
    bounds = (
        f"WHEN :start > {MOST_LETTERS} THEN {MOST_LETTERS} WHEN :start < -{MOST_LETTERS} THEN -{MOST_LETTERS}"
    )
    first = (
        ":start" if number(start) else f"CAST(CASE WHEN :start = 0 THEN 1 {bounds} ELSE :start END AS INT)"
    )
    return (
        f"SUBSTRING(:this, {first})"
        if length is None
        else (f"SUBSTRING(:this, {first}, {BOUNDED.format(':length')})")
    )


def to_whole(name: str) -> Callable[[Any], str]:
    """A whole number of 64 bits, and NULL where it would have more."""
    of_double = f"CASE WHEN ABS(:this) < 9.2E18 THEN CAST({name}(:this) AS BIGINT) END"
    templates = {DOUBLE: of_double, WHOLE: "CAST(:this AS BIGINT)"}
    return lambda node: templates.get(kind_of(node.this), f"TRY_CAST({name}(:this) AS BIGINT)")
