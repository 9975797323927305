"""The declared transform steps as values; `lake_pipeline.engines.transform` turns them into Ibis.

One class per step. `renamed` follows a column's name through a step, so that the columns a file must
bring can be told from those a transform makes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lake_pipeline.errors import did_you_mean


class Step(Protocol):
    """One step of a transform."""

    def makes(self) -> Mapping[str, str | None]:
        """The columns the step makes: name → the column it was renamed from, or None for a new one."""
        ...


@dataclass(frozen=True)
class Rename:
    """``rename: {new: old}``: a column under another name."""

    columns: Mapping[str, str]

    def makes(self) -> Mapping[str, str | None]:
        """Every new name comes from its old one."""
        return dict(self.columns)


@dataclass(frozen=True)
class Derive:
    """``derive: {name: SQL expression}``: a computed column; one of that name is replaced."""

    columns: Mapping[str, str]

    def makes(self) -> Mapping[str, str | None]:
        """Derived columns that refer to themselves (``amount: amount * 2``) are landed, the others new."""
        return {
            name: name if name.casefold() in names_in(sql) else None for name, sql in self.columns.items()
        }


SQL_NAME = re.compile(r"""'(?:[^']|'')*'|"((?:[^"]|"")+)"|([^\W\d]\w*)\b(?!\s*\()""")


def names_in(sql: str) -> set[str]:
    r"""What may be names of columns in an SQL expression, case-folded: not its texts, and not its functions.

    >>> sorted(names_in("upper(Note) || 'amount' || \"a b\""))
    ['a b', 'note']
    """
    found = (match[1] or match[2] for match in SQL_NAME.finditer(sql))
    return {name.replace('""', '"').casefold() for name in found if name}


@dataclass(frozen=True)
class Upper:
    """``upper: [columns]``: in upper case."""

    columns: tuple[str, ...]

    def makes(self) -> Mapping[str, str | None]:
        """Nothing new."""
        return {}


class Lower(Upper):
    """``lower: [columns]``: in lower case."""


class Trim(Upper):
    """``trim: [columns]``: without white space at both ends."""


@dataclass(frozen=True)
class Default:
    """``default: {column: value}``: the value for NULL."""

    columns: Mapping[str, Any]

    def makes(self) -> Mapping[str, str | None]:
        """Nothing new."""
        return {}


@dataclass(frozen=True)
class Select:
    """``select: [columns]``: drop the others."""

    columns: tuple[str, ...]

    def makes(self) -> Mapping[str, str | None]:
        """Nothing new."""
        return {}


@dataclass(frozen=True)
class Filter:
    """``filter: SQL condition``: rows for which it is not true are dropped and counted as filtered."""

    condition: str

    def makes(self) -> Mapping[str, str | None]:
        """Nothing new."""
        return {}


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and value and all(isinstance(v, str) for v in value):
        return tuple(value)
    raise ValueError("expects a list of column names")


def _texts(value: Any) -> Mapping[str, str]:
    if isinstance(value, Mapping) and value and all(isinstance(v, str) for v in value.values()):
        return {str(k): v for k, v in value.items()}
    raise ValueError("expects a mapping of names to texts")


def _values(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping) and value:
        return {str(k): v for k, v in value.items()}
    raise ValueError("expects a mapping of column names to values")


def _text(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise ValueError("expects an SQL condition")


STEPS: Mapping[str, Any] = {
    "rename": lambda v: Rename(_texts(v)),
    "derive": lambda v: Derive(_texts(v)),
    "upper": lambda v: Upper(_names(v)),
    "lower": lambda v: Lower(_names(v)),
    "trim": lambda v: Trim(_names(v)),
    "default": lambda v: Default(_values(v)),
    "select": lambda v: Select(_names(v)),
    "filter": lambda v: Filter(_text(v)),
}


def parse_step(step: Any) -> Step:
    """A step from its YAML form, a mapping with one known key; raises ValueError with the hint."""
    if not isinstance(step, Mapping) or len(step) != 1:
        raise ValueError(f"a transform step is one of {', '.join(STEPS)} with its argument; got {step!r}")
    ((name, argument),) = step.items()
    if name not in STEPS:
        raise ValueError(f'"{name}" is no transform step.{did_you_mean(str(name), STEPS)}')
    try:
        return STEPS[name](argument)  # type: ignore[no-any-return]
    except ValueError as e:
        raise ValueError(f"transform step {name}: {e}; got {argument!r}") from e


def landed_names(steps: tuple[Step, ...], contract_columns: tuple[str, ...]) -> Mapping[str, str]:
    """The contract columns a file must bring, by their name in the contract → their name in the file.

    >>> landed_names((Rename({"amount": "amt"}), Derive({"total": "amount * 2"})), ("amount", "total", "note"))
    {'amount': 'amt', 'note': 'note'}
    """
    origin: dict[str, str | None] = {name: name for name in contract_columns}
    for step in reversed(steps):
        made = step.makes()
        for column, name in origin.items():
            if name is not None and name in made:
                origin[column] = made[name]
    return {column: name for column, name in origin.items() if name is not None}
