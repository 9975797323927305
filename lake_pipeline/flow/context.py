"""What a run brings along: the lake, the dataset, an engine, a scratch folder, and who it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.storage import Lake


def silent(_: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Work:
    """One run's work on one dataset."""

    lake: Lake
    dataset: Dataset
    engine: DuckDB
    folder: Path
    run_id: str = "local"
    at: datetime = field(default_factory=now)
    say: Callable[[str], None] = silent

    @property
    def context(self) -> tuple[str, str, datetime]:
        """(contract version, run id, when), as a quarantine entry has it."""
        return self.dataset.contract.version, self.run_id, self.at

    def commit(self, zone: str, schema: pa.Schema, drop: Iterable[str], add: Iterable[str]) -> int:
        """One commit to the dataset's table of a zone; returns the snapshot's id."""
        properties = {"lake.run_id": self.run_id}
        name = f"{zone}.{self.dataset.name}"
        return self.lake.tables.replace(name, schema, drop=drop, add=add, properties=properties)


@contextmanager
def working(lake: Lake, dataset: Dataset, run_id: str, say: Callable[[str], None] = silent) -> Iterator[Work]:
    """A run's work, with an engine and a scratch folder that end with it."""
    with lake.spool() as folder:
        engine = DuckDB(folder)
        try:
            yield Work(lake, dataset, engine, folder, run_id, say=say)
        finally:
            engine.close()
