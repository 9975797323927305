"""Requests for runs: which partitions share one, what it is called, and the document that says what for.

A request's key is made of the identities of its objects and of what the lake knew of their partitions: the
same work is asked for under the same key however often it is asked for, and other work never is. Another attempt
at what came to no outcome is other work.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from lake_pipeline.arrivals.lateness import late_seconds
from lake_pipeline.arrivals.waiting import Waiting
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.loading import digest
from lake_pipeline.datasets.partitioning import runs_of
from lake_pipeline.flow.settle import shown
from lake_pipeline.flow.state import Manifest, Memory
from lake_pipeline.storage import Lake
from lake_pipeline.storage.lake import dump

FOLDER = "arrivals/requests"
# How much of a partition's key names its lane: a year, a month or a day.
LANE = {"none": 0, "monthly": 4, "daily": 7, "hourly": 10}


@dataclass(frozen=True)
class Request:
    """A run that is asked for.

    key: tells it from every other request. uri: of the document with its objects. lane: runs of one lane
    follow each other, and no run is in two, so no two runs work on one partition. late: the most seconds
    by which an object of it was late.
    """

    dataset: str
    partitions: tuple[str, ...]
    key: str
    uri: str
    lane: str
    source: str
    late: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "partitions": list(self.partitions)}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Request:
        """From JSON."""
        return cls(**{**document, "partitions": tuple(document["partitions"])})


def lane_of(dataset: Dataset, partition: str) -> str:
    """The lane of a partition: ``orders/2026-03`` of a daily one."""
    part = partition[: LANE[dataset.config.partitions.by]]
    return f"{dataset.name}/{part}".rstrip("/")


def shared(dataset: Dataset, partitions: Iterable[str]) -> list[list[str]]:
    """Partitions that share a run: adjoining ones of one lane; each its own where the dataset is eager."""
    keys = sorted(partitions)
    if dataset.config.arrivals.eager:
        return [[key] for key in keys]
    found: list[list[str]] = []
    for run in runs_of(dataset.config.partitions, keys):
        for key in run:
            if found and found[-1][-1] in run and lane_of(dataset, found[-1][-1]) == lane_of(dataset, key):
                found[-1].append(key)
            else:
                found.append([key])
    return found


def taken(manifests: Mapping[str, Manifest], decided: Mapping[str, int], partition: str) -> set[str]:
    """The identities that need no run: a run took them, and came to an outcome."""
    manifest = manifests.get(partition)
    if manifest is None or decided.get(partition) != manifest.number:
        return set()
    return {e.id for e in manifest.entries if e.status in ("live", "refused")}


def ask(
    lake: Lake, dataset: Dataset, leaving: Mapping[str, Waiting], source: str, at: datetime
) -> list[Request]:
    """Requests for what leaves the waiting room; each one's document is stored before this returns.

    Late partitions share no run with those in time. Objects that a run has taken meanwhile need no other.
    """
    memory = Memory(lake, dataset)
    manifests = memory.manifests(leaving)
    decided = {p: o.manifest for p, o in shown(memory, manifests, memory.outcomes(leaving)).items()}
    objects: dict[str, dict[str, str]] = {}
    late: dict[str, int] = {}
    for partition, waiting in leaving.items():
        known = taken(manifests, decided, partition)
        new = {k: id_ for k, (id_, _) in waiting.objects.items() if id_ not in known}
        if new:
            objects[partition] = dict(sorted(new.items()))
            late[partition] = late_seconds(dataset, partition, waiting.landed)
    found = []
    for group in (lambda p: late[p] > 0, lambda p: not late[p]):
        for keys in shared(dataset, filter(group, objects)):
            mine = {p: objects[p] for p in keys}
            seen = [manifests[p].number if p in manifests else 0 for p in keys]
            attempts = {p: leaving[p].attempt for p in keys if leaving[p].attempt}
            key = digest(dataset.name, mine, seen, *([attempts] if attempts else []))[:20]
            document = {
                "key": key,
                "dataset": dataset.name,
                "partitions": keys,
                "objects": mine,
                "late_seconds": {p: late[p] for p in keys if late[p]},
                **({"attempts": attempts} if attempts else {}),
                "source": source,
                "at": at.astimezone(UTC).isoformat(),
            }
            name = f"{FOLDER}/{dataset.name}/{key}.json"
            lake.zone("ops").create(name, dump(document))
            uri, lane = lake.zone("ops").uri(name), lane_of(dataset, keys[0])
            most = max(late[p] for p in keys)
            found.append(Request(dataset.name, tuple(keys), key, uri, lane, source, most))
    return found


def asked_since(lake: Lake, dataset: str, since: datetime, other_than: str) -> dict[str, float]:
    """When runs were asked for since then, in seconds since 1970, by identity; by all sensors but one.

    That one's stored requests may be of a tick that died, which it is to repeat.
    """
    ops, found = lake.zone("ops"), dict[str, float]()
    for entry in ops.list(f"{FOLDER}/{dataset}"):
        if entry.modified >= since:
            document = json.loads(ops.read(entry.key))
            if document["source"] != other_than:
                ids = [id_ for mine in document["objects"].values() for id_ in mine.values()]
                found |= {id_: max(found.get(id_, 0.0), entry.modified.timestamp()) for id_ in ids}
    return found
