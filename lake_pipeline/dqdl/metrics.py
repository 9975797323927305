"""Metrics that are plain aggregates of the shared scan, or need no scan at all."""

from __future__ import annotations

import re

import ibis.expr.types as ir

from lake_pipeline.dqdl.conditions import is_literal, worth
from lake_pipeline.dqdl.measure import (
    VALUE,
    Finding,
    Measure,
    Row,
    analyzes,
    found,
    judge,
    measures,
    number,
    ratio,
)
from lake_pipeline.dqdl.predicates import compare
from lake_pipeline.dqdl.subject import RuleError, Subject, is_text, present


@measures("RowCount")
def row_count(subject: Subject) -> Measure:
    """The number of rows."""
    return Measure(
        lambda row: judge(subject, "Dataset.*.RowCount", number(row["rows"] or 0)), {"rows": subject.rows}
    )


@measures("ColumnCount")
def column_count(subject: Subject) -> Measure:
    """The number of columns, from the schema."""
    return Measure(lambda row: judge(subject, "Dataset.*.ColumnCount", float(len(subject.columns))))


@measures("ColumnExists")
def column_exists(subject: Subject) -> Measure:
    """Whether there is a column of the name, from the schema."""
    (name,) = subject.rule.names
    exists = name in subject.columns or name.strip("`") in subject.columns
    metrics = {f"Dataset.{name}.ColumnExists": float(exists)}
    reason = None if exists else f'Column "{name}" does not exist'
    return Measure(lambda row: Finding(exists, metrics, reason))


@measures("ColumnNamesMatchPattern")
def column_names(subject: Subject) -> Measure:
    """The share of column names in which the pattern is found; without columns, all of them."""
    (pattern,) = subject.rule.names
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise RuleError(f'"{pattern}" is no regular expression: {error}') from error
    others = [name for name in subject.columns if not regex.search(name)]
    share = 1.0 - len(others) / len(subject.columns) if subject.columns else 1.0
    reason = f"Columns that do not match the pattern: {', '.join(others)}" if others else None
    metrics = {"Dataset.*.ColumnNamesPatternMatchRatio": share}
    return Measure(lambda row: Finding(not others, metrics, reason))


@measures("Completeness", "IsComplete")
def completeness(subject: Subject) -> Measure:
    """The share of rows whose column is not NULL."""
    (name,) = subject.rule.names
    column = subject.column(name)
    metric = f"Column.{name}.Completeness"
    return Measure(
        lambda row: judge(subject, metric, ratio(row["complete"], row["rows"])),
        {"rows": subject.rows, "complete": column.count(where=subject.kept)},
        rows=lambda: present(column),
    )


@measures("ColumnLength")
def column_length(subject: Subject) -> Measure:
    """The length of every value; NULL has length 0."""
    (name,) = subject.rule.names
    condition = subject.rule.condition
    column = subject.column(name)
    if condition is None or not is_literal(condition):
        raise RuleError("ColumnLength compares with numbers only, not with expressions")
    if not is_text(column):
        raise RuleError(f'Column "{name}" is {column.type()}; ColumnLength needs strings')
    length = column.length().fill_null(0)
    fits = compare(length, condition.op, [worth(o) for o in condition.operands])

    def decide(row: Row) -> Finding:
        metrics = {
            f"Column.{name}.LengthCompliance": ratio(row["fitting"], row["rows"]),
            f"Column.{name}.MinimumLength": number(row["shortest"]),
            f"Column.{name}.MaximumLength": number(row["longest"]),
        }
        if not row["rows"]:
            return Finding(False, {}, f"Column.{name}.Length has no value: there are no rows")
        if row["fitting"] == row["rows"]:
            return Finding(True, metrics)
        return Finding(
            False,
            metrics,
            f"Value: {ratio(row['fitting'], row['rows'])!r} does not meet the constraint requirement: "
            f"{row['rows'] - (row['fitting'] or 0)} of {row['rows']} rows do not meet: length "
            f"{condition} (shortest {row['shortest']}, longest {row['longest']})",
        )

    scan = {
        "rows": subject.rows,
        "fitting": subject.count(fits),
        "shortest": length.min(where=subject.kept),
        "longest": length.max(where=subject.kept),
    }
    return Measure(decide, scan, offenders=lambda: offending(subject, column, fits), rows=lambda: fits)


@analyzes("ColumnLength")
def lengths(subject: Subject) -> Measure:
    """The shortest and the longest length of a column's values."""
    (name,) = subject.rule.names
    column = subject.column(name)
    if not is_text(column):
        raise RuleError(f'Column "{name}" is {column.type()}; ColumnLength needs strings')
    length = column.length().fill_null(0)
    return Measure(
        lambda row: found(
            {
                f"Column.{name}.MinimumLength": number(row["shortest"]),
                f"Column.{name}.MaximumLength": number(row["longest"]),
            }
        ),
        {"shortest": length.min(where=subject.kept), "longest": length.max(where=subject.kept)},
    )


def offending(subject: Subject, column: ir.Value, passing: ir.BooleanValue) -> ir.Table:
    """The values of a column in the rows that do not pass."""
    groups = subject.engine.group_columns
    return subject.selected.filter(~passing.fill_null(False)).select(*groups, **{VALUE: column})
