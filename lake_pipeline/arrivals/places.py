"""Where an event belongs: which dataset and partition, by the landing templates; or why nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from lake_pipeline.arrivals.events import Event
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import misfit
from lake_pipeline.errors import Terminal
from lake_pipeline.flow.inventory import PRODUCER_MANIFEST, manifest_partition
from lake_pipeline.flow.state import object_id
from lake_pipeline.settings import ZONES, Settings
from lake_pipeline.storage.objects import ObjectMeta


class Unknown(Terminal):
    """The event is of no dataset of this lake; the text says why."""


@dataclass(frozen=True)
class Arrival:
    """An object of a partition landed, or was deleted (then `id` is empty). at: when, UTC.

    marker: whether it is the producer's manifest of the partition.
    """

    dataset: str
    partition: str
    key: str
    id: str
    at: datetime
    sequencer: str = ""
    marker: bool = False


@dataclass(frozen=True)
class Places:
    """The datasets of a lake, and where its zones are: zone → URL.

    root: the raw zone as identities name it, which is its URL.
    """

    datasets: Mapping[str, Dataset]
    zones: Mapping[str, str]
    root: str

    @classmethod
    def of(cls, settings: Settings, datasets: Mapping[str, Dataset]) -> Places:
        """The places of a lake."""
        return cls(datasets, {zone: settings.zone_url(zone) for zone in ZONES}, settings.zone_url("raw"))

    @cached_property
    def _by_prefix(self) -> list[tuple[str, Dataset]]:
        return [(f"{d.template.prefix}/".lstrip("/"), d) for d in self.datasets.values()]

    def place(self, event: Event) -> list[Arrival]:
        """What arrived, for each dataset whose template the key fits; raises `Unknown`.

        Nothing arrived where the pipeline itself wrote into one of its zones, or a marker was put.
        """
        where = f"s3://{event.bucket}/{event.key}"
        raw = self.zones["raw"] + "/"
        if not where.startswith(raw):
            if any(where.startswith(url + "/") for zone, url in self.zones.items() if zone != "raw"):
                return []
            raise Unknown(f'"{where}" is in no zone of this lake; its raw zone is {raw}.')
        key = where.removeprefix(raw)
        if key.endswith(("/", "/_SUCCESS")):
            return []
        near = [dataset for prefix, dataset in self._by_prefix if key.startswith(prefix)]
        found = [arrival for dataset in near for arrival in self.of_dataset(dataset, event, key)]
        ignored = key.rpartition("/")[2] == PRODUCER_MANIFEST and near
        if not found and not ignored:
            raise Unknown(f'"{where}" fits the landing template of no dataset.')
        return found

    def of_dataset(self, dataset: Dataset, event: Event, key: str) -> list[Arrival]:
        """What arrived for one dataset, in a partition that can be run; raises `Unknown` for any other."""
        marker = manifest_partition(dataset, key)
        placement = dataset.template.place(key) if marker is None else None
        partition = marker or (placement.partition if placement else None)
        if partition is None or (marker is None and key.rpartition("/")[2] == PRODUCER_MANIFEST):
            return []
        if wrong := misfit(dataset.config.partitions, partition):
            raise Unknown(f'"{key}" is of {dataset.name}, but of no partition that it has: {wrong}')
        id_ = identity(self.root, key, event) if event.kind == "created" else ""
        return [
            Arrival(dataset.name, partition, key, id_, event.at, event.sequencer, marker=marker is not None)
        ]


def identity(raw: str, key: str, event: Event) -> str:
    """The object's identity, as the listing of the raw zone will give it: an etag there has quotes."""
    return object_id(raw, ObjectMeta(key, event.size, f'"{event.etag}"', None, event.at))
