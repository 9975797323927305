"""Freshness: when each partition is due, and whether it was there.

A contract's `timeOfAvailability` makes a partition due at a time of the day after it. When that has passed,
the judgement is written once, to ``ops/freshness/<ds>/partitions/<partition>.json``, and never changed: a file
that arrives a minute later makes the partition available, not on time. It follows from when outcomes were
written, so it does not matter when anybody looks.

The promise holds from the partition that was due last when the lake took in the dataset's first file; what is
older is history, and loading it breaks no promise. Datasets without partitions have nothing that is due.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import KEY_FORMAT, floor, following
from lake_pipeline.datasets.promise import due_at
from lake_pipeline.flow.state import Memory
from lake_pipeline.storage import Lake
from lake_pipeline.storage.lake import dump, number_of, partition_folder

# From the first look back to what was due last then.
SLACK = {"hourly": timedelta(days=1), "daily": timedelta(days=1), "monthly": timedelta(days=31)}


@dataclass(frozen=True)
class Judgement:
    """Whether a partition was available when it was due. published: when it was first, or ``""``."""

    dataset: str
    partition: str
    due: str
    met: bool
    published: str
    judged: str


def watched_from(lake: Lake, dataset: Dataset) -> datetime | None:
    """From when on due times count: decided once, by the first file that the lake took in; None before it."""
    store, key = lake.zone("ops"), f"{folder(dataset)}/since.json"
    if not store.exists(key):
        taken = min((o.modified for o in store.list(f"manifests/{dataset.name}")), default=None)
        if taken is None:
            return None
        store.create(key, dump({"since": taken.isoformat()}))
    since = datetime.fromisoformat(json.loads(store.read(key))["since"])
    return since - SLACK[dataset.config.partitions.by]


def judge(lake: Lake, dataset: Dataset, now: datetime) -> list[Judgement]:
    """Judge every partition that is due and was not judged yet; returns the new judgements."""
    if dataset.contract.sla.available_by is None or dataset.config.partitions.by == "none":
        return []
    since = watched_from(lake, dataset)
    if since is None:
        return []
    known = judged(lake, dataset)
    waiting = [p for p in expected(dataset, since, now) if p not in known]
    found = [judgement(lake, dataset, p, now) for p in waiting]
    return [j for j in found if keep(lake, dataset, j)]


def expected(dataset: Dataset, since: datetime, now: datetime) -> Iterator[str]:
    """The partitions whose due time counts and has passed, oldest first."""
    spec = dataset.config.partitions
    start = floor(spec.by, datetime.fromisoformat(spec.start))
    key = max(start, floor(spec.by, since.replace(tzinfo=None) - 2 * SLACK[spec.by])).strftime(
        KEY_FORMAT[spec.by]
    )
    end = datetime.fromisoformat(spec.end).strftime(KEY_FORMAT[spec.by]) if spec.end else ""
    while (at := due_at(dataset, key)) is not None and at <= now and (not end or key < end):
        if at > since:
            yield key
        key = following(spec, key)


def judgement(lake: Lake, dataset: Dataset, partition: str, now: datetime) -> Judgement:
    """Whether a partition that is due was there in time."""
    at = due_at(dataset, partition)
    assert at is not None
    published = first_published(lake, dataset, partition)
    met = published is not None and published <= at
    when = published.isoformat() if published else ""
    return Judgement(dataset.name, partition, at.isoformat(), met, when, now.isoformat())


def first_published(lake: Lake, dataset: Dataset, partition: str) -> datetime | None:
    """When a partition became available first: when the outcome that says so was written."""
    store = lake.zone("ops")
    entries = sorted(
        store.list(Memory(lake, dataset).folder("outcomes", partition)), key=lambda o: number_of(o.key)
    )
    for entry in entries:
        if json.loads(store.read(entry.key))["state"] == "published":
            return entry.modified
    return None


def keep(lake: Lake, dataset: Dataset, found: Judgement) -> bool:
    """Write a judgement; returns whether there was none. The first one stays."""
    return lake.zone("ops").create(key_of(dataset, found.partition), dump(asdict(found)))


def judged(lake: Lake, dataset: Dataset) -> dict[str, Judgement]:
    """All judgements, by partition."""
    store = lake.zone("ops")
    keys = [o.key for o in store.list(f"{folder(dataset)}/partitions")]
    found = [Judgement(**json.loads(store.read(key))) for key in keys]
    return {j.partition: j for j in found}


def on_publish(lake: Lake, dataset: Dataset, partitions: Iterable[str], now: datetime) -> list[Judgement]:
    """The judgements of partitions that were published just now; none where nothing was promised.

    Before the due time it is met and not yet written: only time can do that.
    """
    dues = {p: at for p in partitions if (at := due_at(dataset, p)) is not None}
    since = watched_from(lake, dataset) if dues else None
    return [on_time(lake, dataset, p, at, now) for p, at in dues.items() if since and at > since]


def on_time(lake: Lake, dataset: Dataset, partition: str, at: datetime, now: datetime) -> Judgement:
    """The judgement of a partition that is published and due at `at`."""
    if now <= at:
        return Judgement(dataset.name, partition, at.isoformat(), True, now.isoformat(), now.isoformat())
    store, key = lake.zone("ops"), key_of(dataset, partition)
    if not store.exists(key):
        keep(lake, dataset, judgement(lake, dataset, partition, now))
    return Judgement(**json.loads(store.read(key)))


def folder(dataset: Dataset) -> str:
    """Where a dataset's judgements are kept in the zone ops."""
    return f"freshness/{dataset.name}"


def key_of(dataset: Dataset, partition: str) -> str:
    """Where a partition's judgement is kept."""
    return f"{folder(dataset)}/partitions/{partition_folder(partition)}.json"
