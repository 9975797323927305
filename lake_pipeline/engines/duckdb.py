"""The embedded engine: DuckDB in the run's process, over local files. What is DuckDB's own is here.

Rows are numbered by a streaming window, which keeps a scan on one thread; so a part is one thread's
work, and parts run beside one another.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa

from lake_pipeline.engines.casts import Expr
from lake_pipeline.engines.duckdb_dialect import (
    EXACT,
    TEXTS,
    DuckDBDialect,
    exact_numbers,
    named,
    path_list,
    quoted,
    sql_of,
    texts_of_lines,
)
from lake_pipeline.engines.duckdb_scans import (
    COPY_OPTIONS,
    broken_sources,
    copy_by,
    count_rescued,
    count_sources,
    enumerated,
    lines_sql,
    raw_schema,
    raw_sql,
)
from lake_pipeline.engines.engine import Entries, KeyCounts, Place, QueryFailed, R, T
from lake_pipeline.engines.parts import OutputFile, Part, PartResult
from lake_pipeline.engines.rows import LINEAGE, REJECTED, RESCUED, RowRules, explained, validated
from lake_pipeline.errors import Transient, UsageError
from lake_pipeline.formats.packs import Text, on_disk
from lake_pipeline.machine import MB, default_memory, default_threads
from lake_pipeline.settings import Settings
from lake_pipeline.storage import ObjectStore

EXPLAIN_ROWS = 20_000
LAYOUTS = 64  # of files, whose statements are kept: they take longer to write than small files to read
STRUCTURED_BYTES = 8 * 1024 * 1024
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # mallopt(3)


@cache
def keep_freed_memory() -> None:
    """Have glibc keep what DuckDB frees instead of handing it back at once, where glibc is the allocator.

    DuckDB's wheels allocate with malloc; blocks of 256 KB that are mapped and faulted in anew cost a run of
    5 million rows a tenth of its time. It changes nothing of DuckDB's own limit.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024)
        libc.mallopt(M_TRIM_THRESHOLD, 512 * 1024 * 1024)


class EngineOutOfMemory(Transient):
    """DuckDB reached its memory limit even with spilling: other work may have taken it, once."""

    repeats = 1

    def __init__(self, error: duckdb.Error) -> None:
        super().__init__(
            f"DuckDB needs more memory than its limit; give it more with LAKE_MEMORY, or fewer threads with "
            f"LAKE_THREADS: {error}"
        )


