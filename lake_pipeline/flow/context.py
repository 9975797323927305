"""What a run brings along: the lake, the dataset, an engine, a scratch folder, and who it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.storage import Lake

# (what is being done, how much of it is done, how much there is)
Progress = Callable[[str, int, int], None]


def silent(_: str) -> None:
    """A log that nobody reads."""


_watcher: ContextVar[Progress | None] = ContextVar("lake_progress", default=None)


@contextmanager
def watched(progress: Progress) -> Iterator[None]:
    """Have somebody watch the progress of all work within."""
    token = _watcher.set(progress)
    try:
        yield
    finally:
        _watcher.reset(token)


def tell(doing: str, done: int, total: int) -> None:
    """Tell whoever watches how far the work is."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(doing, done, total)


@dataclass(frozen=True)
class Work:
    """One run's work on one dataset. reference: the lake whose curated tables rules compare with."""

    lake: Lake
    dataset: Dataset
    engine: DuckDB
    folder: Path
    run_id: str = "local"
    at: datetime = field(default_factory=now)
    reference: Lake | None = None

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
def working(
    lake: Lake,
    dataset: Dataset,
    run_id: str,
    reference: Lake | None = None,
) -> Iterator[Work]:
    """A run's work, with an engine and a scratch folder that end with it."""
    with lake.spool() as folder:
        engine = DuckDB(folder)
        try:
            yield Work(lake, dataset, engine, folder, run_id, reference=reference)
        finally:
            engine.close()
