"""Read spooled files on Spark's executors: every file by one task, in its order, as Arrow batches.

Spark's own readers neither number rows nor tell which file a faulty record is in. A file whose records
cannot be told apart becomes one row with ``_record`` 0, for the driver to see.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from lake_pipeline.datasets.config import Csv, Format, Parquet
from lake_pipeline.engines.parts import PartFile
from lake_pipeline.engines.spark_writes import BROKEN, place_of
from lake_pipeline.formats.json_texts import Pairs, json_text, parsed_object
from lake_pipeline.formats.packs import on_disk
from lake_pipeline.formats.remote import Remote, fetching

BATCH_ROWS = 20_000
BLOCK_BYTES = 4 * 1024 * 1024
Bytes = npt.NDArray[np.uint8]
LINEAGE = {"_partition": pa.string(), "_source": pa.string(), "_record": pa.int64(), "_sound": pa.bool_()}


class Unreadable(Exception):
    """The records of a file cannot be told apart."""


@dataclass(frozen=True)
class Reader:
    """What a task needs to read files of one layout. columns: as Spark is to have them; longest: a record in bytes."""

    format: Format
    names: tuple[str, ...]
    columns: pa.Schema
    longest: int = 0

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The rows of the files that a batch describes (see `describe`)."""
        for batch in batches:
            for file in batch["file"].to_pylist():
                with fetching():
                    yield from self.rows(described(file))

    def rows(self, file: PartFile) -> Iterator[pa.RecordBatch]:
        """The rows of one file."""
        at = file.before
        try:
            for found in READERS[self.format.type](file, self):
                yield self._with_lineage(found, file, at)
                at += found.num_rows
        except (Unreadable, pa.ArrowException, OSError, ValueError):
            yield self._broken(file)

    def _with_lineage(self, found: pa.RecordBatch, file: PartFile, at: int) -> pa.RecordBatch:
        rows = found.num_rows
        numbers = (
            found["_record"]
            if "_record" in found.schema.names
            else pa.array(np.arange(at + 1, at + rows + 1))
        )
        sound = found["_sound"] if "_sound" in found.schema.names else pa.repeat(True, rows)
        data = [carried(found[f"c{i}"], self.columns.field(i).type) for i in range(len(self.names))]
        lineage = {
            "_partition": pa.repeat(file.partition, rows),
            "_source": pa.repeat(file.source, rows),
            "_record": numbers,
            "_sound": sound,
        }
        return pa.record_batch([*data, *(lineage[n] for n in self.lineage)], schema=self.columns)

    @property
    def lineage(self) -> list[str]:
        """The lineage columns that rows carry: no partition where all files have the same."""
        return [*self.columns.names[len(self.names) :]]

    def _broken(self, file: PartFile) -> pa.RecordBatch:
        empty = [pa.nulls(1, f.type) for f in list(self.columns)[: len(self.names)]]
        lineage = {"_partition": file.partition, "_source": file.source, "_record": BROKEN, "_sound": False}
        arrays = [pa.array([lineage[n]], LINEAGE[n]) for n in self.lineage]
        return pa.record_batch([*empty, *arrays], schema=self.columns)


def describe(file: PartFile) -> str:
    """A file as JSON, on its way to a task."""
    return json.dumps({**vars(file), "path": place_of(file.path)})


def described(text: str) -> PartFile:
    """A file of `describe`, on this executor's disk."""
    said = json.loads(text)
    at = said.pop("path")
    return PartFile(path=Path(at) if isinstance(at, str) else Remote(*at).fetched(), **said)


