"""Rules and analyzers that are made of the measures of others: DetectAnomalies and AllStatistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ibis.expr.types as ir

from lake_pipeline.dqdl.anomalies import expect
from lake_pipeline.dqdl.measure import ANALYZERS, MEASURES, Finding, Measure, Row, found, measures
from lake_pipeline.dqdl.nodes import Param, Rule
from lake_pipeline.dqdl.rules import RULE_TYPES
from lake_pipeline.dqdl.subject import RuleError, Subject, is_text
from lake_pipeline.errors import did_you_mean

ALL_COLUMNS = "AllColumns"
OF_ANY = ("Completeness", "DistinctValuesCount", "Uniqueness", "UniqueValueRatio", "Entropy")
OF_NUMBERS = ("ColumnValues", "Mean", "Sum", "StandardDeviation")
OF_TEXT = ("ColumnLength",)


def analyzer(subject: Subject) -> Measure:
    """The measure of a rule without its condition."""
    kind = subject.rule.type
    build = ANALYZERS.get(kind) or MEASURES.get(kind)
    if build is None:
        raise RuleError(f"{kind} cannot be measured")
    return build(subject)


def analyzer_of(subject: Subject, kind: str, names: tuple[str, ...]) -> Measure:
    """The measure of an analyzer on the data of another rule."""
    rule = Rule(kind, tuple(Param(name) for name in names), where=subject.rule.where)
    return analyzer(replace(subject, rule=rule))


@measures("DetectAnomalies")
def detect_anomalies(subject: Subject) -> Measure:
    """Whether a metric is as its history lets expect."""
    kind, *names = subject.rule.names
    row_type = RULE_TYPES.get(kind)
    signature = row_type.signature(len(names)) if row_type else None
    if row_type is None or signature is None or not signature.kinds:
        known = [name for name, row in RULE_TYPES.items() if any(s.kinds for s in row.signatures)]
        if kind in known and row_type is not None:
            wanted = " or ".join(str(s) for s in row_type.signatures if s.kinds)
            raise RuleError(f"{kind} takes {wanted}, not {len(names)}")
        raise RuleError(f"{kind} has no metric.{did_you_mean(kind, known)}")
    measure = analyzer_of(subject, kind, tuple(names))

    def decide(row: Row) -> Finding:
        return _judged(subject, measure.decide(row).metrics)

    return Measure(decide, measure.scan, measure.queries)


def _judged(subject: Subject, measured: Mapping[str, float]) -> Finding:
    if not measured:
        return Finding(False, {}, f"{subject.rule.names[0]} has no finite value to compare")
    metrics, anomalies = dict(measured), []
    for name, value in measured.items():
        expectation = expect(subject.history_of(name))
        if expectation is None:
            continue
        low, high = expectation.bounds
        metrics |= {f"{name}.LowerBound": low, f"{name}.UpperBound": high}
        if not expectation.allows(value):
            anomalies.append(f"{name} is {value!r}, which its history lets expect from {low!r} to {high!r}")
    return Finding(not anomalies, metrics, "; ".join(anomalies) or None)


@measures("AllStatistics")
def all_statistics(subject: Subject) -> Measure:
    """Every statistic of a column that its type has; of all columns for ``"AllColumns"``."""
    (name,) = subject.rule.names
    every = name == ALL_COLUMNS and name not in subject.columns
    columns = subject.columns if every else (name,)
    parts = [analyzer_of(subject, kind, (c,)) for c in columns for kind in _kinds(subject.column(c))]
    return joined(parts)


def _kinds(column: ir.Value) -> tuple[str, ...]:
    if isinstance(column, ir.NumericValue) and not isinstance(column, ir.BooleanValue):
        return OF_ANY + OF_NUMBERS
    return OF_ANY + OF_TEXT if is_text(column) else OF_ANY


class _Part(dict[str, Any]):
    """A part's row: the numbers of the whole that have its prefix."""

    def __init__(self, row: Row, prefix: str) -> None:
        super().__init__({k.removeprefix(prefix): v for k, v in row.items() if k.startswith(prefix)})

    def __missing__(self, key: str) -> None:
        return None


def joined(parts: list[Measure]) -> Measure:
    """One measure of several: each part's numbers by a prefix of its own."""
    scan = {f"{i}:{name}": value for i, part in enumerate(parts) for name, value in part.scan.items()}
    queries = [replace(q, prefix=f"{i}:") for i, part in enumerate(parts) for q in part.queries]

    def decide(row: Row) -> Finding:
        metrics: dict[str, float] = {}
        for i, part in enumerate(parts):
            metrics |= part.decide(_Part(row, f"{i}:")).metrics
        return found(metrics)

    return Measure(decide, scan, tuple(queries))
