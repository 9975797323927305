"""Stage a partition's candidate: validated files → transform → deduplicate → Parquet, with what was dropped.

Partitions share every scan; the files, and all counts, are by partition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from lake_pipeline.datasets import Dataset
from lake_pipeline.engines.casts import Expr
from lake_pipeline.engines.engine import Engine, QueryFailed
from lake_pipeline.engines.parts import OutputFile
from lake_pipeline.engines.transform import Losers, Transformed, TransformError, losers, transform
from lake_pipeline.formats.packs import Text


@dataclass(frozen=True)
class Staged:
    """Staged partitions.

    filtered, duplicates: rows by partition. losers: the rows (lineage) that lost their key. single: where none
    did, by partition the rows that have a key.
    """

    files: tuple[OutputFile, ...]
    filtered: Mapping[str, int]
    duplicates: Mapping[str, int]
    losers: Expr | None = None
    single: Mapping[str, int] = field(default_factory=dict)

    def rows(self, partition: str) -> int:
        """Staged rows of a partition."""
        return sum(f.rows for f in self.files if f.partition == partition)


def stage(
    engine: Engine,
    dataset: Dataset,
    files: Sequence[Text],
    landing: Mapping[str, int],
    partitions: Sequence[str],
) -> Staged:
    """Write the candidate of every partition in the validated `files`.

    landing: the position in which each object landed, which breaks ties of deduplication. Raises
    `TransformError` where the transform cannot be applied to these rows.
    """
    try:
        with engine.translated():
            return _staged(engine, dataset, files, landing, partitions)
    except QueryFailed as e:
        raise TransformError(f"The transform of {dataset.name} failed: {e}") from e


def _staged(
    engine: Engine,
    dataset: Dataset,
    files: Sequence[Text],
    landing: Mapping[str, int],
    partitions: Sequence[str],
) -> Staged:
    backend = engine.ibis()
    validated = engine.table(backend, files)
    made = transform(validated, dataset, backend)
    rule = dataset.config.deduplicate
    found = Losers()
    if rule:
        names = pa.table({"_source": list(landing), "_landed": list(landing.values())})
        order = engine.arrow(backend, names)
        found = losers(engine, backend, made.table, rule, order, partitions)
    lost = engine.keep(backend, found.rows) if found.rows is not None else None
    table = made.table if lost is None else made.table.anti_join(lost, ["_source", "_record"])
    staged = engine.copy(backend, table, "curated", partitions, {"_source": landing})
    return Staged(
        files=tuple(staged),
        filtered=_dropped(made),
        duplicates=_by_partition(lost.group_by("_partition").aggregate(dropped=lost.count()))
        if lost is not None
        else {},
        losers=lost,
        single=found.single,
    )


def rows_of(engine: Engine, backend: Any, files: Sequence[Text], without: Sequence[str]) -> Expr:
    """The validated rows in some files, without those of some objects."""
    table = engine.table(backend, files)
    return table.filter(~table["_source"].isin(list(without))) if without else table


def _dropped(made: Transformed) -> dict[str, int]:
    total: dict[str, int] = {}
    for counts in made.dropped:
        for partition, rows in _by_partition(counts).items():
            total[partition] = total.get(partition, 0) + rows
    return total


def _by_partition(counts: Expr) -> dict[str, int]:
    rows = counts.to_pyarrow().to_pylist()
    return {row["_partition"]: int(row["dropped"] or 0) for row in rows}
