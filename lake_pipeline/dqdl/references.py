"""Rules that compare the table with a further data source."""

from __future__ import annotations

import re
from collections.abc import Mapping

import ibis.expr.types as ir

from lake_pipeline.dqdl.measure import VALUE, Measure, Query, judge, measures, number, ratio
from lake_pipeline.dqdl.subject import Engine, Group, RuleError, Subject, resolve

REFERENCE = re.compile(r"(?P<source>[^.{}]+)\.(?:\{(?P<several>[^{}]+)\}|(?P<one>.+))", re.DOTALL)


@measures("RowCountMatch")
def row_count_match(subject: Subject) -> Measure:
    """The rows of the table, of the rows of the other; undefined when the other is empty."""
    (name,) = subject.rule.names
    other = subject.source(name)

    def count_other(engine: Engine) -> dict[Group, dict[str, int]]:
        counted = engine.connection.to_pyarrow(other.aggregate(reference=other.count())).to_pylist()
        return dict.fromkeys([None, *engine.keys], counted[0])

    return Measure(
        lambda row: judge(
            subject, f"Dataset.{name}.RowCountMatch", ratio(number(row["rows"] or 0), row["reference"])
        ),
        {"rows": subject.rows},
        (Query(("rows of", name), count_other),),
    )


@measures("ReferentialIntegrity")
def referential_integrity(subject: Subject) -> Measure:
    """The share of rows whose key is among the other's keys; a key with a NULL never is."""
    keys, reference = subject.rule.names
    source, columns = _reference(reference)
    other = subject.source(source)
    names = _split(keys)
    if len(names) != len(columns):
        raise RuleError(f"{keys} and {reference} do not have the same number of columns")
    pairs = {f"__key_{i}": subject.column(name) for i, name in enumerate(names)}
    others = {f"__key_{i}": resolve(other, column) for i, column in enumerate(columns)}
    _check_types(pairs, others)
    groups = subject.engine.group_columns
    primary = subject.selected.select(*groups, **pairs)
    known = other.select(**others).distinct()

    def count_matches(engine: Engine) -> Mapping[Group, Mapping[str, int]]:
        matched = primary.semi_join(known, list(pairs))
        return engine.rows(engine.grouped(matched, {"matched": matched.count()}))

    return Measure(
        lambda row: judge(
            subject, f"Column.{source}.ReferentialIntegrity", ratio(row["matched"], row["rows"])
        ),
        {"rows": subject.rows},
        (Query(("referential integrity", keys, reference), count_matches),),
        lambda: _orphans(subject, primary, known, list(pairs)),
    )


def _orphans(subject: Subject, primary: ir.Table, known: ir.Table, keys: list[str]) -> ir.Table:
    missing = primary.anti_join(known, keys)
    return missing.select(*subject.engine.group_columns, **{VALUE: missing[keys[0]]})


def _reference(text: str) -> tuple[str, list[str]]:
    """The source and columns of ``source.column`` or ``source.{column,column}``."""
    match = REFERENCE.fullmatch(text)
    if match is None:
        raise RuleError(f'"{text}" is not of the form "source.column" or "source.{{column,column}}"')
    return match["source"], _split(match["several"]) if match["several"] else [match["one"]]


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _check_types(left: Mapping[str, ir.Value], right: Mapping[str, ir.Value]) -> None:
    """Refuse to compare text with numbers and the like: engines disagree on what that means."""
    for key in left:
        mine, other = left[key].type(), right[key].type()
        both_numbers = mine.is_numeric() and other.is_numeric()
        if not both_numbers and type(mine) is not type(other):
            raise RuleError(f"{left[key].get_name()} is {mine}, but its reference is {other}")
