"""Work for many partitions, done together where it can be: one that fails is set apart, and the others are done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from lake_pipeline.errors import Transient
from lake_pipeline.storage.failures import is_passing

A = TypeVar("A")
MOST = 8  # errors without any success between them: then it is no partition's own


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
            if isinstance(e, Transient) or is_passing(e) or len(keys) == 1:
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
