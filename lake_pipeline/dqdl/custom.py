"""CustomSql: a query whose scalar is the metric, or whose rows are the passing ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import sqlglot
from sqlglot import exp

from lake_pipeline.dqdl import sql
from lake_pipeline.dqdl.clock import at
from lake_pipeline.dqdl.measure import (
    Finding,
    Lookup,
    Measure,
    Query,
    Row,
    analyzes,
    found,
    judge,
    measures,
    number,
    ratio,
)
from lake_pipeline.dqdl.subject import Engine, Group, RuleError, Subject
from lake_pipeline.errors import did_you_mean

SCALAR = {"rows": dt.int64, "scalar": dt.float64}
METRIC = "Dataset.*.CustomSQL"
MATCHES = {"total": dt.int64, "matched": dt.int64}


@measures("CustomSql")
def custom_sql(subject: Subject) -> Measure:
    """With a condition the result is one number; without, the passing rows by the columns selected."""
    (text,) = subject.rule.names
    statement = at(sql.query(text, subject.sources), subject.now)
    if subject.rule.condition is not None:
        select, schema, decide = _scalar(statement, subject), SCALAR, _decide_scalar
        rows = None
    else:
        select, schema, decide = _matches(statement, subject), MATCHES, _decide_matches
        rows = partial(_passing, subject, statement)
    run = partial(_per_group, subject, select, schema)
    return Measure(partial(decide, subject), queries=(Query((select,), run),), rows=rows)


@analyzes("CustomSql")
def custom_number(subject: Subject) -> Measure:
    """The one number that a query returns."""
    (text,) = subject.rule.names
    select = _scalar(at(sql.query(text, subject.sources), subject.now), subject)
    run = partial(_per_group, subject, select, SCALAR)

    def decide(row: Row) -> Finding:
        _check_single(row)
        return found({METRIC: number(row["scalar"])})

    return Measure(decide, queries=(Query((select,), run),))


def _per_group(
    subject: Subject, select: str, schema: Mapping[str, dt.DataType], engine: Engine
) -> Mapping[Group, Row]:
    """The query, once per group, on the group's rows and without the group's column."""
    groups: tuple[Group, ...] = engine.keys if engine.by is not None else (None,)
    return {group: _run(subject, select, schema, engine, group) for group in groups}


def _run(
    subject: Subject, select: str, schema: Mapping[str, dt.DataType], engine: Engine, group: Group
) -> Row:
    table = subject.table
    if engine.by is not None:
        table = table.filter(table[engine.by] == group)
    tables = {**subject.sources, sql.PRIMARY: table.select(*subject.columns)}
    found = engine.connection.to_pyarrow(sql.over(engine.connection, tables, select, schema)).to_pylist()
    row: dict[str, Any] = found[0]
    return row


def _tables(subject: Subject) -> dict[str, ir.Table]:
    """What a query reads, by name."""
    return {**subject.sources, sql.PRIMARY: subject.table.select(*subject.columns)}


def _scalar(statement: exp.Query, subject: Subject) -> str:
    tables = _tables(subject)
    sql.check_number(statement, tables)
    inner = sql.render(statement, subject.engine.connection, tables)
    return (
        "SELECT COUNT(*) AS rows, MAX(CAST(result.scalar AS DOUBLE)) AS scalar "
        f"FROM ({inner}) AS result(scalar)"
    )


def _decide_scalar(subject: Subject, row: Row) -> Finding:
    _check_single(row)
    return judge(subject, METRIC, number(row["scalar"]))


def _check_single(row: Row) -> None:
    if row["rows"] != 1:
        raise RuleError(f"with a condition, CustomSql must return one number, not {row['rows'] or 0} rows")


def _passing(subject: Subject, statement: exp.Query) -> Lookup:
    """The distinct rows that the query returns, as rows of the table's columns."""
    names = _columns(statement, subject)
    tables, connection = _tables(subject), subject.engine.connection
    aliases = {f"__key_{i}": subject.table[name].type() for i, name in enumerate(names)}
    listed = ", ".join(sql.quoted(alias, connection) for alias in aliases)
    inner = sql.render(statement, connection, tables)
    select = f"SELECT DISTINCT * FROM ({inner}) AS passing({listed})"
    known = sql.over(connection, tables, select, aliases)
    return Lookup(tuple(subject.table[n] for n in names), known, (True,) * len(names))


def _columns(statement: exp.Query, subject: Subject) -> list[str]:
    """The table's columns that the query returns, in its order."""
    names = sql.output_names(statement, _tables(subject))
    known = {column.lower(): column for column in subject.columns}
    for name in names:
        if name.lower() not in known:
            raise RuleError(
                f'Column "{name}" of the result was not found in the table.{did_you_mean(name, known)} '
                "Without a condition, CustomSql returns rows of the table."
            )
    return [known[name.lower()] for name in names]


def _matches(statement: exp.Query, subject: Subject) -> str:
    names = _columns(statement, subject)
    same = " AND ".join(f"checked.{_spark(name)} <=> passing.{_spark(name)}" for name in names)
    text = (
        f"SELECT (SELECT COUNT(*) FROM {sql.PRIMARY}) AS total, (SELECT COUNT(*) FROM {sql.PRIMARY} AS "
        f"checked WHERE EXISTS (SELECT 1 FROM ({statement.sql(dialect=sql.SPARK)}) AS passing "
        f"WHERE {same})) AS matched"
    )
    return sql.render(sqlglot.parse_one(text, read=sql.SPARK), subject.engine.connection, _tables(subject))


def _spark(name: str) -> str:
    return exp.to_identifier(name, quoted=True).sql(dialect=sql.SPARK)


def _decide_matches(subject: Subject, row: Row) -> Finding:
    metric = "Dataset.*.CustomSQL.Compliance"
    return judge(subject, metric, ratio(row["matched"], row["total"]), subject.rule.threshold)
