"""The sum of a whole number over a table's partitions, from its manifests wherever they say it.

A manifest has the least and the greatest value of a column in each data file: where they are one, the file need
not be read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile as IcebergFile
from pyiceberg.types import PrimitiveType

from lake_pipeline.storage.failures import passing
from lake_pipeline.storage.tables import Tables, planned


def known_sums(
    tables: Tables, name: str, column: str, partitions: Iterable[str] | None = None
) -> tuple[dict[str, int], list[str]]:
    """By partition the sum of a column as far as the manifests know it, and the files that are to be read besides."""
    table = tables.table(name)
    if table is None:
        return {}, []
    field = table.schema().find_field(column)
    assert isinstance(field.field_type, PrimitiveType)
    sums: dict[str, int] = {}
    unknown: list[str] = []
    with passing(name):
        for file in planned(table, None if partitions is None else set(partitions)):
            value = only_value(file, field.field_id, field.field_type)
            if value is None:
                unknown.append(file.file_path)
            else:
                partition = str(file.partition[0])
                sums[partition] = sums.get(partition, 0) + int(value) * file.record_count
    return sums, sorted(unknown)


def only_value(file: IcebergFile, field: int, kind: PrimitiveType) -> Any:
    """The one value that all rows of a file have; None where it is not known to have one."""
    low, high = ((bounds or {}).get(field) for bounds in (file.lower_bounds, file.upper_bounds))
    nulls = (file.null_value_counts or {}).get(field)
    return from_bytes(kind, low) if low is not None and low == high and nulls == 0 else None
