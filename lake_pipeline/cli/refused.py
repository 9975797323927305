"""The files of some partitions that were refused as a whole: they have no rows to count, and are easily missed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.state import Memory
from lake_pipeline.storage import Lake


@dataclass(frozen=True)
class RefusedFile:
    """A file that is in quarantine as it landed, and why."""

    partition: str
    key: str
    reason: str
    message: str


def refused_files(lake: Lake, dataset: Dataset, partitions: Collection[str]) -> list[RefusedFile]:
    """The refused files that are part of the partitions now, by partition and key."""
    if not partitions:
        return []
    memory = Memory(lake, dataset)
    receipts = memory.receipts(partitions)
    found = []
    for partition, manifest in memory.manifests(partitions).items():
        objects = {o.id: o for r in receipts.get(partition, []) for o in r.objects}
        for entry in manifest.sources:
            why = objects.get(entry.id)
            if why and why.reason:
                found.append(RefusedFile(partition, entry.key, why.reason, why.message))
            elif entry.status == "refused":
                found.append(RefusedFile(partition, entry.key, entry.reason, entry.message))
    return sorted(found, key=lambda f: (f.partition, f.key))
