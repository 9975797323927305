"""SQL over Ibis tables: a guarded query sees them by their names, and is an Ibis table again."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import cast

import ibis.expr.datatypes as dt
import ibis.expr.schema as sch
import ibis.expr.types as ir
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from lake_pipeline.dqdl.guard import PRIMARY, SPARK, plain, predicate, query
from lake_pipeline.dqdl.sql_kinds import ANY, BOOLEAN, NUMBERS, columns_of, kind_of
from lake_pipeline.dqdl.sql_meaning import for_engine
from lake_pipeline.dqdl.sql_typing import typed, unknown_column
from lake_pipeline.dqdl.subject import Connection, RuleError
from lake_pipeline.errors import did_you_mean

__all__ = [
    "PRIMARY",
    "SPARK",
    "output_names",
    "over",
    "predicate",
    "query",
    "quoted",
    "render",
    "type_of",
    "with_predicates",
]

_NUMBERS = count()


def output_names(statement: exp.Query, tables: Mapping[str, ir.Table]) -> list[str]:
    """The names of a query's columns, its stars expanded."""
    if not statement.is_star:
        return list(statement.named_selects)
    schema: dict[str, object] = {
        name: dict.fromkeys(table.columns, "string") for name, table in tables.items()
    }
    try:
        expanded = qualify(statement.copy(), schema=schema, dialect=SPARK)
    except SqlglotError as error:
        raise RuleError(f"the columns of * are not clear: {plain(str(error))}") from error
    return list(expanded.named_selects)


def render(statement: exp.Expr, connection: Connection, tables: Mapping[str, ir.Table]) -> str:
    """The statement over tables, in the backend's words; raises `RuleError` for what engines understand differently."""
    kinds = {name.lower(): columns_of(table.schema().items()) for name, table in tables.items()}
    known = typed(statement, kinds)
    if (missing := unknown_column(known)) is not None:
        columns = [column for table in tables.values() for column in table.columns]
        raise RuleError(f'Column "{missing.name}" was not found.{did_you_mean(missing.name, columns)}')
    meant = for_engine(known, connection.name)
    try:
        return meant.sql(dialect=connection.dialect, unsupported_level=sqlglot.ErrorLevel.RAISE)
    except SqlglotError as error:
        raise RuleError(f"this backend cannot express the SQL: {plain(str(error))}") from error


def check_number(statement: exp.Query, tables: Mapping[str, ir.Table]) -> None:
    """Raise `RuleError` where a query's value is no number."""
    kinds = {name.lower(): columns_of(table.schema().items()) for name, table in tables.items()}
    selects = cast(exp.Query, typed(statement, kinds)).selects
    kind = kind_of(selects[0])
    if len(selects) != 1 or kind.name not in {*NUMBERS, *ANY, BOOLEAN.name}:
        what = f"{len(selects)} columns" if len(selects) != 1 else f"a {kind}"
        raise RuleError(f"with a condition, CustomSql must return one number, and not {what}")


def quoted(name: str, connection: Connection) -> str:
    """A name as a quoted identifier of the backend."""
    return exp.to_identifier(name, quoted=True).sql(dialect=connection.dialect)


def over(
    connection: Connection, tables: Mapping[str, ir.Table], select: str, schema: Mapping[str, dt.DataType]
) -> ir.Table:
    """A SELECT of the backend's dialect, whose columns are known, over tables visible by their names."""
    number = next(_NUMBERS)
    renamed = {name.lower(): f"__view_{number}_{i}" for i, name in enumerate(tables)}
    query = _renamed(sqlglot.parse_one(select, read=connection.dialect), renamed, number)
    views = []
    for name, table in tables.items():
        uses = [t for t in query.find_all(exp.Table) if t.name == renamed[name.lower()]]
        # Spark's queries have all CTEs in front, which a table that is used twice would bring along twice
        if len(uses) == 1 or connection.name == "pyspark":
            for use in uses:  # its alias, and the joins in its parentheses, are its own
                use.set("this", exp.Subquery(this=_apart(connection, table)))
        else:
            text = _apart(connection, table).sql(dialect=connection.dialect)
            views.append(f"{quoted(renamed[name.lower()], connection)} AS ({text})")
    own = query.args.pop("with_", None) or query.args.pop("with", None)
    ctes = [cte.sql(dialect=connection.dialect) for cte in own.expressions] if own else []
    with_ = f"WITH {', '.join([*views, *ctes])} " if views or ctes else ""  # the query's own follow the views
    text = with_ + query.sql(dialect=connection.dialect)
    return connection.sql(text, schema=sch.Schema(dict(schema)))


def _apart(connection: Connection, table: ir.Table) -> exp.Expr:
    """The table as a query; what is named inside it gets a name of its own, each time that it is used."""
    text = connection.compile(table)
    return _renamed(sqlglot.parse_one(text, read=connection.dialect), {}, next(_NUMBERS))


def _renamed(query: exp.Expr, tables: Mapping[str, str], number: int) -> exp.Expr:
    """The query with names for its tables that no other query has: Ibis lifts all CTEs into one WITH."""
    names = dict(tables)
    for cte in query.find_all(exp.CTE):
        names[cte.alias.lower()] = f"__with_{number}_{len(names)}"
        cte.args["alias"].set("this", exp.to_identifier(names[cte.alias.lower()], quoted=True))
    for table in query.find_all(exp.Table):
        new = names.get(table.name.lower())
        if new is None:
            continue
        if not table.alias:
            table.set("alias", exp.TableAlias(this=table.this.copy()))
        table.set("this", exp.to_identifier(new, quoted=True))
    return query


def with_predicates(connection: Connection, table: ir.Table, predicates: Mapping[str, exp.Expr]) -> ir.Table:
    """The table and a boolean column per predicate."""
    columns = ", ".join(
        f"CAST({render(found, connection, {PRIMARY: table})} AS BOOLEAN) AS {quoted(name, connection)}"
        for name, found in predicates.items()
    )
    schema = {**dict(table.schema().items()), **dict.fromkeys(predicates, dt.boolean)}
    select = f"SELECT *, {columns} FROM {quoted(PRIMARY, connection)}"
    return over(connection, {PRIMARY: table}, select, schema)


def type_of(connection: Connection, table: ir.Table, expression: exp.Expr) -> str:
    """The backend's name, in lower case, for the type of an expression over the table's columns."""
    # a row of NULLs is there to be asked also where the table has none
    select = (
        f"SELECT TYPEOF({render(expression, connection, {PRIMARY: table})}) AS kind "
        f"FROM (SELECT 1 AS one) AS alone LEFT JOIN {quoted(PRIMARY, connection)} ON 1 = 0"
    )
    found = connection.to_pyarrow(over(connection, {PRIMARY: table}, select, {"kind": dt.string}))
    return str(found["kind"][0]).lower()