class DuckDB:
    """One DuckDB instance with bounded memory that spills into `folder`."""

    dialect = DuckDBDialect()
    gathers = False

    def __init__(self, folder: Path, memory: int | None = None, threads: int | None = None) -> None:
        keep_freed_memory()
        self.folder = folder
        self.workers = threads or default_threads()
        self._config: dict[str, Any] = {
            "memory_limit": f"{(memory or default_memory()) // MB}MB",
            "temp_directory": str(folder / "duckdb"),
            "threads": self.workers,
            "preserve_insertion_order": True,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self.connection = duckdb.connect(config=self._config)
        for name, function in ((EXACT, exact_numbers), (TEXTS, texts_of_lines)):
            self.connection.create_function(name, function, ["VARCHAR"], "VARCHAR", type="arrow")  # type: ignore[call-overload]
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings, folder: Path) -> DuckDB:
        """An instance with the memory and the threads that the environment gives it."""
        return cls(folder, settings.memory, settings.threads)

    def close(self) -> None:
        """Free the memory and the spill files."""
        self.connection.close()

    def ibis(self) -> Any:
        """An Ibis backend on this instance, for expressions that are run through Ibis."""
        return ibis.duckdb.from_connection(self.connection)

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for one thread's work."""
        cursor = self.connection.cursor()
        cursor.execute("SET TimeZone = 'UTC'; SET partitioned_write_flush_threshold = 122880")
        try:
            yield cursor
        except duckdb.OutOfMemoryException as e:
            raise EngineOutOfMemory(e) from e
        finally:
            cursor.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn DuckDB's exceptions into ours, where a user's own expressions are run."""
        try:
            yield
        except duckdb.OutOfMemoryException as e:
            raise EngineOutOfMemory(e) from e
        except duckdb.Error as e:
            raise QueryFailed(str(e)) from e

    def number(self) -> int:
        """A number that no other statement of this instance has."""
        with self._lock:
            return next(self._numbers)

    def near(self, function: Callable[[list[T], Place], list[R]], items: Sequence[T]) -> list[R]:
        """What a function makes of the items: here, with everything on this machine's disk."""
        return (
            function(list(items), Place(self.folder, self, keep=lambda path: path, packs=True))
            if items
            else []
        )

    def reach(self, store: ObjectStore, uri: str) -> Path:
        """A data file of the lake, on this machine."""
        return store.fetch(store.key(uri), self.folder / "fetched")

    def validate(self, part: Part, rules: RowRules) -> PartResult:
        """Type and judge every row of a part; good rows to Parquet, rejects with reasons."""
        n = self.number()
        out = self.folder / "validated"
        with self.cursor() as cursor:
            try:
                cursor.execute(f"CREATE TEMP VIEW raw AS {raw_sql(cursor, part, n)}")
                keys = [REJECTED] if part.partition else [REJECTED, "_p"]
                with self._lock:  # one writes it, and the others take it
                    sql = validate_sql(part.columns, rules, by_row=not part.partition)
                written = copy_by(cursor, sql, out / str(n), keys)
            except duckdb.Error as e:
                if not _is_of_the_file(e):
                    raise
                return PartResult(broken=frozenset(f.source for f in part.files), error=str(e).split("\n")[0])
            broken = broken_sources(cursor, part, n)
            if broken:
                return PartResult(broken=broken, error="records that do not fit the columns")
            good = [OutputFile(p, part.partition or k[1], rows) for p, rows, k in written if k[0] == "false"]
            bad = [p for p, _, k in written if k[0] == "true"]
            return PartResult(
                good=tuple(good),
                rejected=tuple(bad),
                counts=count_sources(cursor, [on_disk(f.path) for f in good], bad),
                coerced=count_rescued(cursor, [on_disk(f.path) for f in good]),
            )

    def rejects(
        self, part: Part, rules: RowRules, rejected: Sequence[Text], entries: Entries, _: pa.Schema
    ) -> Iterator[list[dict[str, Any]]]:
        """The rejected rows with all their reasons as entries, in order.

        They come in batches, so that a file of nothing but rejects does not fill the memory.
        """
        with self.cursor() as cursor:
            sql = self._explain_sql(cursor, part, rules, rejected)
            rows = cursor.sql(f"{sql} ORDER BY _partition, _source, _record")
            for batch in rows.to_arrow_reader(EXPLAIN_ROWS):
                yield list(entries(batch))

    def elsewhere(self, part: Part, rules: RowRules, rejected: Sequence[Text]) -> dict[str, int]:
        """By source: how many of the rejected rows belong to another partition."""
        with self.cursor() as cursor:
            sql = self._explain_sql(cursor, part, rules, rejected)
            rows = cursor.execute(
                f"SELECT _source, count(*) FROM ({sql}) WHERE len(list_filter(reasons, "
                "lambda r: r.code = 'PARTITION_MISMATCH')) > 0 GROUP BY _source"
            ).fetchall()
        return dict(rows)

    def _explain_sql(
        self, cursor: duckdb.DuckDBPyConnection, part: Part, rules: RowRules, rejected: Sequence[Text]
    ) -> str:
        cursor.execute(
            f"CREATE OR REPLACE TEMP VIEW rejects AS SELECT * FROM read_parquet({path_list(rejected)})"
        )
        with self._lock:
            return explain_sql(part.columns, rules, repr(rules))

    def table(self, backend: Any, files: Sequence[Text]) -> Expr:
        """Parquet files as one table; columns that some files lack are NULL there."""
        name = f"files_{self.number()}"
        # a folder named `_p=…` must not become a column
        options = "union_by_name = true, hive_partitioning = false"
        source = f"read_parquet({path_list(map(on_disk, files))}, {options})"
        backend.con.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM {source}")
        return backend.table(name)

    def arrow(self, backend: Any, table: pa.Table) -> Expr:
        """An Arrow table as a table of this instance."""
        name = f"arrow_{self.number()}"
        backend.con.register(name, table)
        return backend.table(name)

    def keep(self, backend: Any, table: Expr) -> Expr:
        """The table's rows, computed once."""
        name = f"kept_{self.number()}"
        backend.con.execute(f"CREATE TEMP TABLE {name} AS {backend.compile(table)}")
        return backend.table(name)

    def repeats(self, hashed: Expr, by: Sequence[str]) -> list[KeyCounts]:
        """How often keys occur."""
        counted = hashed.group_by(hashed.columns).aggregate(__n=hashed.count())
        twice = (counted["__n"].max() > 1).fill_null(False)
        found = counted.aggregate(keys=counted.count(), twice=twice, by=[*by]).to_pyarrow().to_pylist()
        return [KeyCounts(row[by[0]] if by else "", row["keys"], row["twice"]) for row in found]

    def copy(
        self, backend: Any, table: Expr, _: str, partitions: Sequence[str], values: Mapping[str, Any]
    ) -> list[OutputFile]:
        """Write a table to Parquet, a file per value of ``_partition``."""
        target = self.folder / "copied" / str(self.number())
        sql = enumerated(backend.compile(table), values)
        if len(partitions) == 1:  # a plain copy streams on all threads
            sql = enumerated(sql, {"_partition": partitions})
            path = target / "0.parquet"
            rows = self._copy_sql(backend, sql, path)
            return [OutputFile(path, partitions[0], rows)] if rows else []
        sql = f"SELECT *, _partition AS _p FROM ({sql})"
        written = copy_by(backend.con, sql, target, ["_p"])
        return [OutputFile(path, keys[0], rows) for path, rows, keys in written]

    def _copy_sql(self, backend: Any, sql: str, path: Path) -> int:
        path.parent.mkdir(parents=True, exist_ok=True)
        (rows,) = backend.con.execute(f"COPY ({sql}) TO {quoted(str(path))} ({COPY_OPTIONS})").fetchone()
        return int(rows)

    def sum_by_partition(self, paths: Sequence[Path], column: str) -> dict[str, int]:
        """The sum of a column of Parquet files, by ``_partition``."""
        with self.cursor() as cursor:
            rows = cursor.execute(
                f"SELECT _partition, sum({named(column)})::BIGINT FROM read_parquet({path_list(paths)}) "
                "GROUP BY _partition"
            ).fetchall()
        return dict(rows)

    def select(
        self, sql: str, paths: Mapping[str, Sequence[Path]], empty: Mapping[str, pa.Schema | None]
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run a query that sees the tables in `paths` (``schema.name`` → Parquet files), and nothing else.

        It has an instance of its own, whose doors are locked before the query runs.
        """
        with duckdb.connect(config=self._config) as cursor:
            cursor.execute("SET TimeZone = 'UTC'")
            for name, files in paths.items():
                schema, _, table = name.partition(".")
                cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {named(schema)}")
                source = f"read_parquet({path_list(files)}, union_by_name = true)"
                if not files:
                    cursor.register(f"empty_{table}", (empty[name] or pa.schema([])).empty_table())
                    source = named(f"empty_{table}")
                cursor.execute(f"CREATE VIEW {named(schema)}.{named(table)} AS SELECT * FROM {source}")
            readable = ", ".join(quoted(str(f)) for files in paths.values() for f in files)
            cursor.execute(f"SET allowed_paths = [{readable}]")
            cursor.execute("SET enable_external_access = false; SET lock_configuration = true")
            try:
                found = cursor.execute(sql)
                return [d[0] for d in found.description], found.fetchall()
            except duckdb.Error as e:
                raise UsageError(f"The query failed: {e!s}") from e

    def any_file(self, backend: Any, file: Path) -> Expr:
        """A file of any format as a table, its types guessed; raises `UsageError` where it cannot be read."""
        name, path = f"file_{self.number()}", quoted(str(file))
        lower = file.name.lower()
        readers = {
            ".parquet": "read_parquet",
            ".json": "read_json",
            ".jsonl": "read_json",
            ".ndjson": "read_json",
        }
        reader = next((r for suffix, r in readers.items() if suffix in lower), "read_csv")
        try:
            backend.con.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM {reader}({path})")
        except duckdb.Error as e:
            raise UsageError(f"{file} cannot be read: {str(e).splitlines()[0]}") from e
        return backend.table(name)

    def json_structure(self, files: Sequence[Path]) -> list[Any]:
        """The keys and value types that the JSON lines of each file have, e.g. ``{"a": "UBIGINT"}``."""
        rows: list[Any] = []
        for some in portions(files, STRUCTURED_BYTES):  # the aggregate holds all that it has seen
            with self.cursor() as cursor:
                rows += cursor.execute(
                    f"SELECT _file, json_group_structure(line::JSON) FROM {lines_sql(some)} WHERE "
                    "CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE false END GROUP BY _file"
                ).fetchall()
        found = {path: json.loads(text) for path, text in rows}
        structures = [found.get(str(f)) for f in files]
        return [
            s if isinstance(s, dict) else {} for s in structures
        ]  # of objects without keys it says "JSON"

    def json_array_to_lines(self, source: Path, target: Path) -> int:
        """Rewrite a JSON array of objects as JSON Lines; returns their number. Raises ValueError for other JSON."""
        with self.cursor() as cursor:
            size = max(source.stat().st_size + 1, 16 * 1024 * 1024)
            try:
                row = cursor.execute(
                    f"COPY (SELECT translate(json::VARCHAR, chr(10) || chr(13), '  ') FROM read_json_objects({quoted(str(source))}, "
                    f"format = 'array', maximum_object_size = {size})) TO {quoted(str(target))} "
                    "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')"
                ).fetchone()
            except (duckdb.InvalidInputException, duckdb.IOException) as e:
                raise ValueError(str(e).split("\n")[0]) from e
        if not closed(source):  # DuckDB takes one that is cut off behind a comma
            raise ValueError("The array is not closed")
        return int(row[0]) if row else 0


@lru_cache(LAYOUTS)
def validate_sql(columns: ibis.Schema, rules: RowRules, *, by_row: bool) -> str:
    """`validated` of the view ``raw``. by_row: whether its rows belong to several partitions."""
    rows = validated(ibis.table(raw_schema(columns), name="raw"), rules, DuckDB.dialect)
    return sql_of(rows.mutate(_p=rows["_partition"]) if by_row else rows)


@lru_cache(LAYOUTS)
def explain_sql(columns: ibis.Schema, rules: RowRules, _: str) -> str:
    """`explained` of the view ``rejects``; the last is how rules are written, for 0 and 0.0 are equal."""
    schema = {**{n: dt.string for n in LINEAGE}, "_record": dt.int64, RESCUED: dt.string}
    return sql_of(explained(ibis.table(schema, name="rejects"), rules, raw_schema(columns), DuckDB.dialect))


def portions(files: Sequence[Path], most: int) -> Iterator[list[Path]]:
    """The files in their order, together about so many bytes at a time."""
    taken: list[Path] = []
    size = 0
    for file in files:
        taken.append(file)
        size += file.stat().st_size
        if size >= most:
            yield taken
            taken, size = [], 0
    if taken:
        yield taken


def closed(file: Path) -> bool:
    """Whether a JSON text ends with a bracket."""
    with file.open("rb") as text:
        text.seek(max(file.stat().st_size - 4096, 0))
        end = text.read().rstrip()
    return end.endswith(b"]") or not end


def _is_of_the_file(error: duckdb.Error) -> bool:
    """Whether a reader's error is about what it read: a plain Error is a Parquet footer's."""
    about_values = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.IOException)
    return isinstance(error, about_values) or type(error) is duckdb.Error
