"""The SQL a rule may contain (``where``, CustomSql): Spark SQL, read-only, on named tables only.

The text is parsed, checked by what it consists of, and rendered in the backend's dialect; nothing of it
reaches the engine as written. What the check does not know, it refuses.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import traverse_scope

from lake_pipeline.dqdl.sql_functions import FUNCTIONS
from lake_pipeline.dqdl.subject import RuleError
from lake_pipeline.errors import did_you_mean

PRIMARY = "primary"
SPARK = "spark"

FORBIDDEN_NODES = (
    exp.DDL,
    exp.DML,
    exp.Into,
    exp.Lock,
    exp.Command,
    exp.Parameter,
    exp.Placeholder,
    exp.SessionParameter,
    exp.Lateral,
    exp.Unnest,
    exp.TableFromRows,
    exp.TableSample,
    exp.JoinHint,
    exp.QueryTransform,
)
# Names that an engine takes for a value of its own where there is no column of the name.
ENGINE_VALUES = frozenset(
    (
        *("user", "current_user", "session_user", "current_role", "current_catalog", "current_database"),
        *(
            "current_schema",
            "current_date",
            "current_time",
            "current_timestamp",
            "localtime",
            "localtimestamp",
        ),
    )
)
NAMES = tuple(
    name.lower() for function in FUNCTIONS.values() for name in re.findall(r"(\w+)\(", function.form)
)
PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NO_CONDITION = {exp.Query: "a subquery", exp.AggFunc: "an aggregate", exp.Window: "a window function"}
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
    for kind, called in NO_CONDITION.items():
        if found.find(kind):
            raise RuleError(f"{called} cannot stand in it")
    _mean_columns(statement)
    return found.copy()


def query(text: str, tables: Collection[str]) -> exp.Query:
    """The query of a CustomSql: a single SELECT (or union) that reads the named tables only."""
    statement = _statement(_unquoted(text))
    if not isinstance(statement, exp.Query):
        raise RuleError(f"CustomSql must be a SELECT, not {type(statement).__name__.upper()}")
    _check_nodes(statement, (PRIMARY, *tables))
    _check_functions(statement)
    _mean_columns(statement)
    return statement


def tables_in(text: str) -> set[str]:
    """The names of the tables that a query names, whether there are such or not."""
    found = _statement(_unquoted(text)).find_all(exp.Table)
    return {table.name for table in found if isinstance(table.this, exp.Identifier) and not table.db} - {
        PRIMARY
    }


def _unquoted(text: str) -> str:
    """The text without DQDL's escapes of double quotes."""
    return text.replace('\\"', '"')


def _statement(text: str) -> exp.Expr:
    try:
        statements = [s for s in sqlglot.parse(text, read=SPARK) if s is not None]
    except (SqlglotError, RecursionError) as error:
        reason = str(error) or "nested too deeply"
        raise RuleError(f"this is not Spark SQL: {plain(reason)}") from error
    if len(statements) != 1:
        raise RuleError(f"a single statement is needed, not {len(statements)}")
    return statements[0]


def plain(message: str) -> str:
    """The message without the terminal codes and the repeated source that sqlglot adds."""
    return re.sub(r"\x1b\[[0-9;]*m", "", message.splitlines()[0])


def _check_nodes(statement: exp.Expr, tables: Collection[str]) -> None:
    bad = next(statement.find_all(*FORBIDDEN_NODES), None)
    if bad is not None:
        raise RuleError(f"{type(bad).__name__} is not allowed: the SQL may only read")
    known = {name.lower() for name in (*tables, PRIMARY)}
    known |= _common_tables(statement, known)
    for table in statement.find_all(exp.Table):
        plain = isinstance(table.this, exp.Identifier) and not table.db and not table.catalog
        if not plain or table.name.lower() not in known:
            raise RuleError(
                f"table {table.sql(dialect=SPARK)} was not found.{did_you_mean(table.name, known)} "
                f"Only these can be read: {', '.join(sorted(known))}"
            )


def _common_tables(statement: exp.Expr, tables: Collection[str]) -> set[str]:
    """The names of the CTEs, which stand before the whole query only: inside it, a name could be a table's.

    Each reads the tables and the CTEs before it, and none itself.
    """
    found: set[str] = set()
    first = statement.args.get("with_") or statement.args.get("with")
    if next((w for w in statement.find_all(exp.With) if w is not first), None) is not None:
        raise RuleError("WITH can only stand at the beginning of the query")
    if first is not None and first.args.get("recursive"):
        raise RuleError("a recursive WITH is not allowed")
    for cte in first.expressions if first is not None else ():
        name = cte.alias_or_name.lower()
        if not PLAIN_NAME.fullmatch(name) or name in tables or name in found:
            raise RuleError(f"{name} is no name for a table in WITH, or is one already")
        used = {table.name.lower() for table in cte.this.find_all(exp.Table)}
        unknown = used - {*tables, *found}
        if unknown:
            raise RuleError(f"table {min(unknown)} was not found where WITH reads it")
        found.add(name)
    return found


def _check_functions(statement: exp.Expr) -> None:
    for function in statement.find_all(exp.Func):
        if isinstance(function, exp.Anonymous):
            name, allowed = function.name.lower(), function.name.lower() == "now"
        else:
            name, allowed = function.sql_name().lower(), type(function).__name__ in FUNCTIONS
        if not allowed:
            raise RuleError(f"function {name} is not allowed or not known.{did_you_mean(name, NAMES)}")


def _mean_columns(statement: exp.Expr) -> None:
    """Have a name that an engine may take for a value of its own mean a column, whether there is one or not."""
    for scope in traverse_scope(statement):
        for column in scope.columns:
            if column.table or column.name.lower() not in ENGINE_VALUES:
                continue
            if len(scope.selected_sources) != 1:
                raise RuleError(
                    f"say of which table {column.name} is a column, as in {PRIMARY}.{column.name}"
                )
            (source,) = scope.selected_sources
            column.set("table", exp.to_identifier(source))
