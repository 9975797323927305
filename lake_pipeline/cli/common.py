"""Options and values that several commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from lake_pipeline.datasets import Dataset, load_all, pick
from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DatasetName = Annotated[str, typer.Argument(help="The dataset's name.", metavar="DATASET")]
MaybeDataset = Annotated[str | None, typer.Argument(help="The dataset's name.", metavar="[DATASET]")]
Partition = Annotated[str | None, typer.Option("--partition", help="A partition key, e.g. 2013-11-03.")]


def open_lake() -> Lake:
    """The lake that the environment names."""
    return Lake(Settings.from_env())


def dataset_of(lake: Lake, name: str) -> Dataset:
    """A dataset by name."""
    return pick(name, lake.settings.dataset_folders)


def datasets_of(lake: Lake, name: str | None) -> list[Dataset]:
    """One dataset, or all."""
    if name:
        return [dataset_of(lake, name)]
    return list(load_all(lake.settings.dataset_folders).values())


@contextmanager
def engine_of(lake: Lake) -> Iterator[DuckDB]:
    """An engine for a command's own queries."""
    with lake.spool() as folder:
        engine = DuckDB.of(lake.settings, folder)
        try:
            yield engine
        finally:
            engine.close()
