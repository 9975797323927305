"""The embedded engine: DuckDB in the run's process, over local files. What is DuckDB's own is here.

Rows are numbered by a streaming window, which keeps a scan on one thread; so a part is one thread's
work, and parts run beside one another.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
from ibis.backends.sql.datatypes import DuckDBType

from lake_pipeline.contracts.formats import parts as format_parts
from lake_pipeline.contracts.formats import to_strptime
from lake_pipeline.datasets.config import Csv
from lake_pipeline.engines.casts import Expr
from lake_pipeline.engines.parts import OutputFile, Part, PartResult
from lake_pipeline.engines.rows import LINEAGE, REJECTED, RESCUED, RowRules, explained, validated
from lake_pipeline.errors import Terminal, Transient, UsageError

MEMORY = "1000MB"
COPY_OPTIONS = "FORMAT parquet, COMPRESSION zstd"
LINE_LIMIT = 2_000_000
EXPLAIN_ROWS = 20_000
WHITE = "' ' || chr(9) || chr(13)"
LONG_NUMBER = "[0-9.]{17}"  # what a double may not hold
EXACT = "lake_exact_numbers"
NO_NULL = "\x02\x03"  # a text that no file has: DuckDB must be given one that means NULL


class EngineOutOfMemory(Transient):
    """DuckDB reached its memory limit even with spilling."""


class QueryFailed(Terminal):
    """DuckDB cannot compute what it was asked for, with the data it met."""


class DuckDBDialect:
    """The functions that DuckDB names in its own way."""

    def instant(self, local: Expr, zone: str) -> Expr:
        """``timezone(zone, timestamp)``."""
        return builtin("timezone", (dt.string, dt.Timestamp(None, 6)), dt.Timestamp("UTC", 6))(zone, local)

    def local(self, instant: Expr, zone: str) -> Expr:
        """``timezone(zone, timestamptz)``."""
        return builtin("timezone", (dt.string, dt.Timestamp("UTC", 6)), dt.Timestamp(None, 6))(zone, instant)

    def parse(self, text: Expr, pattern: str) -> Expr:
        """``try_strptime``, which does not know the offset ``Z``."""
        text = text.replace("Z", "+00:00") if "offset" in format_parts(pattern) else text
        made = dt.Timestamp("UTC" if "offset" in format_parts(pattern) else None, 6)
        return builtin("try_strptime", (dt.string, dt.string), made)(text, to_strptime(pattern))

    def from_json(self, text: Expr, shape: dt.DataType) -> Expr:
        """``from_json``, only where the text is JSON."""
        parse = builtin("from_json", (dt.string, dt.string), shape)
        valid = builtin("json_valid", (dt.string,), dt.boolean)(text)
        exact = builtin(EXACT, (dt.string,), dt.string)(text)
        text = text.re_search(LONG_NUMBER).ifelse(exact, text)
        return valid.ifelse(parse(text, json.dumps(structure(shape))), ibis.null(shape))

    def to_json(self, value: Expr) -> Expr:
        """``to_json`` as text."""
        return builtin("to_json", (value.type(),), dt.JSON())(value).cast("string")


JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*')


def exact_numbers(texts: pa.Array) -> pa.Array:
    """JSON texts with their long numbers in quotes."""
    return pa.array([t and JSON_TOKEN.sub(_in_quotes, t) for t in texts.to_pylist()], pa.string())


def _in_quotes(token: re.Match[str]) -> str:
    return token[0] if token[0].startswith('"') or len(token[0]) < 17 else f'"{token[0]}"'


def structure(shape: dt.DataType) -> Any:
    """A type as DuckDB's ``from_json`` wants it: ``{"a": "VARCHAR", "b": ["BIGINT"]}``."""
    if isinstance(shape, dt.Struct):
        return {name: structure(field) for name, field in shape.items()}
    if isinstance(shape, dt.Array):
        return [structure(shape.value_type)]
    return DuckDBType.to_string(shape)


def builtin(name: str, takes: tuple[dt.DataType, ...], gives: dt.DataType) -> Callable[..., Expr]:
    """A function of the database as an Ibis function."""
    arguments = [f"a{i}" for i in range(len(takes))]

    def function(*_: Any) -> Any: ...

    function.__name__ = name
    function.__signature__ = signature(arguments)  # type: ignore[attr-defined]
    return ibis.udf.scalar.builtin(function, name=name, signature=(takes, gives))


