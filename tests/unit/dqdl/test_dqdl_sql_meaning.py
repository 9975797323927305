"""Users' SQL has one meaning: every function and operator that is allowed has the same values on DuckDB and on Spark.

The values are compared as they are; doubles must have the same bits, but for `LAST_BIT`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
import pytest
from sql_expressions import AGGREGATES, LAST_BIT, OPERATORS, REFUSED, ROWS_OF
from sql_values import table

from lake_pipeline.dqdl import sql
from lake_pipeline.dqdl.sql_functions import FUNCTIONS
from lake_pipeline.dqdl.sql_kinds import DECIMAL, Kind, columns_of, kind_of
from lake_pipeline.dqdl.sql_typing import typed
from lake_pipeline.dqdl.subject import RuleError

OnEngine = Callable[[pa.Table], Any]
TYPES = {
    "text": dt.string,
    "date": dt.string,
    "timestamp": dt.string,
    "whole number": dt.int64,
    "double": dt.float64,
    "boolean": dt.boolean,
}
BATCH = 60


@pytest.fixture(scope="module")
def both(spark: OnEngine) -> Mapping[str, Any]:
    """The values on both engines."""
    values = table()
    connection = ibis.duckdb.connect()
    connection.con.register("of_values", values)
    return {"duckdb": connection.table("of_values"), "spark": spark(values)}


def kinds_of(expressions: list[str], on: Any) -> list[Kind]:
    statement = sql.query(f"SELECT {', '.join(expressions)} FROM primary", ())
    return [
        kind_of(item) for item in typed(statement, {"primary": columns_of(on.schema().items())}).expressions
    ]


def answers(expressions: list[str], on: Any, *, rows: bool) -> list[list[Any]]:
    """The values of expressions, by the project's way to run users' SQL; of moments, their text."""
    kinds = kinds_of(expressions, on)
    shown = [
        f"CAST({text} AS STRING)" if kind.name in ("date", "timestamp") else text
        for text, kind in zip(expressions, kinds, strict=True)
    ]
    types = {
        f"c{n}": dt.Decimal(38, kind.scale) if kind.name == DECIMAL else TYPES[kind.name]
        for n, kind in enumerate(kinds)
    }
    names = ["id", *types] if rows else list(types)
    listed = [f"{text} AS c{n}" for n, text in enumerate(shown)]
    statement = sql.query(f"SELECT {', '.join(['id', *listed] if rows else listed)} FROM primary", ())
    connection = ibis.get_backend(on)
    tables = {"primary": on}
    schema = {"id": dt.int64, **types} if rows else types
    found = sql.over(connection, tables, sql.render(statement, connection, tables), schema)
    columns = collected(connection, found).select(names)
    if rows:
        columns = columns.sort_by("id").drop_columns(["id"])
    return [column.to_pylist() for column in columns.columns]


def collected(connection: Any, found: Any) -> pa.Table:
    """The rows; of Spark, not by way of pandas, in which NaN is NULL and a NULL makes whole numbers doubles."""
    if connection.name == "duckdb":
        return connection.to_pyarrow(found)
    rows = connection.raw_sql(connection.compile(found)).collect()
    return pa.Table.from_pylist([row.asDict() for row in rows], schema=found.schema().to_pyarrow())


def exact(value: Any) -> Any:
    """A value as it is compared: NaN equals itself, 0.0 does not equal -0.0, and 1.50 is 1.5."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else struct.pack(">d", value)
    return value.normalize() if isinstance(value, Decimal) else value


def near(mine: Any, theirs: Any) -> bool:
    """Whether doubles differ in their last bits at most."""
    both = isinstance(mine, float) and isinstance(theirs, float)
    return both and abs(mine - theirs) <= 3 * math.ulp(max(abs(mine), abs(theirs)))


def differences(expressions: list[str], both: Mapping[str, Any], *, rows: bool) -> list[str]:
    found = []
    for start in range(0, len(expressions), BATCH):
        batch = expressions[start : start + BATCH]
        duckdb, spark = (answers(batch, both[name], rows=rows) for name in ("duckdb", "spark"))
        for text, mine, theirs in zip(batch, duckdb, spark, strict=True):
            for row, (a, b) in enumerate(zip(mine, theirs, strict=True)):
                if exact(a) != exact(b) and not (text in LAST_BIT and near(a, b)):
                    found.append(f"{text}: row {row}: DuckDB {a!r}, Spark {b!r}")
                    break
    return found


def test_every_function_has_its_examples() -> None:
    """A function that is allowed and not compared fails here."""
    assert set(ROWS_OF) | set(AGGREGATES) == set(FUNCTIONS)
    assert not set(ROWS_OF) & set(AGGREGATES)


def test_functions_and_operators_have_the_same_values(both: Mapping[str, Any]) -> None:
    expressions = [text for texts in [*ROWS_OF.values(), *OPERATORS.values()] for text in texts]
    assert differences(expressions, both, rows=True) == []


def test_aggregates_have_the_same_values(both: Mapping[str, Any]) -> None:
    expressions = [text for texts in AGGREGATES.values() for text in texts]
    assert differences(expressions, both, rows=False) == []


@pytest.mark.parametrize("text", REFUSED)
def test_what_engines_understand_differently_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(RuleError, match=REFUSED[text]):
        kinds_of([text], ibis.memtable(table().slice(0, 1)))
