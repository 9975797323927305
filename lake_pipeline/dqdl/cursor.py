"""The parser's place in the tokens, and how it complains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from lake_pipeline.dqdl.habits import advice, spelt
from lake_pipeline.dqdl.tokens import DQDLSyntaxError, Span, Token, tokenize

MAX_DEPTH = 50


class Cursor:
    """Tokens read one after the other, with the words that expect one token or fail."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._tokens = tokenize(source)
        self._at = 0
        self._depth = 0

    @property
    def token(self) -> Token:
        """The next token."""
        return self._tokens[self._at]

    @property
    def previous(self) -> Token:
        """The token taken last."""
        return self._tokens[max(self._at - 1, 0)]

    @property
    def following(self) -> Token:
        """The token after the next one."""
        return self.peek(1)

    def peek(self, ahead: int) -> Token:
        """A token further on; at the end, the end."""
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def advance(self) -> Token:
        """Take the next token."""
        token = self.token
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def at(self, value: str, kind: str = "symbol") -> bool:
        """Whether the next token is this symbol (or word of another kind)."""
        return self.token.kind == kind and self.token.value == value

    def at_keyword(self, *words: str) -> bool:
        """Whether the next token is one of these keywords."""
        return self.token.kind == "keyword" and self.token.value in words

    def accept(self, value: str, kind: str = "symbol") -> bool:
        """Take the next token if it is this one."""
        if self.at(value, kind):
            self.advance()
            return True
        return False

    def expect(self, value: str, kind: str = "symbol") -> Token:
        """Take this token or fail."""
        if not self.at(value, kind):
            self.fail(expected=[f"`{value}`" if kind == "symbol" else value])
        return self.advance()

    def expect_kind(self, kind: str, called: str) -> Token:
        """Take a token of a kind or fail, saying what it would have been."""
        if self.token.kind != kind:
            self.fail(expected=[called])
        return self.advance()

    @contextmanager
    def nested(self) -> Iterator[None]:
        """One level of nesting deeper; the bound keeps hostile input from exhausting the stack."""
        if self._depth == MAX_DEPTH:
            self.fail(f"nested deeper than {MAX_DEPTH} levels")
        self._depth += 1
        yield
        self._depth -= 1

    def fail(
        self,
        problem: str | None = None,
        *,
        at: Span | None = None,
        expected: Iterable[str] = (),
        word: str | None = None,
    ) -> NoReturn:
        """Raise the syntax error at the next token (or the span), by default that it is not expected."""
        token = self.token
        if word is None and token.kind in ("word", "keyword", "variable"):
            word = token.text
        place = at or token.span
        habit = advice(self.source, place.start) or advice(self.source, token.span.start)
        raise DQDLSyntaxError(problem or self._unexpected(token), self.source, place, expected, word, habit)

    def _unexpected(self, token: Token) -> str:
        if token.kind == "end":
            return "the text ends here"
        if token.kind == "bad" and token.text == '"':
            return "this string has no closing quote"
        if token.kind == "bad" and token.text == "#":
            return "a comment must end with a newline"
        if token.kind in ("date", "time"):
            return f"{token.text} is always a {token.kind} and cannot stand here"
        return f"unexpected {spelt(token.text)}"
