"""Partitions of several data files, as engines with many tasks make them."""

from __future__ import annotations

from dataclasses import replace

import pyarrow.parquet as pq

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.context import working
from lake_pipeline.flow.publish import curated_schema
from lake_pipeline.flow.settle import look, record, settle
from lake_pipeline.flow.state import Memory
from lake_pipeline.storage import Lake


def split(lake: Lake, dataset: Dataset, partition: str) -> None:
    """Make a published partition's one file several, one for each row, as engines with many tasks do."""
    with working(lake, dataset, "split") as work:
        memory = Memory(lake, dataset)
        store = lake.zone("curated")
        (old,) = [f for f in lake.tables.files("curated.sales") if f.partition == partition]
        table = pq.read_table(work.engine.reach(store, old.uri))
        uris = []
        for n in range(table.num_rows):
            path = work.folder / f"{n}.parquet"
            pq.write_table(table.slice(n, 1), path)
            key = store.key(old.uri).replace(".parquet", f"{n}.parquet")
            store.write(key, path)
            uris.append(store.uri(key))
        state = settle(work, memory, look(work, memory, [partition], ["curated"]))
        parts = replace(state.outcomes[partition], files=tuple(sorted(uris)))
        record(work, memory, state, {"curated": curated_schema(work)}, outcomes=[parts])
