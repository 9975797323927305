"""What producer and consumer agreed on, as frozen values: no YAML, no file positions, no engine.

`Contract.hash` is the identity of the agreement: it changes when data could be judged or stored
differently, and stays when somebody improves a description.
"""

from __future__ import annotations

import datetime
import decimal
import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import ibis

from lake_pipeline.contracts.datatypes import Array, Object, Type
from lake_pipeline.dqdl import Composite, Rule
from lake_pipeline.errors import UsageError, did_you_mean

AnyRule = Rule | Composite
Bound = int | float | decimal.Decimal | datetime.date | datetime.datetime
Value = str | int | float | decimal.Decimal | datetime.date
Severity = Literal["error", "warning"]
OnFail = Literal["refuse", "quarantine_rows", "warn"]
RESERVED_PREFIX = "_"


@dataclass(frozen=True)
class Column:
    """One column, or one field of an object, and what each of its values must satisfy.

    `pattern` is searched, not matched whole (write `^…$`); lengths count characters; `minimum` and
    `maximum` are inclusive, the other two bounds exclusive. All but `required` let NULL pass.
    """

    name: str
    type: Type
    required: bool = False
    unique: bool = False
    enum: tuple[Value, ...] = ()
    pattern: str | None = None
    minimum: Bound | None = None
    maximum: Bound | None = None
    exclusive_minimum: Bound | None = None
    exclusive_maximum: Bound | None = None
    min_length: int | None = None
    max_length: int | None = None
    description: str = ""
    classification: str | None = None
    tags: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)

    @property
    def meaning(self) -> tuple[object, ...]:
        """Everything of the column that decides about values; two equal meanings judge alike."""
        bounds = (self.minimum, self.maximum, self.exclusive_minimum, self.exclusive_maximum)
        lengths = (self.min_length, self.max_length)
        return (
            self.name,
            self.type_meaning,
            self.required,
            self.unique,
            self.enum,
            self.pattern,
            bounds,
            lengths,
        )

    @property
    def type_meaning(self) -> tuple[object, ...]:
        """The type and, for objects, what their fields must satisfy."""
        return (str(self.type), *(column.meaning for column in _fields(self.type)))


def _fields(type_: Type) -> tuple[Column, ...]:
    if isinstance(type_, Array):
        return _fields(type_.item)
    return type_.fields if isinstance(type_, Object) else ()


@dataclass(frozen=True)
class QualityRule:
    """One DQDL rule: a stable name, the parsed rule (`str(rule)` is its text), and what failing means."""

    name: str
    rule: AnyRule
    severity: Severity
    quarantine_rows: bool = False

    @property
    def on_fail(self) -> OnFail:
        """What happens when the rule fails: the partition is refused, or its failing rows are quarantined, or it warns."""
        if self.quarantine_rows:
            return "quarantine_rows"
        return "refuse" if self.severity == "error" else "warn"


@dataclass(frozen=True)
class Ruleset:
    """One `quality` entry: a DQDL ruleset whose rules share what failing means."""

    text: str
    severity: Severity = "error"
    quarantine_rows: bool = False
    description: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Sla:
    """When a partition must be there: by `available_by` local time of `timezone`, on the day after it.

    A dataset without partitions must be published again `frequency` (a number and its unit, ``"day"``) after the
    last time. `properties` are all of the contract's `slaProperties` as they stand there, for people to read.
    """

    available_by: datetime.time | None = None
    timezone: str = "UTC"
    frequency: tuple[float, str] | None = None
    properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class DriftPolicy:
    """What to do when a file's columns are not the contract's (custom property `drift`).

    A missing required column always refuses the file; no policy can allow it.

    - `additive`, a column the contract does not have: `keep` it in validated, `ignore` it, or
      `refuse` the file. A kept column has the type of its first file where that is text, a boolean, a date, an instant,
      or a number; all else of Parquet is text: times of nanoseconds or without a zone, unsigned 64 bits, bytes (base64),
      durations (ISO 8601), lists and objects (JSON). Where a later file has another type, or a name that differs in its
      case or that no catalog takes, its values are in `_rescued`, row by row. In any case these refuse the file: a name
      that differs from one of the contract, or of the file, in its case only; one without a character that is seen, or
      with a NUL; and more than 1000 such columns.
    - `missing_optional`, an optional column is absent: `fill` it with NULL, or `refuse` the file.
    - `types`, a column of another type: `coerce` what is safe and keep the original in `_rescued`
      (the rest are row rejects), or `strict`: refuse the file.
    - `reordered`, the columns stand in another order: go `by_name`, or `refuse` the file.
    - `nested`, fields added to or missing from an object: go `by_name` (unknown fields are kept as
      text in `_rescued`), or `refuse` the file.
    """

    additive: Literal["keep", "ignore", "refuse"] = "keep"
    missing_optional: Literal["fill", "refuse"] = "fill"
    types: Literal["coerce", "strict"] = "coerce"
    reordered: Literal["by_name", "refuse"] = "by_name"
    nested: Literal["by_name", "refuse"] = "by_name"


@dataclass(frozen=True)
class Contract:
    """One dataset's agreement: its columns in order, its key, its rules, its owners and its service level.

    `owners` are what Dagster calls owners: `team:<name>` and e-mail addresses.
    """

    name: str
    version: str
    columns: tuple[Column, ...]
    description: str = ""
    owners: tuple[str, ...] = ()
    primary_key: tuple[str, ...] = ()
    quality: tuple[Ruleset, ...] = ()
    sla: Sla = field(default_factory=Sla)
    drift: DriftPolicy = field(default_factory=DriftPolicy)
    path: Path | None = field(default=None, compare=False)

    def column(self, name: str) -> Column:
        """The column of that name; UsageError when the contract has none."""
        for column in self.columns:
            if column.name == name:
                return column
        names = [column.name for column in self.columns]
        raise UsageError(f'"{self.name}" has no column "{name}".{did_you_mean(name, names)}')

    @property
    def column_lines(self) -> dict[str, int]:
        """Where each column stands in the contract's file (1-based), for links to the code."""
        return {column.name: column.line for column in self.columns}

    def schema(self) -> ibis.Schema:
        """The stored schema, in the contract's order; nullability is a row rule, not part of it."""
        return ibis.schema({column.name: column.type.ibis for column in self.columns})

    @cached_property
    def checks(self) -> tuple[QualityRule, ...]:
        """One per DQDL rule, in order; names are unique, and stable while the rule's text is."""
        from lake_pipeline.contracts.rules import name_rules, parse  # late: rules are made of this module

        return name_rules(
            (rule, ruleset.severity, ruleset.quarantine_rows)
            for ruleset in self.quality
            for rule in parse(ruleset.text)
        )

    @cached_property
    def analyzers(self) -> tuple[Rule, ...]:
        """What the rulesets measure besides their rules, to be kept as history; each once."""
        from lake_pipeline.dqdl import parse

        return tuple(dict.fromkeys(a for ruleset in self.quality for a in parse(ruleset.text).analyzers))

    @cached_property
    def hash(self) -> str:
        """Hex sha256 of all that changes meaning: columns, key, rules, drift. Any prefix identifies it."""
        meaning = {
            "columns": [column.meaning for column in self.columns],
            "primary_key": self.primary_key,
            "rules": sorted(
                {(str(c.rule), "quarantine_rows" if c.quarantine_rows else c.severity) for c in self.checks}
            ),
            "drift": vars(self.drift),
        }
        return hashlib.sha256(json.dumps(meaning, sort_keys=True, default=repr).encode()).hexdigest()
