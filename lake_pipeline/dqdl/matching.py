"""DatasetMatch: the rows of two tables, found by a key, column by column.

The key must be unique in both tables; a key with a NULL matches nothing. Compared columns are equal when
both are NULL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from lake_pipeline.dqdl.keys import occurrences_of
from lake_pipeline.dqdl.measure import VALUE, Finding, Lookup, Measure, Query, Row, judge, measures, ratio
from lake_pipeline.dqdl.references import check_types, split
from lake_pipeline.dqdl.subject import Engine, Group, RuleError, Subject, resolve
from lake_pipeline.errors import did_you_mean


@dataclass(frozen=True)
class Sides:
    """The two tables with the columns that are compared, named alike: keys first, then values."""

    mine: Mapping[str, ir.Value]
    other: Mapping[str, ir.Value]
    keys: tuple[str, ...]


@measures("DatasetMatch")
def dataset_match(subject: Subject) -> Measure:
    """The share of rows that the other table has as well, by key and values."""
    name = subject.rule.names[0]
    other = subject.source(name)
    sides = _sides(subject, name, other)
    groups = subject.engine.group_columns
    primary = subject.table.select(*groups, **sides.mine)
    reference = other.select(**sides.other)
    text = subject.rule.names

    def matched(engine: Engine) -> Mapping[Group, Row]:
        joined = primary.semi_join(reference, _equal(primary, reference, sides))
        return engine.rows(engine.grouped(joined, {"matched": joined.count()}))

    def repeated(engine: Engine) -> Mapping[Group, Row]:
        found = occurrences_of(primary.select(*groups, *sides.keys), engine)
        return {group: {"mine_repeats": _repeats(row)} for group, row in found.items()}

    def other_repeated(engine: Engine) -> Mapping[Group, Row]:
        alone = Engine(engine.connection)
        found = occurrences_of(reference.select(*sides.keys), alone)
        row = {"other_repeats": any(_repeats(row) for row in found.values())}
        return dict.fromkeys([None, *engine.keys], row)

    return Measure(
        lambda row: _decide(subject, name, row),
        {"rows": subject.rows},
        (
            Query(("dataset match", *text), matched),
            Query(("dataset keys", *text), repeated),
            Query(("other dataset's keys", *text), other_repeated),
        ),
        lambda: _different(subject, primary, reference, sides),
        lambda: Lookup(
            tuple(sides.mine.values()), reference.distinct(), tuple(c not in sides.keys for c in sides.mine)
        ),
    )


def _repeats(row: Row) -> bool:
    return bool(row["once"] != row["distinct"])


def _decide(subject: Subject, name: str, row: Row) -> Finding:
    for side, repeats in (("the table", row["mine_repeats"]), (name, row["other_repeats"])):
        if repeats:
            return Finding(False, {}, f"The key is not unique in {side}, so that rows cannot be compared")
    return judge(subject, f"Dataset.{name}.DatasetMatch", ratio(row["matched"], row["rows"]))


def _sides(subject: Subject, name: str, other: ir.Table) -> Sides:
    keys = _pairs(subject.rule.names[1])
    if len(subject.rule.names) > 2:
        values = _pairs(subject.rule.names[2])
    else:
        named = {left.strip("`") for left, _ in keys}
        values = [(column, column) for column in subject.columns if column not in named]
    mine: dict[str, ir.Value] = {}
    others: dict[str, ir.Value] = {}
    for i, (left, right) in enumerate(keys + values):
        column = f"__key_{i}" if i < len(keys) else f"__value_{i}"
        mine[column] = subject.column(left)
        others[column] = _column(other, name, right)
    check_types(mine, others)
    return Sides(mine, others, tuple(mine)[: len(keys)])


def _column(other: ir.Table, name: str, column: str) -> ir.Value:
    try:
        return resolve(other, column)
    except RuleError as error:
        hint = did_you_mean(column, other.columns)
        raise RuleError(f'Column "{column}" was not found in {name}.{hint}') from error


def _pairs(text: str) -> list[tuple[str, str]]:
    """The columns of ``a->b,c``: of the table and of the other."""
    found = []
    for part in split(text):
        left, arrow, right = (word.strip() for word in part.partition("->"))
        if not left or (arrow and not right):
            raise RuleError(f'"{text}" is not of the form "column" or "column->column"')
        found.append((left, right or left))
    return found


def _equal(primary: ir.Table, reference: ir.Table, sides: Sides) -> list[ir.BooleanValue]:
    return [
        primary[c] == reference[c] if c in sides.keys else primary[c].identical_to(reference[c])
        for c in sides.mine
    ]


def _different(subject: Subject, primary: ir.Table, reference: ir.Table, sides: Sides) -> ir.Table:
    """The keys of the rows that the other table does not have."""
    rest = primary.anti_join(reference, _equal(primary, reference, sides))
    texts = [rest[key].cast("string").fill_null("NULL") for key in sides.keys]
    value = texts[0] if len(texts) == 1 else ibis.literal(", ").join(texts)
    return rest.select(*subject.engine.group_columns, **{VALUE: value})
