"""Errors that nobody foresaw: they are never taken for an answer, they name their file, and they stop nobody else.

What is wrong with a file is foreseen, and refused with a reason code. For the rest there is this: the partitions of a
run are run in halves, until only those that have the error are left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from lake_pipeline.errors import Terminal, Transient
from lake_pipeline.formats.spool import Refused
from lake_pipeline.storage.failures import first_line, is_passing

A = TypeVar("A")
MOST = 8  # errors without any success between them: then it is no partition's own


class Unforeseen(Terminal):
    """A file made an engine or a library fail in a way that nobody foresaw: a defect of the pipeline."""


def passes(error: Exception) -> bool:
    """Whether repeating the same may succeed: then it is repeated, and nobody is to blame."""
    return isinstance(error, Transient) or is_passing(error)


def said(error: Exception) -> str:
    """An error in a line, with its class where that is somebody else's."""
    if isinstance(error, Terminal):
        return str(error)
    return f"{type(error).__name__}: {first_line(error)}"


@contextmanager
def about(key: str) -> Iterator[None]:
    """Have errors name the landed file that they are about."""
    try:
        yield
    except Exception as e:
        if passes(e) or isinstance(e, Unforeseen | Refused):
            raise
        raise Unforeseen(
            f'"{key}" made a reader fail: {said(e)}. This is a defect of lake_pipeline: please report it with the '
            "file. Until it is mended, take the file away, and the rest of its partition can be run."
        ) from e


def apart(work: Callable[[list[str]], A], keys: Sequence[str]) -> tuple[list[A], dict[str, Exception]]:
    """Do some work for all keys together, or in halves where it fails: its answers, and the errors by key.

    Raises what may pass by itself, the error of a single key, and one that every key has.
    """
    answers: list[A] = []
    errors: dict[str, Exception] = {}

    def some(part: list[str]) -> None:
        try:
            answers.append(work(part))
        except Exception as e:
            if passes(e) or len(keys) == 1:
                raise
            if len(part) > 1:
                some(part[: len(part) // 2])
                some(part[len(part) // 2 :])
                return
            errors[part[0]] = e
            if not answers and len(errors) >= min(MOST, len(keys)):
                raise

    some(list(keys))
    return answers, errors