def signature(names: list[str]) -> Any:
    """A signature of positional parameters, which Ibis reads off a function."""
    import inspect

    return inspect.Signature([inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names])


def sql_of(expression: Expr) -> str:
    """An expression as DuckDB's SQL."""
    return str(ibis.to_sql(expression, dialect="duckdb", pretty=False))


def quoted(text: str) -> str:
    """An SQL string."""
    return "'" + text.replace("'", "''") + "'"


def named(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


class DuckDB:
    """One DuckDB instance with bounded memory that spills into `folder`."""

    dialect = DuckDBDialect()

    def __init__(self, folder: Path, memory: str = MEMORY, threads: int | None = None) -> None:
        self.folder = folder
        self.workers = threads or os.cpu_count() or 1
        self._config: dict[str, Any] = {
            "memory_limit": memory,
            "temp_directory": str(folder / "duckdb"),
            "threads": self.workers,
            "preserve_insertion_order": True,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self.connection = duckdb.connect(config=self._config)
        self.connection.create_function(EXACT, exact_numbers, ["VARCHAR"], "VARCHAR", type="arrow")  # type: ignore[call-overload]
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._statements: dict[Any, str] = {}

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
        cursor.execute("SET TimeZone = 'UTC'")
        try:
            yield cursor
        except duckdb.OutOfMemoryException as e:
            raise EngineOutOfMemory(f"DuckDB needs more memory than its limit: {e}") from e
        finally:
            cursor.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn DuckDB's exceptions into ours, where a user's own expressions are run."""
        try:
            yield
        except duckdb.OutOfMemoryException as e:
            raise EngineOutOfMemory(f"DuckDB needs more memory than its limit: {e}") from e
        except duckdb.Error as e:
            raise QueryFailed(str(e)) from e

    def number(self) -> int:
        """A number that no other statement of this instance has."""
        with self._lock:
            return next(self._numbers)

    def validate(self, part: Part, rules: RowRules, out: Path) -> PartResult:
        """Type and judge every row of a part; good rows to Parquet below `out`, rejects with reasons."""
        n = self.number()
        with self.cursor() as cursor:
            try:
                cursor.execute(f"CREATE TEMP VIEW raw AS {raw_sql(cursor, part, n)}")
                written = copy_by(cursor, self._validate_sql(part, rules), out / str(n), [REJECTED, "_p"])
            except duckdb.Error as e:
                if not _is_of_the_file(e):
                    raise
                return PartResult(broken=frozenset(f.source for f in part.files), error=str(e).split("\n")[0])
            broken = broken_sources(cursor, part, n)
            if broken:
                return PartResult(broken=broken, error="records that do not fit the columns")
            good = [OutputFile(p, k[1], rows) for p, rows, k in written if k[0] == "false"]
            bad = [p for p, _, k in written if k[0] == "true"]
            return PartResult(
                good=tuple(good),
                rejected=tuple(bad),
                counts=count_sources(cursor, [f.path for f in good], bad),
                coerced=count_rescued(cursor, [f.path for f in good]),
            )

    def _validate_sql(self, part: Part, rules: RowRules) -> str:
        raw = ibis.table(raw_schema(part.columns), name="raw")
        rows = validated(raw, rules, self.dialect)
        return self._compiled(("validate", part.columns, rules), rows.mutate(_p=rows["_partition"]))

    def explain(self, part: Part, rules: RowRules, rejected: Sequence[Path]) -> Iterator[pa.RecordBatch]:
        """The rejected rows of a part with all their reasons, in order: (_partition, _source, _record,
        reasons, original), in batches, so that a file of nothing but rejects does not fill the memory."""
        with self.cursor() as cursor:
            sql = self._explain_sql(cursor, part, rules, rejected)
            rows = cursor.sql(f"{sql} ORDER BY _partition, _source, _record")
            yield from rows.to_arrow_reader(EXPLAIN_ROWS)

    def elsewhere(self, part: Part, rules: RowRules, rejected: Sequence[Path]) -> dict[str, int]:
        """By source: how many of the rejected rows belong to another partition."""
        with self.cursor() as cursor:
            sql = self._explain_sql(cursor, part, rules, rejected)
            rows = cursor.execute(
                f"SELECT _source, count(*) FROM ({sql}) WHERE len(list_filter(reasons, "
                "lambda r: r.code = 'PARTITION_MISMATCH')) > 0 GROUP BY _source"
            ).fetchall()
        return dict(rows)

    def _explain_sql(
        self, cursor: duckdb.DuckDBPyConnection, part: Part, rules: RowRules, rejected: Sequence[Path]
    ) -> str:
        cursor.execute(
            f"CREATE OR REPLACE TEMP VIEW rejects AS SELECT * FROM read_parquet({path_list(rejected)})"
        )
        schema = {**{n: dt.string for n in LINEAGE}, "_record": dt.int64, RESCUED: dt.string}
        reasons = explained(ibis.table(schema, name="rejects"), rules, raw_schema(part.columns), self.dialect)
        sql = self._compiled(("explain", part.columns, rules), reasons)
        return (
            f"SELECT o._partition, r._source, r._record, r.reasons, o.{RESCUED} AS original "
            f"FROM ({sql}) r JOIN rejects o USING (_source, _record)"
        )

    def _compiled(self, key: Any, expression: Expr) -> str:
        with self._lock:
            if key not in self._statements:
                self._statements[key] = sql_of(expression)
            return self._statements[key]

    def table(self, backend: Any, paths: Sequence[Path]) -> Expr:
        """Parquet files as one table; columns that some files lack are NULL there."""
        name = f"files_{self.number()}"
        source = f"read_parquet({path_list(paths)}, union_by_name = true)"
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

    def copy(self, backend: Any, table: Expr, folder: Path, partitions: Sequence[str]) -> list[OutputFile]:
        """Write a table to Parquet below `folder`, a file per value of ``_partition`` (one of `partitions`)."""
        target = folder / str(self.number())
        if len(partitions) == 1:  # a plain copy streams on all threads
            path = target / "0.parquet"
            rows = self.copy_one(backend, table, path)
            return [OutputFile(path, partitions[0], rows)] if rows else []
        sql = backend.compile(table.mutate(_p=table["_partition"]))
        written = copy_by(backend.con, sql, target, ["_p"])
        return [OutputFile(path, keys[0], rows) for path, rows, keys in written]

    def copy_one(self, backend: Any, table: Expr, path: Path) -> int:
        """Write a table to one Parquet file; returns its rows."""
        path.parent.mkdir(parents=True, exist_ok=True)
        (rows,) = backend.con.execute(
            f"COPY ({backend.compile(table)}) TO {quoted(str(path))} ({COPY_OPTIONS})"
        ).fetchone()
        return int(rows)

    def sum_by_partition(self, paths: Sequence[Path], column: str) -> dict[str, int]:
        """The sum of a column of Parquet files, by ``_partition``."""
        with self.cursor() as cursor:
            rows = cursor.execute(
                f"SELECT _partition, sum({named(column)})::BIGINT FROM read_parquet({path_list(paths)}) "
                "GROUP BY _partition"
            ).fetchall()
        return dict(rows)

    def rows(self, paths: Sequence[Path], limit: int) -> list[dict[str, Any]]:
        """The first rows of Parquet files, by line and record."""
        with self.cursor() as cursor:
            sql = f"SELECT * FROM read_parquet({path_list(paths)}) ORDER BY line, _record LIMIT {limit}"
            found: list[dict[str, Any]] = cursor.execute(sql).to_arrow_table().to_pylist()
        return found

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
                raise UsageError(f"The query failed: {str(e)}") from e

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
        with self.cursor() as cursor:
            rows = cursor.execute(
                f"SELECT _file, json_group_structure(line::JSON) FROM {lines_sql(files)} WHERE "
                "CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE false END GROUP BY _file"
            ).fetchall()
        found = {path: json.loads(text) for path, text in rows}
        return [found.get(str(f), {}) for f in files]

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
        return int(row[0]) if row else 0


def _is_of_the_file(error: duckdb.Error) -> bool:
    """Whether a reader's error is about what it read: a plain Error is a Parquet footer's."""
    about_values = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.IOException)
    return isinstance(error, about_values) or type(error) is duckdb.Error


def raw_schema(columns: ibis.Schema) -> ibis.Schema:
    """A raw table's columns with the lineage ones."""
    lineage = {"_partition": "string", "_source": "string", "_record": "int64", "_sound": "boolean"}
    return ibis.schema({**dict(columns.items()), **lineage})


def raw_sql(cursor: duckdb.DuckDBPyConnection, part: Part, n: int) -> str:
    """The raw table of a part, as `lake_pipeline.engines.rows` wants it."""
    scan = SCANS[part.format.type](part, n)
    if len(part.files) == 1:
        file = part.files[0]
        lineage = f"{quoted(file.partition)} AS _partition, {quoted(file.source)} AS _source, _rn + {file.before} AS _record"
        return f"SELECT * EXCLUDE (_rn, _file), {lineage} FROM ({scan})"
    rows = {
        "path": [str(f.path) for f in part.files],
        "_source": [f.source for f in part.files],
        "_partition": [f.partition for f in part.files],
    }
    cursor.register("part_files", pa.table(rows))
    return (
        f"SELECT s.* EXCLUDE (_rn, _file), o._partition, o._source, s._rn AS _record FROM ({scan}) s "
        "JOIN part_files o ON s._file = o.path"
    )


def numbered(rows: str, part: Part) -> str:
    """Rows with ``_rn``, their number in their file, from 1."""
    scan = f"SELECT *, row_number() OVER () AS _rn FROM {rows}"
    if len(part.files) == 1:
        return scan
    return f"SELECT * REPLACE (_rn - min(_rn) OVER (PARTITION BY _file) + 1 AS _rn) FROM ({scan})"


def csv_scan(part: Part, n: int) -> str:
    """Strict parsing, every column text, the columns by position; faulty records go to a rejects table."""
    form = part.format
    assert isinstance(form, Csv)
    names = list(part.columns.names)
    columns = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(names)))
    # DuckDB drops a field too many when it is NULL; so nothing is, until the record is known to be sound
    selected = ", ".join(f"{without_nulls(f'c{i}', part)} AS {named(name)}" for i, name in enumerate(names))
    quote = quoted(form.quote)
    breaks = "new_line = '\\n', " if part.longest else ""  # a repaired file's; else as the first line tells
    rows = (
        f"read_csv({path_list([f.path for f in part.files])}, columns = {{{columns}}}, auto_detect = false, "
        f"header = {str(part.files[0].skip_header).lower()}, delim = {quoted(form.separator)}, quote = {quote}, "
        f"escape = {quote}, nullstr = {quoted(NO_NULL)}, {breaks}filename = '_file', store_rejects = true, "
        f"rejects_table = 'reject_errors_{n}', rejects_scan = 'reject_scans_{n}', "
        f"max_line_size = {max(LINE_LIMIT, part.longest + 1)})"
    )
    return f"SELECT {selected}, _file, true AS _sound, _rn FROM ({numbered(rows, part)})"


