"""Read parts with DuckDB, and write what came of them: SQL texts, and the counts of what was written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from lake_pipeline.datasets.config import Csv
from lake_pipeline.engines.duckdb_dialect import TEXTS, named, path_list, quoted
from lake_pipeline.engines.parts import Part
from lake_pipeline.engines.rows import RESCUED
from lake_pipeline.formats.json_texts import LONG_NUMBER
from lake_pipeline.formats.packs import Text, size_of

DuckDBPyConnection = Any  # the module duckdb is imported by the engine alone
# A dictionary that is given up after 24,000 values, DuckDB's default, has cost a sixth of the copy.
COPY_OPTIONS = "FORMAT parquet, COMPRESSION zstd, DICTIONARY_SIZE_LIMIT 4096"
LINE_LIMIT = 2_000_000
WHITE = "' ' || chr(9) || chr(13)"
NO_NULL = "\x02\x03"  # a text that no file has: DuckDB must be given one that means NULL


def raw_schema(columns: ibis.Schema) -> ibis.Schema:
    """A raw table's columns with the lineage ones."""
    lineage = {"_partition": "string", "_source": "string", "_record": "int64", "_sound": "boolean"}
    return ibis.schema({**dict(columns.items()), **lineage})


def raw_sql(cursor: DuckDBPyConnection, part: Part, n: int) -> str:
    """The raw table of a part, as `lake_pipeline.engines.rows` wants it."""
    scan = SCANS[part.format.type](part, n)
    if len(part.files) == 1 and not part.pack:
        file = part.files[0]
        lineage = f"{constant(file.partition)} AS _partition, {constant(file.source)} AS _source, _rn + {file.before} AS _record"
        return f"SELECT * EXCLUDE (_rn, _file), {lineage} FROM ({scan})"
    rows = {
        "_file": pa.array(range(len(part.files)), pa.uint32())
        if part.pack
        else [str(f.path) for f in part.files],
        "_before": [f.before for f in part.files],
        "_source": pa.array([f.source for f in part.files]).dictionary_encode(),
        "_partition": pa.array([f.partition for f in part.files]),
    }
    cursor.register("part_files", pa.table(rows))
    partition = constant(part.partition) if part.partition else "o._partition"
    return (
        f"SELECT s.* EXCLUDE (_rn, _file), {partition} AS _partition, o._source, s._rn + o._before AS _record "
        f"FROM ({scan}) s JOIN part_files o ON s._file = o._file"
    )


def constant(text: str) -> str:
    """A text that all rows have, as an enumeration: Parquet gets a string, without hashing it for each row.

    The statistics in a file are those of the whole enumeration: Iceberg wants exact ones of ``_partition``.
    """
    return f"{quoted(text)}::ENUM({quoted(text)})"


def enumerated(sql: str, values: Mapping[str, Iterable[str]]) -> str:
    """A query with the text columns in `values` as enumerations of all the values they can have; see `constant`."""
    if not values:
        return sql
    casts = [f"{name}::ENUM({', '.join(map(quoted, texts))}) AS {name}" for name, texts in values.items()]
    return f"SELECT * REPLACE ({', '.join(casts)}) FROM ({sql})"


def numbered(rows: str, part: Part) -> str:
    """Rows with ``_rn``, their number in their file, from 1."""
    scan = f"SELECT *, row_number() OVER () AS _rn FROM {rows}"
    if part.pack or len(part.files) == 1:
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
    # of a repaired file and of a pack they are known; else they are as the first line tells
    breaks = "new_line = '\\n', " if part.longest or part.pack else ""
    paths = [part.pack] if part.pack else [f.path for f in part.files]
    index, filename = ("'_file': 'UINTEGER', ", "") if part.pack else ("", "filename = '_file', ")
    rows = (
        f"read_csv({path_list(paths)}, columns = {{{index}{columns}}}, auto_detect = false, "
        f"header = {str(part.files[0].skip_header).lower()}, delim = {quoted(form.separator)}, quote = {quote}, "
        f"escape = {quote}, nullstr = {quoted(NO_NULL)}, {breaks}{filename}store_rejects = true, "
        f"rejects_table = 'reject_errors_{n}', rejects_scan = 'reject_scans_{n}', "
        f"max_line_size = {max(LINE_LIMIT, part.longest + 1)})"
    )
    return f"SELECT {selected}, _file, true AS _sound, _rn FROM ({numbered(rows, part)})"


def lines_sql(files: Sequence[Text]) -> str:
    """Text lines: ``line`` (NULL for an empty one) and ``_file``."""
    longest = max([LINE_LIMIT, *(min(size_of(f), 512 * 1024 * 1024) for f in files)])
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
    """JSON text, its values as texts where there are long numbers, so that DuckDB does not read them as doubles."""
    return f"CASE WHEN regexp_matches({text}, '{LONG_NUMBER}') THEN {TEXTS}({text}) ELSE {text} END"


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


def copy_by(
    cursor: DuckDBPyConnection, sql: str, folder: Path, keys: list[str]
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


def broken_sources(cursor: DuckDBPyConnection, part: Part, n: int) -> frozenset[str]:
    """The sources in which the reader found records that do not fit the columns."""
    if not isinstance(part.format, Csv):
        return frozenset()
    rows = cursor.execute(
        f"SELECT DISTINCT s.file_path FROM reject_errors_{n} e JOIN reject_scans_{n} s USING (scan_id, file_id)"
    ).fetchall()
    if part.pack:
        return frozenset(f.source for f in part.files) if rows else frozenset()
    sources = {str(f.path): f.source for f in part.files}
    return frozenset(sources[path] for (path,) in rows)


def count_sources(
    cursor: DuckDBPyConnection, good: list[Path], bad: list[Path]
) -> dict[str, tuple[int, int]]:
    """By source: (good rows, rejected rows), counted in the files that were written."""
    counts: dict[str, list[int]] = {}
    for index, paths in enumerate((good, bad)):
        if paths:
            sql = f"SELECT _source, count(*) FROM read_parquet({path_list(paths)}) GROUP BY _source"
            for source, rows in cursor.execute(sql).fetchall():
                counts.setdefault(source, [0, 0])[index] = rows
    return {source: (pair[0], pair[1]) for source, pair in counts.items()}


def count_rescued(cursor: DuckDBPyConnection, good: list[Path]) -> dict[str, dict[str, int]]:
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