def carried(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """An Arrow column in the type in which Spark has it; a local time is one in UTC there."""
    if values.type == kind:
        return values
    if pa.types.is_timestamp(values.type) and values.type.tz is None and pa.types.is_timestamp(kind):
        return pc.assume_timezone(values.cast(pa.timestamp("us"), safe=False), "UTC")
    return values.cast(kind, safe=not pa.types.is_timestamp(kind))


def spark_columns(columns: ibis.Schema) -> ibis.Schema:
    """The raw columns in types that Spark has: unsigned integers widened, times of day as text."""
    return ibis.schema({name: _spark_type(type_) for name, type_ in columns.items()})


def _spark_type(type_: dt.DataType) -> dt.DataType:
    nullable = type_(nullable=True)
    if type_.is_unsigned_integer():
        return dt.Decimal(20, 0) if type_.nbytes == 8 else dt.int64
    if type_.is_float16():
        return dt.float32
    if type_.is_time() or type_.is_uuid() or type_.is_interval():
        return dt.string
    if isinstance(type_, dt.Struct):
        return dt.Struct({name: _spark_type(field) for name, field in type_.items()})
    if isinstance(type_, dt.Array):
        return dt.Array(_spark_type(type_.value_type))
    return nullable


def arrow_schema(columns: ibis.Schema, lineage: Iterable[str] = tuple(LINEAGE)) -> pa.Schema:
    """The Arrow schema of a raw table on its way to Spark."""
    fields = [pa.field(name, _arrow_type(type_)) for name, type_ in columns.items()]
    return pa.schema([*fields, *(pa.field(name, LINEAGE[name]) for name in lineage)])


@dataclass(frozen=True)
class ParquetReader:
    """Reads Parquet files of the lake in tasks, all with the same columns; those a file lacks are NULL."""

    columns: pa.Schema

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for place in batch["place"].to_pylist():
                with fetching():
                    path = Remote(*json.loads(place)).fetched()
                    for rows in pq.ParquetFile(path).iter_batches(BATCH_ROWS):
                        yield self._aligned(rows)

    def _aligned(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        there = set(rows.schema.names)
        arrays = [
            carried(rows[f.name], f.type) if f.name in there else pa.nulls(rows.num_rows, f.type)
            for f in self.columns
        ]
        return pa.record_batch(arrays, schema=self.columns)


def _arrow_type(type_: dt.DataType) -> pa.DataType:
    if type_.is_timestamp():
        return pa.timestamp("us", "UTC")
    if isinstance(type_, dt.Struct):
        return pa.struct([(name, _arrow_type(field)) for name, field in type_.items()])
    if isinstance(type_, dt.Array):
        return pa.list_(_arrow_type(type_.value_type))
    return type_.to_pyarrow()


def csv_rows(file: PartFile, reader: Reader) -> Iterator[pa.RecordBatch]:
    """Delimited text, every column text; `Unreadable` where Arrow would guess."""
    form = reader.format
    assert isinstance(form, Csv)
    path = on_disk(file.path)
    if path.stat().st_size == 0:
        return
    check_quotes(np.fromfile(path, np.uint8), form)
    names = [f"c{i}" for i in range(len(reader.names))]
    block = max(BLOCK_BYTES, 2 * reader.longest)  # Arrow wants a record to lie in two blocks at most
    read = pa_csv.ReadOptions(column_names=names, skip_rows=int(file.skip_header), block_size=block)
    parse = pa_csv.ParseOptions(
        delimiter=form.separator,
        quote_char=form.quote or False,
        double_quote=bool(form.quote),
        newlines_in_values=bool(form.quote),
    )
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=list(form.nulls),
        strings_can_be_null=bool(form.nulls),
        quoted_strings_can_be_null=bool(form.nulls),
        check_utf8=False,
    )
    try:
        yield from pa_csv.open_csv(path, read, parse, convert)
    except pa.ArrowInvalid as e:
        if "Empty CSV file" not in str(e):
            raise


def check_quotes(text: Bytes, form: Csv) -> None:
    """Raise `Unreadable` for a quote that neither opens nor closes a field, nor is doubled.

    Quotes open and close by turns, a doubled one does both; so each but the doubled ones has an end of a
    field beside it. A text that has quotes has no carriage return outside of them but in its line ends.
    """
    if not form.quote:
        return
    separator, newline, back = ord(form.separator), ord("\n"), ord("\r")
    # beyond both ends, as a field would see it, is a separator
    text = np.append(text, np.full(2, separator, np.uint8))
    quotes = np.flatnonzero(text == ord(form.quote))
    opening, closing = quotes[::2], quotes[1::2]
    if opening.size > closing.size:
        raise Unreadable("a quote that is not closed")
    if not quotes.size:
        return
    doubled = closing[:-1] + 1 == opening[1:]
    before, after = text[opening - 1], text[closing + 1]
    starts = (before == separator) | (before == newline)
    starts[1:] |= doubled
    ends = (after == separator) | (after == newline) | ((after == back) & (text[closing + 2] == newline))
    ends[:-1] |= doubled
    if not (starts.all() and ends.all()):
        raise Unreadable("a quote out of place")
    returns = np.flatnonzero(text == back)
    alone = returns[text[returns + 1] != newline]
    if (np.searchsorted(quotes, alone) % 2 == 0).any():
        raise Unreadable("a carriage return that ends no line")


def line_rows(file: PartFile, reader: Reader) -> Iterator[pa.RecordBatch]:
    """JSON Lines: every column the text of its value; blank lines are no records, and count."""
    with on_disk(file.path).open(encoding="utf-8", newline="\n") as lines:
        taken: list[tuple[int, Pairs | None]] = []
        for number, line in enumerate(lines, 1):
            if line.strip(" \t\r\n"):
                taken.append((file.before + number, parsed_object(line)))
            if len(taken) == BATCH_ROWS:
                yield _objects(taken, reader)
                taken = []
    if taken:
        yield _objects(taken, reader)


def _objects(taken: list[tuple[int, Pairs | None]], reader: Reader) -> pa.RecordBatch:
    nulls = frozenset(reader.format.nulls)
    objects = [found.first() if found is not None else {} for _, found in taken]
    columns = {
        f"c{i}": pa.array([_kept(found.get(name), nulls) for found in objects], pa.string())
        for i, name in enumerate(reader.names)
    }
    numbers = pa.array([n for n, _ in taken], pa.int64())
    sound = pa.array([found is not None for _, found in taken])
    return pa.RecordBatch.from_pydict({**columns, "_record": numbers, "_sound": sound})


def _kept(value: Any, nulls: frozenset[str]) -> str | None:
    text = None if value is None else json_text(value)
    return None if text in nulls else text


def parquet_rows(file: PartFile, reader: Reader) -> Iterator[pa.RecordBatch]:
    """Parquet, with its own types; texts that mean NULL are NULL."""
    assert isinstance(reader.format, Parquet)
    nulls = pa.array(reader.format.nulls, pa.string()) if reader.format.nulls else None
    for batch in pq.ParquetFile(on_disk(file.path)).iter_batches(BATCH_ROWS, columns=list(reader.names)):
        columns = [_plain(batch[name], nulls) for name in reader.names]
        yield pa.record_batch(columns, names=[f"c{i}" for i in range(len(columns))])


def _plain(values: pa.Array, nulls: pa.Array | None) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    if nulls is None or not pa.types.is_string(values.type):
        return values
    return pc.if_else(pc.is_in(values, nulls), pa.scalar(None, pa.string()), values)


READERS: dict[str, Callable[[PartFile, Reader], Iterator[pa.RecordBatch]]] = {
    "csv": csv_rows,
    "tsv": csv_rows,
    "jsonl": line_rows,
    "json": line_rows,
    "parquet": parquet_rows,
}
