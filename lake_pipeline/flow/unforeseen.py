"""Errors that nobody foresaw, about a landed file: they are never taken for an answer, and they name the file.

What is wrong with a file is foreseen, and refused with a reason code. This is for the rest. What `apart` makes of it is
that such an error stops nobody else. A job of Glue runs this, too, and has no catalog's libraries.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lake_pipeline.errors import Terminal, Transient
from lake_pipeline.formats.spool import Refused


class Unforeseen(Terminal):
    """A file made an engine or a library fail in a way that nobody foresaw: a defect of the pipeline."""


def passes(error: Exception) -> bool:
    """Whether reading the same again may succeed: then it is repeated, and no file is to blame."""
    return isinstance(error, Transient | ConnectionError | TimeoutError)


def said(error: Exception) -> str:
    """An error in a line, with its class where that is somebody else's."""
    if isinstance(error, Terminal):
        return str(error)
    first = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first}"


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
