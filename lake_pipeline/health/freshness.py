"""Freshness: when each partition is due, and whether it was there.

A contract's `timeOfAvailability` makes a partition due at a time of the day after it. When that has passed,
the judgement is written once, to ``ops/freshness/<ds>/partitions/<partition>.json``, and never changed: a file
that arrives a minute later makes the partition available, not on time. It follows from when outcomes were
written, so it does not matter when anybody looks.

The promise holds from the partition that was due last when the lake took in the dataset's first file; what is
older is history, and loading it breaks no promise. Where no file ever came, it holds from when somebody first
looked: a producer that never delivers is told of, too. Only the shipped examples are not waited for.

A dataset without partitions is due again some time after it was published last, by its `frequency`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.loading import SHIPPED
from lake_pipeline.datasets.partitioning import KEY_FORMAT, UNPARTITIONED, floor, following
from lake_pipeline.datasets.promise import due_again, due_at
from lake_pipeline.flow.state import Memory
from lake_pipeline.storage import Lake
from lake_pipeline.storage.lake import dump, number_of, partition_folder

# From the first look back to what was due last then.
SLACK = {
    "none": timedelta(),
    "hourly": timedelta(days=1),
    "daily": timedelta(days=1),
    "monthly": timedelta(days=31),
}


@dataclass(frozen=True)
class Judgement:
    """Whether a partition was available when it was due. published: when it was first, or ``""``."""

    dataset: str
    partition: str
    due: str
    met: bool
    published: str
    judged: str

    @property
    def name(self) -> str:
        """What it is kept as: the partition; of a dataset without partitions, when it was due."""
        return self.partition if self.partition != UNPARTITIONED else f"due-{self.due}"


def watched_from(lake: Lake, dataset: Dataset, now: datetime) -> datetime | None:
    """From when on due times count: decided once, by the first file that the lake took in, or else by this look.

    None for a shipped dataset of which nothing came.
    """
    store, key = lake.zone("ops"), f"{folder(dataset)}/since.json"
    if not store.exists(key):
        taken = min((o.modified for o in store.list(f"manifests/{dataset.name}")), default=None)
        if taken is None and SHIPPED in dataset.folder.parents:
            return None
        by = "file" if taken else "look"
        store.create(key, dump({"since": (taken or now).isoformat(), "by": by}))
    document = json.loads(store.read(key))
    since = datetime.fromisoformat(document["since"])
    return since if document.get("by") == "look" else since - SLACK[dataset.config.partitions.by]


def judge(lake: Lake, dataset: Dataset, now: datetime) -> list[Judgement]:
    """Judge every partition that is due and was not judged yet; returns the new judgements."""
    if dataset.config.partitions.by == "none":
        return [j for j in whole(lake, dataset, now) if keep(lake, dataset, j)]
    if dataset.contract.sla.available_by is None:
        return []
    since = watched_from(lake, dataset, now)
    if since is None:
        return []
    known = names(lake, dataset)
    waiting = [p for p in expected(dataset, since, now) if partition_folder(p) not in known]
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


def whole(lake: Lake, dataset: Dataset, now: datetime) -> list[Judgement]:
    """What is to be said of a dataset without partitions: of its last publication, and of the next, if that is due."""
    since = watched_from(lake, dataset, now) if due_again(dataset, now) else None
    if since is None:
        return []
    found, times = [], publications(lake, dataset) or [since]
    for last, then in zip(times, [*times[1:], None], strict=True):
        at = due_again(dataset, last)
        assert at is not None
        if then is not None or now > at:
            met, when = then is not None and then <= at, then.isoformat() if then else ""
            found.append(Judgement(dataset.name, UNPARTITIONED, at.isoformat(), met, when, now.isoformat()))
    return found


def until_next(lake: Lake, dataset: Dataset, now: datetime) -> Judgement:
    """Whether a published dataset without partitions is still in time; nothing is kept, for time goes on."""
    last = publications(lake, dataset)[-1]
    at = due_again(dataset, last)
    assert at is not None
    met = now <= at
    when = last.isoformat() if met else ""
    return Judgement(dataset.name, UNPARTITIONED, at.isoformat(), met, when, now.isoformat())


def publications(lake: Lake, dataset: Dataset) -> list[datetime]:
    """When a dataset without partitions was published, for the last time and the time before, oldest first."""
    store, found = lake.zone("ops"), list[datetime]()
    entries = store.list(Memory(lake, dataset).folder("outcomes", UNPARTITIONED))
    for entry in sorted(entries, key=lambda o: number_of(o.key), reverse=True):
        if json.loads(store.read(entry.key))["state"] == "published":
            found.append(entry.modified)
        if len(found) == 2:
            break
    return found[::-1]


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
    return lake.zone("ops").create(key_of(dataset, found.name), dump(asdict(found)))


def names(lake: Lake, dataset: Dataset) -> set[str]:
    """What was judged, as it is kept: a listing, for it is asked every half minute, for ever."""
    found = lake.zone("ops").list(f"{folder(dataset)}/partitions")
    return {o.key.rpartition("/")[2].removesuffix(".json") for o in found}


def judged(lake: Lake, dataset: Dataset) -> dict[str, Judgement]:
    """All judgements, by partition; of a dataset without partitions by when it was due."""
    store = lake.zone("ops")
    keys = [o.key for o in store.list(f"{folder(dataset)}/partitions")]
    found = [Judgement(**json.loads(store.read(key))) for key in keys]
    return {j.name: j for j in found}


def on_publish(lake: Lake, dataset: Dataset, partitions: Iterable[str], now: datetime) -> list[Judgement]:
    """The judgements of partitions that were published just now; none where nothing was promised.

    Before the due time it is met and not yet written: only time can do that.
    """
    if dataset.config.partitions.by == "none":
        found = whole(lake, dataset, now) if [*partitions] else []
        return [j for j in found if j.published and keep(lake, dataset, j)]
    dues = {p: at for p in partitions if (at := due_at(dataset, p)) is not None}
    since = watched_from(lake, dataset, now) if dues else None
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