def lines_sql(files: Sequence[Path]) -> str:
    """Text lines: ``line`` (NULL for an empty one) and ``_file``."""
    longest = max([LINE_LIMIT, *(min(f.stat().st_size, 512 * 1024 * 1024) for f in files)])
    return (
        f"read_csv({path_list(files)}, columns = {{'line': 'VARCHAR'}}, auto_detect = false, header = false, "
        f"delim = '', quote = '', escape = '', filename = '_file', max_line_size = {longest + 1})"
    )


def json_scan(part: Part, _: int) -> str:
    """One JSON object a line, every column the text of its value; blank lines are no records."""
    names = list(part.columns.names)
    shape = quoted(json.dumps({name: "VARCHAR" for name in names}))
    selected = ", ".join(
        f"{without_nulls(f'_json[{quoted(name)}]', part)} AS {named(name)}" for name in names
    )
    lines = numbered(lines_sql([f.path for f in part.files]), part)
    sound = "CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE false END"
    return (
        f"SELECT {selected}, _file, _sound, _rn FROM (SELECT *, CASE WHEN _sound THEN "
        f"from_json({exactly('line')}, {shape}) END AS _json FROM "
        f"(SELECT *, {sound} AS _sound FROM ({lines}) WHERE trim(line, {WHITE}) <> ''))"
    )


