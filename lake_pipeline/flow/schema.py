"""The contract as a pandera schema: types, required values and constraints of staged rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial, reduce
from typing import Any

import ibis
import pandera.ibis as pandera
from pandera.errors import SchemaErrors

from lake_pipeline.contracts import Array, Column, Contract, Object
from lake_pipeline.engines.casts import Expr
from lake_pipeline.engines.rows import CONSTRAINTS


def schema_faults(contract: Contract, staged: Expr, partitions: Iterable[str]) -> dict[str, list[str]]:
    """What pandera finds wrong with each partition's types, required values and constraints."""
    names = list(partitions)
    if not pandera_faults(whole_schema(contract), staged):
        return {name: [] for name in names}
    schema = pandera_schema(contract)
    return {name: pandera_faults(schema, staged.filter(staged["_partition"] == name)) for name in names}


def pandera_faults(schema: pandera.DataFrameSchema, table: Expr) -> list[str]:
    """One sentence per failed check; the checks are aggregates, so a failure collects no rows."""
    try:
        schema.validate(table, lazy=True)
    except SchemaErrors as e:
        return [_sentence(error) for error in e.schema_errors]
    return []


def _sentence(error: Any) -> str:
    check = getattr(error.check, "error", None) or str(error.check)
    column = getattr(error.schema, "name", None) or "table"
    return f"{column}: {check}"


def pandera_schema(contract: Contract) -> pandera.DataFrameSchema:
    """The contract as a pandera schema (Ibis backend), with a check per constraint, each a scan."""
    return _schema(contract, {c.name: column_checks(c) for c in contract.columns}, [])


def whole_schema(contract: Contract) -> pandera.DataFrameSchema:
    """The same, with all constraints in one check, one scan: what passes needs no second look."""
    checks = [check for column in contract.columns for check, _ in column_checks(column)]

    def all_hold(data: Any) -> Expr:
        return reduce(lambda a, b: a & b, [check(data) for check in checks])

    return _schema(
        contract, {}, [pandera.Check(all_hold, error="a constraint does not hold")] if checks else []
    )


def _schema(
    contract: Contract, by_column: Mapping[str, list[Constraint]], of_table: list[pandera.Check]
) -> pandera.DataFrameSchema:
    columns = {
        column.name: pandera.Column(
            None if isinstance(column.type, Object | Array) else column.type.ibis,
            checks=[pandera.Check(check, error=text) for check, text in by_column.get(column.name, ())],
            nullable=True,
            required=True,
        )
        for column in contract.columns
    }
    return pandera.DataFrameSchema(columns, checks=of_table, name=contract.name, strict=False)


# A check of a whole table, as one boolean, and what failing means.
Constraint = tuple[Callable[[Any], Expr], str]


def column_checks(column: Column) -> list[Constraint]:
    """The column's constraints, each as one boolean over the whole table."""
    checks: list[Constraint] = []
    if column.required:
        checks.append((partial(_complete, column.name), "a value is required"))
    for make in CONSTRAINTS:
        for index, (code, _, message) in enumerate(make(column, ibis.null(column.type.ibis))):
            checks.append((partial(_all_hold, column, make, index), f"{code}: {message}"))
    return checks


def _complete(name: str, data: Any) -> Expr:
    return data.table[name].isnull().sum().fill_null(0) == 0


def _all_hold(column: Column, make: Any, index: int, data: Any) -> Expr:
    value = data.table[column.name]
    holds = list(make(column, value))[index][1]
    return (value.notnull() & ~holds).sum().fill_null(0) == 0
