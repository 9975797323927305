"""Ad-hoc queries over the lake's tables, as their current snapshots are: read-only, and nothing else."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lake_pipeline.datasets.loading import dataset_folders
from lake_pipeline.engines.pruning import columns_needed, partitions_needed
from lake_pipeline.errors import UsageError, did_you_mean
from lake_pipeline.storage import Lake, ObjectStore, columns

if TYPE_CHECKING:
    from lake_pipeline.engines.duckdb import DuckDB

TABLE_ZONES = ("validated", "curated", "quarantine")


def query(lake: Lake, engine: DuckDB, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """(column names, rows) of a SELECT over ``zone.dataset`` tables; raises `UsageError` with what is wrong."""
    wanted = tables_in(sql, lake.tables.names(), dataset_folders(lake.settings.dataset_folders))
    parsed: Any = sqlglot.parse_one(sql, read="duckdb")
    needed, paths = columns_needed(parsed), {}
    for name in wanted:
        store, there = lake.zone(name.partition(".")[0]), lake.tables.files(name)
        named = [t for t in parsed.find_all(exp.Table) if f"{t.db}.{t.name}" == name]
        asked = [partitions_needed(t) for t in named]
        files = [f for f in there if any(wants(f.partition) for wants in asked)] or there[:1]
        paths[name] = [reach(store, store.key(f.uri), engine.folder, needed) for f in files]
    schemas = {name: lake.tables.arrow_schema(name) for name in wanted if not paths[name]}
    return engine.select(sql, paths, schemas)


def reach(store: ObjectStore, key: str, folder: Path, needed: set[str] | None) -> Path:
    """A data file on this machine, with the columns that are needed; None for all."""
    if needed is None:
        return store.fetch(key, folder / "fetched")
    return columns.fetch_columns(store, key, folder / "fetched", needed)


def query_table(lake: Lake, engine: DuckDB, backend: Any, name: str) -> Any:
    """A table of the lake, ``zone.dataset``, as its current snapshot is, for expressions of Ibis."""
    tables_in(f"SELECT 1 FROM {name}", lake.tables.names(), dataset_folders(lake.settings.dataset_folders))
    store, files = lake.zone(name.partition(".")[0]), lake.tables.files(name)
    paths = [store.fetch(store.key(f.uri), engine.folder / "fetched") for f in files]
    if paths:
        return engine.table(backend, paths)
    schema = lake.tables.arrow_schema(name)
    return engine.arrow(backend, schema.empty_table() if schema is not None else pa.table({}))


def tables_in(sql: str, known: list[str], datasets: Collection[str] = ()) -> list[str]:
    """The lake's tables that a single SELECT names; a table of one of `datasets` may just not be there yet."""
    try:
        statements = [s for s in sqlglot.parse(sql, read="duckdb") if s is not None]
    except SqlglotError as e:
        raise UsageError(f"This is no SQL: {str(e).splitlines()[0]}") from e
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise UsageError(
            "lake sql takes one SELECT; the lake changes by landing files and running partitions."
        )
    local = {cte.alias_or_name for cte in statements[0].find_all(exp.CTE)}
    found = []
    for table in statements[0].find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            raise UsageError(f"Only the lake's tables can be read, not {table.sql(dialect='duckdb')}.")
        name = f"{table.db}.{table.name}" if table.db else table.name
        if not table.db and name in local:
            continue
        if name not in known and table.db in TABLE_ZONES and table.name in datasets:
            raise UsageError(
                f"Nothing is in {name} yet. See where its partitions are with: lake status {table.name}"
            )
        if name not in known:
            there = ", ".join(known) or "none yet: run something first"
            raise UsageError(f'There is no table "{name}"; there are {there}.{did_you_mean(name, known)}')
        found.append(name)
    return list(dict.fromkeys(found))
