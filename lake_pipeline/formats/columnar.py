"""Parquet on its way to an engine: what its columns are, and those that the contract does not have in plain types.

Producers' tools write types of which engines or Iceberg have none (times of nanoseconds, unsigned 64 bits, columns of
nothing but NULL), or have other ones each. A column that nobody declared must not decide whether a file can be read:
what is no plain scalar is text, made here for all engines.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake_pipeline.formats.spool import Refused

BATCH_ROWS = 20_000
UNITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}  # digits of a second
INFINITE = ("-Infinity", "Infinity")
LARGEST = 38  # digits of a decimal that engines and Iceberg have


def parquet_columns(path: Path) -> ibis.Schema:
    """The columns and types of a Parquet file; raises `Refused` for one that is none, or that engines cannot tell."""
    fields = schema_of(path)
    twice = repeated(fields.names)
    if twice:
        raise Refused("HEADER_MISMATCH", f'The column "{twice}" stands there more than once.')
    found = {}
    for field in fields:
        try:
            found.update(ibis.Schema.from_pyarrow(pa.schema([field])))
            known = not pa.types.is_duration(field.type) and not pa.types.is_decimal256(field.type)
        except (pa.ArrowException, KeyError, ValueError, NotImplementedError):
            known = False
        if not known:
            message = (
                f'"{field.name}" is {field.type} in the file, which no type of a contract can be read from.'
            )
            raise Refused("BREAKING_DRIFT", message)
    return ibis.schema(found)


def schema_of(path: Path) -> pa.Schema:
    """A Parquet file's columns as Arrow's; raises `Refused` for a file that is none."""
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError, ValueError, NotImplementedError) as e:
        raise Refused("BAD_PARQUET", f"The file cannot be read as Parquet: {str(e).splitlines()[0]}") from e


def repeated(names: Collection[str]) -> str:
    """The first name that stands there again; engines fold case."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            return name
        seen.add(name.casefold())
    return ""


def with_plain_columns(path: Path, declared: Collection[str]) -> Path:
    """The file, or a copy in which every undeclared column that is no plain scalar is text; raises `Refused`.

    A time of day is text where it is declared, too: no contract has the type, and engines write it differently.
    """
    fields = schema_of(path)
    odd = [
        n
        for n, f in enumerate(fields)
        if pa.types.is_time(f.type) or (f.name not in declared and not is_plain(f.type))
    ]
    if not odd or repeated(fields.names):
        return path
    for n in odd:
        fields = fields.set(n, pa.field(fields[n].name, pa.string()))
    fields = fields.remove_metadata()
    target = path.with_name(f"{path.name}.plain")
    with pq.ParquetWriter(target, fields, compression="zstd") as out:
        try:
            for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS):
                arrays = [texts(a) if n in odd else a for n, a in enumerate(batch.columns)]
                out.write_batch(pa.record_batch(arrays, schema=fields))
        except (pa.ArrowException, OSError) as e:
            raise Refused(
                "BAD_PARQUET", f"The file cannot be read as Parquet: {str(e).splitlines()[0]}"
            ) from e
    return target


def is_plain(kind: pa.DataType) -> bool:
    """Whether engines and Iceberg have a type for the values, one and the same."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_timestamp(kind):
        return (
            kind.tz is not None and kind.unit != "ns"
        )  # a local time is none until somebody says of which zone
    if pa.types.is_decimal(kind):
        return bool(kind.precision <= LARGEST)
    return any(is_one(kind) for is_one in PLAIN) and kind != pa.uint64()


PLAIN: tuple[Callable[[pa.DataType], bool], ...] = (
    *(pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_date),
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
)


def texts(values: pa.Array) -> pa.Array:
    """The values as texts: scalars as Arrow writes them, durations as ISO 8601 does, bytes as base64, the rest as JSON."""
    if (
        pa.types.is_timestamp(values.type)
        or pa.types.is_time(values.type)
        or pa.types.is_integer(values.type)
    ):
        return values.cast(pa.string())
    return pa.array([told(v) for v in map(plain, values)], pa.string())


def told(value: Any) -> str | None:
    """A plain value as text: a text itself, anything else as JSON."""
    return (
        value
        if value is None or isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    )


def plain(value: pa.Scalar) -> Any:
    """An Arrow value as one that JSON has."""
    kind = value.type
    if not value.is_valid:
        return None
    if isinstance(kind, pa.BaseExtensionType):
        return str(value.as_py()) if kind == pa.uuid() else plain(value.value)
    if pa.types.is_dictionary(kind):
        return plain(value.value)
    if pa.types.is_struct(kind):
        return {name: plain(value[n]) for n, name in enumerate(field.name for field in kind)}
    if pa.types.is_map(kind):
        return [[plain(pair["key"]), plain(pair["value"])] for pair in value.values]
    if pa.types.is_nested(kind):
        return [plain(v) for v in value.values]
    if pa.types.is_duration(kind):
        return duration(value.value, UNITS[kind.unit])
    return scalar(value)


def scalar(value: pa.Scalar) -> Any:
    """A value that holds no others."""
    kind = value.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return value.as_py()
    if pa.types.is_floating(kind):
        number = value.as_py()
        return number if math.isfinite(number) else "NaN" if math.isnan(number) else INFINITE[number > 0]
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        return pc.cast(value, pa.string()).as_py() if not pa.types.is_interval(kind) else str(value.as_py())
    found = value.as_py()
    return base64.b64encode(found).decode() if isinstance(found, bytes) else str(found)


def duration(value: int, digits: int) -> str:
    """An ISO 8601 duration of a number of units, so many digits of a second.

    >>> duration(90_500_000, 6), duration(-5, 9), duration(60, 0)
    ('PT90.5S', '-PT0.000000005S', 'PT60S')
    """
    whole, rest = divmod(abs(value), 10**digits)
    fraction = f"{rest:0{digits}}".rstrip("0") if digits else ""
    return f"{'-' if value < 0 else ''}PT{whole}{'.' if fraction else ''}{fraction}S"


def parquet_fault(path: Path) -> str:
    """Why the data of a Parquet file cannot be read; nothing where it can."""
    try:
        for _ in pq.ParquetFile(path).iter_batches():
            pass
    except (pa.ArrowException, OSError, ValueError) as e:
        return str(e).splitlines()[0]
    return ""
