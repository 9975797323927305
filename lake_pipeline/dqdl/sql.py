"""The SQL a rule may contain (``where``, CustomSql): Spark SQL, read-only, on named tables only.

The text is parsed, checked by what it consists of, and rendered in the backend's dialect; nothing of it
reaches the engine as written. What the check does not know, it refuses.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import ibis.expr.datatypes as dt
import ibis.expr.schema as sch
import ibis.expr.types as ir
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from lake_pipeline.dqdl.subject import Connection, RuleError
from lake_pipeline.errors import did_you_mean

PRIMARY = "primary"
SPARK = "spark"

# Functions sqlglot has no class for, harmless and of the same meaning in Spark and DuckDB.
KNOWN_FUNCTIONS = frozenset(
    ("bround", "char_length", "degrees", "isnan", "len", "ltrim", "mod", "positive", "radians", "rtrim")
)
# Functions with a class that read something other than their arguments, or write.
FORBIDDEN_FUNCTIONS = re.compile(
    r"Read(CSV|Parquet)|OpenJSON|ToFile|XML.*|JSONTable|NextValueFor|DynamicIdentifier|Columns|Secret|Host"
    r"|AI.*|ML.*|Predict|FeaturesAtTime|VectorSearch|Search.*|Generate(Embedding|Text|Table|Bool|Double|Int)"
    r"|Session.*|Current(?!Date$|Timestamp$|Time$|Datetime$).*|Anonymous.*|(Combined)?Parameterized.*"
)
FORBIDDEN_NODES = (
    exp.DDL,
    exp.DML,
    exp.Into,
    exp.Lock,
    exp.Command,
    exp.Parameter,
    exp.Placeholder,
    exp.SessionParameter,
)
PREDICATE_PARTS = frozenset(("expressions", "from_", "from", "where", "kind", "hint", "operation_modifiers"))


def predicate(text: str) -> exp.Expr:
    """The condition of a ``where``: one expression over the columns, without subqueries or aggregates."""
    statement = _statement(f"SELECT 1 FROM {PRIMARY} WHERE {_unquoted(text)}")
    _check_nodes(statement, ())
    _check_functions(statement)
    extra = [part for part, value in statement.args.items() if value and part not in PREDICATE_PARTS]
    if not isinstance(statement, exp.Select) or extra:
        raise RuleError("it must be a single condition")
    found: exp.Expr = statement.args["where"].this
    for kind in (exp.Query, exp.AggFunc, exp.Window):
        if found.find(kind):
            raise RuleError(f"a {kind.__name__.lower()} cannot stand in it")
    return found.copy()


def query(text: str, tables: Collection[str]) -> exp.Query:
    """The query of a CustomSql: a single SELECT (or union) that reads the named tables only."""
    statement = _statement(_unquoted(text))
    if not isinstance(statement, exp.Query):
        raise RuleError(f"CustomSql must be a SELECT, not {type(statement).__name__.upper()}")
    _check_nodes(statement, (PRIMARY, *tables))
    _check_functions(statement)
    return statement


def _unquoted(text: str) -> str:
    """The text without DQDL's escapes of double quotes."""
    return text.replace('\\"', '"')


def _statement(text: str) -> exp.Expr:
    try:
        statements = [s for s in sqlglot.parse(text, read=SPARK) if s is not None]
    except (SqlglotError, RecursionError) as error:
        reason = str(error) or "nested too deeply"
        raise RuleError(f"this is not Spark SQL: {_plain(reason)}") from error
    if len(statements) != 1:
        raise RuleError(f"a single statement is needed, not {len(statements)}")
    return statements[0]


def _plain(message: str) -> str:
    """The message without the terminal codes and the repeated source that sqlglot adds."""
    return re.sub(r"\x1b\[[0-9;]*m", "", message.splitlines()[0])


def _check_nodes(statement: exp.Expr, tables: Collection[str]) -> None:
    bad = next(statement.find_all(*FORBIDDEN_NODES), None)
    if bad is not None:
        raise RuleError(f"{type(bad).__name__} is not allowed: the SQL may only read")
    known = {name.lower() for name in (*tables, PRIMARY)}
    known |= {cte.alias_or_name.lower() for cte in statement.find_all(exp.CTE)}
    for table in statement.find_all(exp.Table):
        plain = isinstance(table.this, exp.Identifier) and not table.db and not table.catalog
        if not plain or table.name.lower() not in known:
            raise RuleError(
                f"table {table.sql(dialect=SPARK)} was not found.{did_you_mean(table.name, known)} "
                f"Only these can be read: {', '.join(sorted(known))}"
            )


def _check_functions(statement: exp.Expr) -> None:
    for function in statement.find_all(exp.Func):
        name = type(function).__name__
        called = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
        if isinstance(function, exp.Anonymous) and called.lower() in KNOWN_FUNCTIONS:
            continue
        if FORBIDDEN_FUNCTIONS.fullmatch(name):
            raise RuleError(f"function {called.lower()} is not allowed or not known")


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
        raise RuleError(f"the columns of * are not clear: {_plain(str(error))}") from error
    return list(expanded.named_selects)


def render(statement: exp.Expr, connection: Connection) -> str:
    """The statement in the backend's dialect."""
    try:
        return statement.sql(dialect=connection.dialect, unsupported_level=sqlglot.ErrorLevel.RAISE)
    except SqlglotError as error:
        raise RuleError(f"this backend cannot express the SQL: {_plain(str(error))}") from error


def quoted(name: str, connection: Connection) -> str:
    """A name as a quoted identifier of the backend."""
    return exp.to_identifier(name, quoted=True).sql(dialect=connection.dialect)


def over(
    connection: Connection, tables: Mapping[str, ir.Table], select: str, schema: Mapping[str, dt.DataType]
) -> ir.Table:
    """A SELECT of the backend's dialect, whose columns are known, over tables visible by their names."""
    views = ", ".join(
        f"{quoted(name, connection)} AS ({connection.compile(table)})" for name, table in tables.items()
    )
    return connection.sql(f"WITH {views} {select}", schema=sch.Schema(dict(schema)))


def with_predicates(connection: Connection, table: ir.Table, predicates: Mapping[str, exp.Expr]) -> ir.Table:
    """The table and a boolean column per predicate."""
    columns = ", ".join(
        f"CAST({render(found, connection)} AS BOOLEAN) AS {quoted(name, connection)}"
        for name, found in predicates.items()
    )
    schema = {**dict(table.schema().items()), **dict.fromkeys(predicates, dt.boolean)}
    select = f"SELECT *, {columns} FROM {quoted(PRIMARY, connection)}"
    return over(connection, {PRIMARY: table}, select, schema)
