"""Text to tokens: DQDL's lexis, each token with its place in the source.

A character that belongs to no token becomes a token of kind ``bad`` instead of an error, because DQDL
ignores whatever follows the last block: only the parser knows whether the character matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from lake_pipeline.errors import Terminal, did_you_mean

LOWER_ONLY = ("between", "in", "not", "matches", "where", "with", "labels")
LOWER_OR_UPPER = ("and", "or", "of", "null", "empty", "whitespaces_only")
TIME_UNITS = ("days", "hours", "minutes")
SIZE_UNITS = ("B", "KB", "MB", "GB", "TB")
KEYWORDS = {word: word for word in (*LOWER_ONLY, *LOWER_OR_UPPER, *TIME_UNITS, *SIZE_UNITS)} | {
    word.upper(): word for word in LOWER_OR_UPPER
}

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\n]+ | \#[^\n]*\n)
    | (?P<string>"[^"\\]*(?:\\(?:["\\]|(?!["\\]))[^"\\]*)*")
    | (?P<variable>\$[A-Za-z_][A-Za-z0-9_]*)
    | (?P<word>[A-Za-z0-9_.]+)
    | (?P<symbol>>=|<=|[\[\]{}(),=!<>+\-*/:])
    """,
    re.VERBOSE,
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|(?:0?[1-9]|1[0-2]):[0-5][0-9] (?:AM|PM)")
_INT = re.compile(r"[0-9]+")
_DECIMAL = re.compile(r"[0-9]+\.[0-9]+")


class Span(NamedTuple):
    """A piece of the source: offsets ``start`` (inclusive) and ``end`` (exclusive)."""

    start: int
    end: int


class Token(NamedTuple):
    """One token: ``value`` is what it means (a string without its quotes), ``text`` what was written."""

    kind: str
    value: str
    text: str
    span: Span


class DQDLSyntaxError(Terminal):
    """A ruleset does not follow the grammar of DQDL; says where, what was expected and what was meant.

    ``line`` and ``column`` count from 1; ``snippet`` is the offending line with the text underlined.
    """

    def __init__(
        self,
        problem: str,
        source: str,
        span: Span,
        expected: Iterable[str] = (),
        word: str | None = None,
        advice: str = "",
    ) -> None:
        self.expected = tuple(sorted(set(expected)))
        self.span = span
        begin = source.rfind("\n", 0, span.start) + 1
        self.line = source.count("\n", 0, span.start) + 1
        self.column = span.start - begin + 1
        self.snippet = _underlined(source, span, begin)
        self.problem = problem
        wanted = f" Expected {_listed(self.expected)}." if self.expected else ""
        hint = did_you_mean(word, self.expected) if word and word not in self.expected else ""
        place = f"line {self.line}, column {self.column}"
        super().__init__(f"{place}: {problem}.{wanted}{advice}{hint}\n{self.snippet}")


def _listed(words: tuple[str, ...], most: int = 12) -> str:
    shown = ", ".join(words[:most])
    return f"{shown} or one of {len(words) - most} more" if len(words) > most else shown


def _underlined(source: str, span: Span, begin: int) -> str:
    """The source line of the span (cut to a screen's width) and a line of ``^`` below it."""
    stop = source.find("\n", begin)
    line = source[begin : stop if stop >= 0 else len(source)]
    column = span.start - begin
    shift = max(0, column - 60)
    width = max(1, min(span.end, begin + len(line)) - span.start)
    return f"  {line[shift : shift + 100]}\n  {' ' * (column - shift)}{'^' * min(width, 40)}"


def tokenize(source: str) -> list[Token]:
    """All tokens of the source, comments and white space left out, ending in one of kind ``end``.

    >>> [t.kind for t in tokenize('RowCount > 10')]
    ['word', 'symbol', 'int', 'end']
    """
    tokens: list[Token] = []
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        end = match.end() if match else at + 1
        span = Span(at, end)
        if match is None:
            tokens.append(Token("bad", source[at:end], source[at:end], span))
        elif match.lastgroup != "space":
            tokens.append(_token(str(match.lastgroup), match.group(), span))
        at = end
    tokens.append(Token("end", "", "", Span(len(source), len(source))))
    return tokens


def _token(group: str, text: str, span: Span) -> Token:
    """Split the lexical groups further: strings may be dates or times, words numbers or keywords."""
    if group == "string":
        return Token(_string_kind(text[1:-1]), text[1:-1], text, span)
    if group == "variable":
        return Token("variable", text[1:], text, span)
    if group == "word":
        return Token(_word_kind(text), KEYWORDS.get(text, text), text, span)
    return Token(group, text, text, span)


def _string_kind(content: str) -> str:
    if _DATE.fullmatch(content):
        return "date"
    return "time" if _TIME.fullmatch(content) else "string"


def _word_kind(text: str) -> str:
    if _INT.fullmatch(text):
        return "int"
    if _DECIMAL.fullmatch(text):
        return "decimal"
    return "keyword" if text in KEYWORDS else "word"
