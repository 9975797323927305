"""Functions that a database has already, as Ibis functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import ibis
import ibis.expr.datatypes as dt

from lake_pipeline.engines.casts import Expr


def builtin(name: str, takes: tuple[dt.DataType, ...], gives: dt.DataType) -> Callable[..., Expr]:
    """A function of the database as an Ibis function."""
    arguments = [f"a{i}" for i in range(len(takes))]

    def function(*_: Any) -> Any: ...

    function.__name__ = name
    function.__signature__ = signature(arguments)  # type: ignore[attr-defined]
    made: Callable[..., Expr] = ibis.udf.scalar.builtin(function, name=name, signature=(takes, gives))
    return made


def signature(names: list[str]) -> Any:
    """A signature of positional parameters, which Ibis reads off a function."""
    return inspect.Signature([inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names])
