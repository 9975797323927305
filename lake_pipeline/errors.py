"""The one hierarchy of this project's errors: every failure is transient or terminal.

A transient error may succeed when the same command is repeated (throttling, a timeout, a commit
that lost a race); Dagster repeats it. A terminal error will not (bad data, a bad
contract, wrong use); it fails at once. A message says what happened, where, what would have been
valid, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LakeError(Exception):
    """Root of every error that lake_pipeline raises on purpose."""


class Transient(LakeError):
    """Repeating the same command later may succeed. repeats: how often that is worth it; None for any number."""

    repeats: int | None = None


class Terminal(LakeError):
    """Repeating the same command cannot succeed: somebody has to change something first."""


class UsageError(Terminal):
    """The command or the configuration asks for something that does not exist or makes no sense."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint appended to a message about an unknown name: ``' Did you mean "orders"?'`` or ``''``.

    >>> did_you_mean("ordres", ["orders", "flights"])
    ' Did you mean "orders"?'
    >>> did_you_mean("ID", ["order", "id"])
    ' Did you mean "id"?'
    >>> did_you_mean("xyz", ["orders", "flights"])
    ''
    """
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1) or [n for n in names if n.lower() == word.lower()]
    return f' Did you mean "{close[0]}"?' if close else ""
