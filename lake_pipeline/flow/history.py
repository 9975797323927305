"""The history of a dataset's metrics, as its rules look back at them: what the stored audits measured.

The history of a partition is that of the partitions before it, in their order, each by its newest audit,
passed or not. So an old partition that is run again is judged by the same history, and in a run over many
partitions, each sees those before it. Of a dataset without partitions, the history is the earlier states of its
input: its manifests before the present one, each by its newest audit.

``last(k)`` looks at the k partitions before; one in which the metric had no value counts for nothing. Nothing is
read unless a rule looks back, and then no more than it looks at, each report once in a run.
"""

from __future__ import annotations

import json
import sys
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from lake_pipeline import dqdl
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.loading import digest
from lake_pipeline.datasets.partitioning import UNPARTITIONED
from lake_pipeline.flow.state import READERS
from lake_pipeline.storage import Lake
from lake_pipeline.storage.lake import Log
from lake_pipeline.storage.objects import ObjectMeta, ObjectStore

Metrics = Mapping[str, float]
NOTHING = dqdl.Earlier(())


class MetricHistory:
    """A dataset's history; a :class:`lake_pipeline.dqdl.Past`, to which an audit adds what it measures.

    manifest: of a dataset without partitions, the number of the manifest under audit; None: all are earlier.
    """

    def __init__(self, lake: Lake, dataset: Dataset, manifest: int | None = None) -> None:
        self.depth = dqdl.looks_back(check.rule for check in dataset.contract.checks)
        self._audits, self._ops = lake.zone("dq-results"), lake.zone("ops")
        self._name, self._manifest = dataset.name, manifest
        self._found: dict[str, Metrics] = {}

    def before(self, key: str) -> dqdl.History:
        """The metrics of the partitions before this one, the newest first."""
        return dqdl.Earlier(self._earlier(key)) if self.depth else NOTHING

    def mark(self, key: str) -> str:
        """A digest of the history that this partition is judged by; ``""`` where no rule looks back."""
        return digest([dict(m) for m in self._earlier(key)])[:16] if self.depth else ""

    def _earlier(self, key: str) -> Sequence[Metrics]:
        if key == UNPARTITIONED:
            return self._of_manifests
        end = bisect_left(self._partitions, key)
        wanted = self._partitions[max(0, end - self.depth) : end]
        self._read_partitions(p for p in wanted if p not in self._found)
        return [self._found[p] for p in reversed(wanted)]

    def judged(self, key: str, metrics: Metrics) -> None:
        """Take what was just measured for the newest audit of the partition."""
        self._found[key] = dict(metrics)
        if self.depth and key != UNPARTITIONED and key not in self._partitions:
            insort(self._partitions, key)

    def measured(self, key: str) -> Metrics:
        """What was measured of a partition in this run, to be stored with its audit."""
        return self._found.get(key, {})

    def everything(self) -> list[tuple[str, Metrics]]:
        """All that is stored, the oldest first: of each partition, or of each manifest where there are none."""
        self.depth = sys.maxsize
        if UNPARTITIONED in self._partitions:
            found = reversed(self._of_manifests)
            return [(f"{UNPARTITIONED} ({i})", metrics) for i, metrics in enumerate(found, 1)]
        self._read_partitions(self._partitions)
        return [(p, self._found[p]) for p in self._partitions]

    @cached_property
    def _reports(self) -> Mapping[str, list[ObjectMeta]]:
        """The stored reports of each partition: one listing."""
        found: dict[str, list[ObjectMeta]] = {}
        for entry in self._audits.list(self._name):
            found.setdefault(unquote(entry.key.split("/")[-2]), []).append(entry)
        return found

    @cached_property
    def _partitions(self) -> list[str]:
        return sorted(self._reports)

    def _read_partitions(self, partitions: Iterable[str]) -> None:
        """Have the newest audit of each partition; there are several where its input or its rules changed."""
        keys = [entry.key for p in partitions for entry in self._reports[p]]
        newest: dict[str, Any] = {}
        for report in sorted(_read(self._audits, keys), key=_age):
            newest[report["partition"]] = report
        self._found |= {partition: metrics_of(report) for partition, report in newest.items()}

    @cached_property
    def _of_manifests(self) -> Sequence[Metrics]:
        """Of a dataset without partitions: the newest audit of each earlier manifest, the newest manifest first."""
        folder = f"outcomes/{self._name}/{UNPARTITIONED}"
        numbers = range(Log(self._ops, folder).last_number(), 0, -1)
        found: dict[int, str] = {}
        for outcome in _lazily(self._ops, [f"{folder}/{number:06}.json" for number in numbers]):
            number = outcome["manifest"]
            if outcome["state"] == "failed" or (self._manifest is not None and number >= self._manifest):
                continue  # what failed was not audited
            found.setdefault(number, f"{self._name}/{UNPARTITIONED}/{outcome['fingerprint']}.json")
            if len(found) == self.depth:
                break
        return [metrics_of(report) for report in _read(self._audits, list(found.values()))]


def _lazily(store: ObjectStore, keys: Sequence[str]) -> Iterator[Any]:
    for start in range(0, len(keys), READERS):
        yield from _read(store, keys[start : start + READERS])


def _read(store: ObjectStore, keys: Sequence[str]) -> list[Any]:
    if store.local or len(keys) < 2:
        return [json.loads(store.read(key)) for key in keys]
    with ThreadPoolExecutor(READERS) as pool:
        return [json.loads(body) for body in pool.map(store.read, keys)]


def _age(report: Any) -> tuple[int, str]:
    return report["manifest"], report["at"]


def metrics_of(report: Mapping[str, Any]) -> Metrics:
    """What an audit measured, by the names of history; nothing of one that was stored before there was any."""
    metrics: Metrics = report.get("metrics", {})
    return metrics
