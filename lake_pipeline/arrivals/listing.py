"""What is listed in the raw zone: the objects of a dataset, each with its partition and its identity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import misfit
from lake_pipeline.flow.inventory import PRODUCER_MANIFEST, folder_of, manifest_partition
from lake_pipeline.flow.state import object_id
from lake_pipeline.storage import Lake, ObjectMeta


@dataclass(frozen=True)
class Listed:
    """An object of a partition as listed."""

    partition: str
    id: str
    meta: ObjectMeta
    marker: bool


def listed(lake: Lake, dataset: Dataset, start: str | None) -> Iterable[Listed]:
    """The dataset's objects whose partition can be run, all or those after the key `start`."""
    for item in identified(lake, dataset, lake.zone("raw").list(dataset.template.prefix, after=start or "")):
        if not misfit(dataset.config.partitions, item.partition):
            yield item


def of_partition(lake: Lake, dataset: Dataset, partition: str) -> list[Listed]:
    """The objects of one partition."""
    found = lake.zone("raw").list(folder_of(dataset, partition))
    return [item for item in identified(lake, dataset, found) if item.partition == partition]


def identified(lake: Lake, dataset: Dataset, found: Iterable[ObjectMeta]) -> Iterator[Listed]:
    """The listed objects that are of the dataset."""
    root = lake.zone("raw").root
    for meta in found:
        placed = place(dataset, meta.key)
        if placed:
            yield Listed(placed[0], object_id(root, meta), meta, placed[1])


def place(dataset: Dataset, key: str) -> tuple[str, bool] | None:
    """(partition, whether it is its producer's manifest) of a key; None for what is no object of the dataset."""
    marker = manifest_partition(dataset, key)
    if marker is not None:
        return marker, True
    name = key.rpartition("/")[2]
    placement = dataset.template.place(key) if name not in ("", "_SUCCESS", PRODUCER_MANIFEST) else None
    return (placement.partition, False) if placement else None
