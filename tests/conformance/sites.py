"""A lake in which a case of `datasets` plays on one engine."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from lakes import DAY, check_law, make_dataset, put, run
from remains import remains

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.context import EMBEDDED, Engines
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake


@dataclass
class Site:
    """A lake of its own, in which a case plays on one engine. seen: what remained after each run."""

    root: Path
    engine: str
    engines: Engines = EMBEDDED
    seen: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.defs = self.root / "defs"
        self.defs.mkdir()
        self.lake = Lake(Settings.at(str(self.root / "lake"), dataset_folders=(self.defs,)))

    def dataset(self, name: str = "sales", **more: Any) -> Dataset:
        """A dataset of this engine."""
        return make_dataset(self.defs, name, engine=self.engine, **more)

    def land(self, dataset: Dataset, files: Mapping[str, bytes], partition: str = DAY) -> None:
        """Land files, in the order of their names: the order in which they land is part of the meaning."""
        for name in sorted(files):
            put(self.lake, dataset, name, files[name], partition)

    def run(self, dataset: Dataset, *partitions: str, **more: Any) -> None:
        """Run all stages, look at what remains, and check that no row is lost."""
        result = run(self.lake, dataset, *partitions, engines=self.engines, **more)
        self.seen.append(remains(self.lake, dataset, result))
        check_law(self.lake, dataset)


def parquet(rows: list[dict[str, Any]] | pa.Table) -> bytes:
    """A Parquet file of two row groups."""
    out = io.BytesIO()
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
    pq.write_table(table, out, row_group_size=max(table.num_rows // 2, 1))
    return out.getvalue()
