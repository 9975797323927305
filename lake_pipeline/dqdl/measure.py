"""What a rule asks of the engine, and how its answer becomes a verdict.

A rule's measure is a value: aggregates for the shared scan, queries of its own, and a pure function from
the measured row to a finding. Measures are registered by rule type, so that the planner needs no branches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import ibis.expr.types as ir

from lake_pipeline.dqdl.conditions import meets
from lake_pipeline.dqdl.nodes import Condition
from lake_pipeline.dqdl.subject import Engine, Group, Subject

Row = Mapping[str, Any]
VALUE = "__value"


@dataclass(frozen=True)
class Finding:
    """The verdict on a rule for one group of rows."""

    passed: bool
    metrics: Mapping[str, float]
    reason: str | None = None


@dataclass(frozen=True)
class Query:
    """A query of a rule's own; equal keys are run once. It gives a row per group.

    ``prefix`` stands before the names of the row's numbers, where a measure has several parts.
    """

    key: Hashable
    run: Callable[[Engine], Mapping[Group, Row]] = field(compare=False)
    prefix: str = ""


@dataclass(frozen=True)
class Lookup:
    """A row passes when its ``values`` are a row of ``known``, by position.

    ``null_safe``: for which of them NULL equals NULL. ``known`` has no two equal rows.
    """

    values: tuple[ir.Value, ...]
    known: ir.Table
    null_safe: tuple[bool, ...]


RowTest: TypeAlias = ir.BooleanValue | Lookup


@dataclass(frozen=True)
class Measure:
    """How to measure and judge a rule.

    ``offenders`` builds a table of offending rows with a column ``VALUE`` (and the group's column);
    ``rows`` builds the test of a single row, for rules that have row-level results.
    """

    decide: Callable[[Row], Finding]
    scan: Mapping[str, ir.Scalar] = field(default_factory=dict)
    queries: tuple[Query, ...] = ()
    offenders: Callable[[], ir.Table] | None = None
    rows: Callable[[], RowTest] | None = None


Measurer = Callable[[Subject], Measure]
MEASURES: dict[str, Measurer] = {}
ANALYZERS: dict[str, Measurer] = {}


def measures(*rule_types: str) -> Callable[[Measurer], Measurer]:
    """Register a function as the measure of these rule types."""

    def register(function: Measurer) -> Measurer:
        MEASURES.update(dict.fromkeys(rule_types, function))
        return function

    return register


def analyzes(*rule_types: str) -> Callable[[Measurer], Measurer]:
    """Register a function as the measure of analyzers, where that of the rule needs a condition."""

    def register(function: Measurer) -> Measurer:
        ANALYZERS.update(dict.fromkeys(rule_types, function))
        return function

    return register


def number(value: Any) -> float:
    """A measured value as a float; NULL is NaN, that is: undefined."""
    return math.nan if value is None else float(value)


def ratio(part: Any, whole: Any) -> float:
    """``part / whole``; undefined when there is nothing to measure."""
    return number(part or 0) / number(whole) if whole else math.nan


def defined(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that have a finite value: JSON and plots have no others."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def found(metrics: Mapping[str, float]) -> Finding:
    """What an analyzer finds: metrics, and nothing to fail."""
    return Finding(True, defined(metrics))


def judge(
    subject: Subject,
    metric: str,
    value: float,
    condition: Condition | None = None,
    extra: Mapping[str, float] | None = None,
) -> Finding:
    """The finding for one metric against the rule's condition (a rule without one demands 1.0)."""
    metrics = defined({metric: value, **(extra or {})})
    if math.isnan(value):
        return Finding(False, metrics, f"{metric} has no value: there is nothing to measure")
    wanted = condition or subject.rule.condition
    passed = value == 1.0 if wanted is None else meets(wanted, value, subject.history_of(metric))
    if passed:
        return Finding(True, metrics)
    return Finding(
        False,
        metrics,
        f"Value: {value!r} does not meet the constraint requirement: {metric} {wanted or '= 1.0'}",
    )
