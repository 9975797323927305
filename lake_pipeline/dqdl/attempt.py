"""The one place where any error of an engine is caught: it belongs to a rule, not to the evaluation.

Ibis, DuckDB and Spark have no common root of errors, and a rule that breaks must not break the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lake_pipeline.errors import LakeError, Transient

MAX_REASON = 500
T = TypeVar("T")


@dataclass(frozen=True)
class Failure:
    """Why something could not be done, in one line."""

    reason: str


def attempt(run: Callable[[], T]) -> T | Failure:
    """The result, or the failure with its reason."""
    try:
        return run()
    except Transient:  # a machine that was lost is no verdict
        raise
    except LakeError as error:
        return Failure(_one_line(str(error)))
    except Exception as error:  # noqa: BLE001
        return Failure(f"{type(error).__name__}: {_one_line(str(error))}")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MAX_REASON]
