"""What is left to do: partitions that failed, were refused, or were left by a run that was killed or canceled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Literal

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import runs_of
from lake_pipeline.flow.audit import named_sources
from lake_pipeline.flow.settle import lagging
from lake_pipeline.flow.state import Memory
from lake_pipeline.storage import Lake

Why = Literal["failed", "refused", "interrupted", "canceled"]
LOST: frozenset[Why] = frozenset({"interrupted"})
ALL: frozenset[Why] = frozenset({"failed", "refused", "interrupted", "canceled"})


@dataclass(frozen=True)
class Unfinished:
    """One partition that is left, and why."""

    dataset: str
    partition: str
    why: Why
    reason: str = ""


@dataclass(frozen=True)
class PlannedRun:
    """One run: adjoining partitions of a dataset."""

    dataset: Dataset
    partitions: tuple[Unfinished, ...]

    @property
    def keys(self) -> list[str]:
        """The partition keys, sorted."""
        return [u.partition for u in self.partitions]


def unfinished(lake: Lake, dataset: Dataset) -> dict[str, Unfinished]:
    """What the lake itself remembers as left, by partition.

    Interrupted is what has an input manifest that no outcome knows, or tables that its newest outcome does not
    know: a run took it in, or decided it, and did not end.
    """
    memory = Memory(lake, dataset)
    manifests, outcomes = memory.manifests(), memory.outcomes()
    tables = {zone: lake.tables.files(f"{zone}.{dataset.name}") for zone in ("curated", "quarantine")}
    lags = lagging(manifests, outcomes, tables)
    found = {}
    for partition, manifest in sorted(manifests.items()):
        outcome = outcomes.get(partition)
        if outcome is not None and outcome.state in ("refused", "failed"):
            why: Why = "refused" if outcome.state == "refused" else "failed"
            found[partition] = Unfinished(dataset.name, partition, why, "; ".join(outcome.reasons))
        elif outcome is None or outcome.manifest != manifest.number:
            reason = "a run took in its files and did not end"
            found[partition] = Unfinished(dataset.name, partition, "interrupted", reason)
        elif partition in lags:
            reason = "a run decided it, and did not bring its tables up"
            found[partition] = Unfinished(dataset.name, partition, "interrupted", reason)
    return found


def upstream_first(datasets: Iterable[Dataset]) -> list[Dataset]:
    """The datasets in an order in which each comes after those that its rules name; else by name."""
    known = {d.name: d for d in sorted(datasets, key=lambda d: d.name)}
    order = TopologicalSorter({name: named_sources(d, known) for name, d in known.items()})
    return [known[name] for name in order.static_order()]


def plan(
    datasets: Sequence[Dataset], left: Mapping[str, Mapping[str, Unfinished]], most: int
) -> list[PlannedRun]:
    """As few runs as possible: adjoining partitions share one, up to `most`; upstream datasets first."""
    runs = []
    for dataset in upstream_first(datasets):
        found = left.get(dataset.name, {})
        for keys in runs_of(dataset.config.partitions, list(found)):
            cuts = [keys[i : i + most] for i in range(0, len(keys), most)]
            runs += [PlannedRun(dataset, tuple(found[k] for k in cut)) for cut in cuts]
    return runs
