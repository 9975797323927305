r"""Patterns in users' SQL: the common ground of Java and RE2, and what `$`, `.` and `\s` mean in both."""

from __future__ import annotations

import re
from typing import Any

import sqlglot
from sqlglot import exp

from lake_pipeline.dqdl.sql_arguments import LOWER, number, text
from lake_pipeline.dqdl.sql_kinds import ANY, TEXT, kind_of
from lake_pipeline.dqdl.subject import RuleError

# What only one of them knows, or both understand in their own way.
REFUSED = {
    r"\(\?<?[=!]|\(\?>|\(\?P": "look-around, atomic and named groups",
    r"(?<!\\)(?:\\\\)*\\[1-9]": "references to groups",
    r"[*+?}]\+": "possessive quantifiers",
    r"\[\[|\[:|&&|\[\^?[^\]\\]*\[": "a class within a class",
    r"(?<!\\)(?:\\\\)*\\[^\\dDwWsStnr.^$|()\[\]{}*+?/\-_@#%&~'\" ,:;=<>!zA]": "escapes other than \\d, \\w, \\s, \\t, \\n, \\r",
    r"\(\?(?!:)": "flags (match lower(text) instead)",
}
SPACES = r" \t\n\r\f"
PIECES = re.compile(r"\\.|\[\^?|\]|\$|\.", re.DOTALL)


def check(node: Any) -> None:
    """Refuse a pattern that is not written, or means different things; and what it is replaced by."""
    pattern = text(node.expression)
    if pattern is None:
        raise RuleError("a pattern is a text as written, and no column")
    for found, what in REFUSED.items():
        if re.search(found, pattern):
            raise RuleError(
                f"the pattern '{pattern}': {what} mean different things on different engines, or nothing"
            )
    try:
        compiled = re.compile(pattern.replace(r"\z", r"\Z"))
    except re.error as error:
        raise RuleError(f"the pattern '{pattern}' is none: {error}") from error
    if isinstance(node, exp.RegexpExtract):
        _check_group(node, compiled)
    if isinstance(node, exp.RegexpReplace):
        _check_replacement(node, compiled)


def _check_group(node: Any, compiled: re.Pattern[str]) -> None:
    group = number(node.args.get("group"))
    if group is None or not 0 <= group <= compiled.groups:
        raise RuleError(
            f"regexp_extract: the pattern has {compiled.groups} groups; give the number of one, or 0 for all of it"
        )
    if node.args.get("position") is not None:
        raise RuleError("regexp_extract takes a text, a pattern and a group")


def _check_replacement(node: Any, compiled: re.Pattern[str]) -> None:
    new = text(node.args.get("replacement"))
    if new is None or "\\" in new or any(int(n) > compiled.groups for n in re.findall(r"\$([0-9])", new)):
        raise RuleError(
            "regexp_replace: the new text is written, with $1 for a group and without backslashes"
        )
    if re.search(r"\$(?![0-9])|\$[0-9]{2}", new):
        raise RuleError("regexp_replace: $ stands before the number of a group")
    if compiled.search("") is not None or node.args.get("position") is not None:
        raise RuleError(
            "regexp_replace: a pattern that matches no letters means different things on different engines"
        )


def write(node: Any, engine: str) -> None:
    """The pattern, the same for every engine; in a replacement, groups are written differently."""
    pattern = common_form(text(node.expression) or "")
    node.set("expression", exp.Literal.string(pattern))
    if isinstance(node, exp.RegexpReplace) and engine == "duckdb":
        new = re.sub(r"\$([0-9])", r"\\\1", text(node.args["replacement"]) or "")
        node.set("replacement", exp.Literal.string(new))


def common_form(pattern: str) -> str:
    r"""The pattern with `$` as the end of the text, `.` as all but a line feed, and `\s` as Perl has it.

    >>> common_form(r"^a.\s$")
    '^a[^\\n][ \\t\\n\\r\\f]\\z'
    """
    inside = False

    def piece(found: re.Match[str]) -> str:
        nonlocal inside
        part = found[0]
        if part.startswith("["):
            inside = True
        elif part == "]":
            inside = False
        elif part == r"\s":
            return SPACES if inside else f"[{SPACES}]"
        elif part == r"\S" and not inside:
            return f"[^{SPACES}]"
        elif not inside and part in ("$", "."):
            return {"$": r"\z", ".": r"[^\n]"}[part]
        return part

    return PIECES.sub(piece, pattern)


def engine_dialect(engine: str) -> str:
    """The dialect of an engine's words."""
    return "duckdb" if engine == "duckdb" else "spark"


def check_like(node: Any) -> None:
    """`like` is of texts, and its pattern is written."""
    for part in (node.this, node.expression):
        if kind_of(part).name not in {TEXT.name, *ANY}:
            raise RuleError(f"{part.sql(dialect='spark')} is no text; cast it, as in cast(x as string)")
    if text(node.expression) is None:
        raise RuleError("like: the pattern is a text as written, and no column")
    escape = text(node.parent.expression) if isinstance(node.parent, exp.Escape) else "\\"
    if re.search(
        re.escape(escape or "") + r"(?![%_]|" + re.escape(escape or "") + ")",
        (text(node.expression) or "").replace((escape or "") * 2, ""),
    ):
        raise RuleError(f"like: after {escape} stands %, _ or {escape}")


def write_like(node: Any, engine: str) -> None:
    """A backslash takes the meaning from `%` and `_`; without regard to case, both sides are in lower case."""
    if isinstance(node, exp.ILike):
        pattern = (text(node.expression) or "").replace("Σ", "σ").replace("İ", "i").lower()
        lower = sqlglot.parse_one(LOWER, read=engine_dialect(engine))
        for place in list(lower.find_all(exp.Placeholder)):
            place.replace(node.this.copy())
        like = exp.Like(this=lower, expression=exp.Literal.string(pattern), negate=node.args.get("negate"))
        node.replace(like)
        node = like
    if (
        engine == "duckdb"
        and not isinstance(node.parent, exp.Escape)
        and "\\" in (text(node.expression) or "")
    ):
        escaped = exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))
        node.replace(escaped)