def exactly(text: str) -> str:
    """JSON text with its long numbers as strings, so that DuckDB does not read them as doubles."""
    return f"CASE WHEN regexp_matches({text}, '{LONG_NUMBER}') THEN {EXACT}({text}) ELSE {text} END"


def without_nulls(value: str, part: Part) -> str:
    """The value, NULL where it is one of the format's null texts."""
    if not part.format.nulls:
        return value
    return f"CASE WHEN {value} NOT IN ({', '.join(quoted(t) for t in part.format.nulls)}) THEN {value} END"


def parquet_scan(part: Part, _: int) -> str:
    """Parquet columns by name, with their own types."""
    selected = ", ".join(
        f"{without_nulls(named(name), part) if type_.is_string() else named(name)} AS {named(name)}"
        for name, type_ in part.columns.items()
    )
    return (
        f"SELECT {selected}, _file, true AS _sound, file_row_number + 1 AS _rn FROM "
        f"read_parquet({path_list([f.path for f in part.files])}, filename = '_file', file_row_number = true)"
    )


SCANS: dict[str, Callable[[Part, int], str]] = {
    "csv": csv_scan,
    "tsv": csv_scan,
    "jsonl": json_scan,
    "json": json_scan,
    "parquet": parquet_scan,
}


def path_list(paths: Sequence[Path]) -> str:
    """Paths as an SQL list."""
    return "[" + ", ".join(quoted(str(p)) for p in paths) + "]"


