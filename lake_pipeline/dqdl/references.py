"""Rules that compare the table with a further data source: its size, its schema, its keys."""

from __future__ import annotations

import re
from collections.abc import Mapping

import ibis.expr.types as ir

from lake_pipeline.dqdl.measure import (
    VALUE,
    Finding,
    Lookup,
    Measure,
    Query,
    Row,
    judge,
    measures,
    number,
    ratio,
)
from lake_pipeline.dqdl.subject import Engine, Group, RuleError, Subject, resolve

REFERENCE = re.compile(r"(?P<source>[^.{}]+)\.(?:\{(?P<several>[^{}]+)\}|(?P<one>.+))", re.DOTALL)


@measures("RowCountMatch")
def row_count_match(subject: Subject) -> Measure:
    """The rows of the table, of the rows of the other; undefined when the other is empty."""
    (name,) = subject.rule.names
    other = subject.source(name)

    def count_other(engine: Engine) -> Mapping[Group, Row]:
        return engine.same(other.aggregate(reference=other.count()))

    return Measure(
        lambda row: judge(
            subject, f"Dataset.{name}.RowCountMatch", ratio(number(row["rows"] or 0), row["reference"])
        ),
        {"rows": subject.rows},
        (Query(("rows of", name), count_other),),
    )


@measures("SchemaMatch")
def schema_match(subject: Subject) -> Measure:
    """The share of columns that the other has by the same name and type; it must have as many."""
    (name,) = subject.rule.names
    mine = {column: subject.table[column].type().copy(nullable=True) for column in subject.columns}
    other = {column: kind.copy(nullable=True) for column, kind in subject.source(name).schema().items()}
    metric = f"Dataset.{name}.SchemaMatch"
    if len(mine) != len(other):
        reason = f"The table has {len(mine)} columns, {name} has {len(other)}"
        return Measure(lambda row: Finding(False, {metric: 0.0}, reason))
    alike = [column for column, kind in mine.items() if other.get(column) == kind]
    different = ", ".join(column for column in mine if column not in alike)

    def decide(row: Row) -> Finding:
        finding = judge(subject, metric, ratio(len(alike), len(mine)))
        reason = f"{finding.reason}; different in {name}: {different}" if different else finding.reason
        return Finding(finding.passed, finding.metrics, None if finding.passed else reason)

    return Measure(decide)


@measures("ReferentialIntegrity")
def referential_integrity(subject: Subject) -> Measure:
    """The share of rows whose key is among the other's keys; a key with a NULL never is."""
    keys, reference = subject.rule.names
    source, columns = _reference(reference)
    other = subject.source(source)
    names = split(keys)
    if len(names) != len(columns):
        raise RuleError(f"{keys} and {reference} do not have the same number of columns")
    pairs = {f"__key_{i}": subject.column(name) for i, name in enumerate(names)}
    others = {f"__key_{i}": resolve(other, column) for i, column in enumerate(columns)}
    check_types(pairs, others)
    groups = subject.engine.group_columns
    primary = subject.selected.select(*groups, **pairs)
    known = other.select(**others).distinct()

    def count_matches(engine: Engine) -> Mapping[Group, Row]:
        matched = primary.semi_join(known, list(pairs))
        return engine.rows(engine.grouped(matched, {"matched": matched.count()}))

    return Measure(
        lambda row: judge(
            subject, f"Column.{source}.ReferentialIntegrity", ratio(row["matched"], row["rows"])
        ),
        {"rows": subject.rows},
        (Query(("referential integrity", keys, reference), count_matches),),
        lambda: _orphans(subject, primary, known, list(pairs)),
        lambda: Lookup(tuple(pairs.values()), known, (False,) * len(pairs)),
    )


def _orphans(subject: Subject, primary: ir.Table, known: ir.Table, keys: list[str]) -> ir.Table:
    missing = primary.anti_join(known, keys)
    return missing.select(*subject.engine.group_columns, **{VALUE: missing[keys[0]]})


def _reference(text: str) -> tuple[str, list[str]]:
    """The source and columns of ``source.column`` or ``source.{column,column}``."""
    match = REFERENCE.fullmatch(text)
    if match is None:
        raise RuleError(f'"{text}" is not of the form "source.column" or "source.{{column,column}}"')
    return match["source"], split(match["several"]) if match["several"] else [match["one"]]


def split(text: str) -> list[str]:
    """The names in a list that is separated by commas."""
    return [part.strip() for part in text.split(",")]


def check_types(left: Mapping[str, ir.Value], right: Mapping[str, ir.Value]) -> None:
    """Refuse to compare text with numbers and the like: engines disagree on what that means."""
    for key in left:
        mine, other = left[key].type(), right[key].type()
        both_numbers = mine.is_numeric() and other.is_numeric()
        if not both_numbers and type(mine) is not type(other):
            raise RuleError(f"{left[key].get_name()} is {mine}, but its reference is {other}")