def copy_by(
    cursor: duckdb.DuckDBPyConnection, sql: str, folder: Path, keys: list[str]
) -> list[tuple[Path, int, tuple[str, ...]]]:
    """Write a query to Parquet, a file per value of `keys`: [(path, rows, values)], sorted by path."""
    folder.mkdir(parents=True)
    rows = cursor.execute(
        f"COPY ({sql}) TO {quoted(str(folder))} ({COPY_OPTIONS}, PARTITION_BY ({', '.join(keys)}), "
        "RETURN_STATS)"
    ).fetchall()
    found = []
    for path, count, _, _, _, values, *_ in rows:
        found.append((Path(path), int(count), tuple(str(values[key]) for key in keys)))
    return sorted(found)


def broken_sources(cursor: duckdb.DuckDBPyConnection, part: Part, n: int) -> frozenset[str]:
    """The sources in which the reader found records that do not fit the columns."""
    if not isinstance(part.format, Csv):
        return frozenset()
    rows = cursor.execute(
        f"SELECT DISTINCT s.file_path FROM reject_errors_{n} e JOIN reject_scans_{n} s USING (scan_id, file_id)"
    ).fetchall()
    sources = {str(f.path): f.source for f in part.files}
    return frozenset(sources[path] for (path,) in rows)


def count_sources(
    cursor: duckdb.DuckDBPyConnection, good: list[Path], bad: list[Path]
) -> dict[str, tuple[int, int]]:
    """By source: (good rows, rejected rows), counted in the files that were written."""
    counts: dict[str, list[int]] = {}
    for index, paths in enumerate((good, bad)):
        if paths:
            sql = f"SELECT _source, count(*) FROM read_parquet({path_list(paths)}) GROUP BY _source"
            for source, rows in cursor.execute(sql).fetchall():
                counts.setdefault(source, [0, 0])[index] = rows
    return {source: (pair[0], pair[1]) for source, pair in counts.items()}


def count_rescued(cursor: duckdb.DuckDBPyConnection, good: list[Path]) -> dict[str, dict[str, int]]:
    """By source and column: how many good rows had their original text rescued."""
    if not good:
        return {}
    rows = cursor.execute(
        f"SELECT _source, k, count(*) FROM (SELECT _source, unnest(json_keys({RESCUED})) AS k, {RESCUED} AS r "
        f"FROM read_parquet({path_list(good)}) WHERE {RESCUED} IS NOT NULL) "
        "WHERE r->>('/' || replace(replace(k, '~', '~0'), '/', '~1')) IS NOT NULL GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    found: dict[str, dict[str, int]] = {}
    for source, column, count in rows:
        found.setdefault(source, {})[column] = count
    return found
