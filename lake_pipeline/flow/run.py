"""Run the stages of some partitions of a dataset, in their order: what Dagster's op and the tests call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.apart import apart
from lake_pipeline.flow.audit import Verdict
from lake_pipeline.flow.context import EMBEDDED, Engines, silent, working
from lake_pipeline.flow.curate import Curated, curate
from lake_pipeline.flow.inventory import earlier, inventory
from lake_pipeline.flow.state import Manifest, Memory
from lake_pipeline.flow.unforeseen import said
from lake_pipeline.flow.validate import Validated, validate
from lake_pipeline.storage import Lake

STAGES = ("raw", "validated", "quarantine", "curated")


@dataclass(frozen=True)
class Result:
    """What a run did to each partition. A partition in which nothing ever landed is in none of them.

    unready: why a partition could not be worked on: its producer's manifest, or an error that nobody foresaw.
    """

    partitions: tuple[str, ...]
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    validated: Mapping[str, Validated] = field(default_factory=dict)
    curated: Mapping[str, Curated] = field(default_factory=dict)
    before: Mapping[str, int] = field(default_factory=dict)
    unready: Mapping[str, str] = field(default_factory=dict)

    def verdicts(self, partition: str) -> tuple[Verdict, ...]:
        """The audit's verdicts on a partition; none where nothing was audited."""
        found = self.curated.get(partition)
        return found.verdicts if found else ()

    def problems(self) -> list[Curated]:
        """The partitions that were refused or failed."""
        return [c for c in self.curated.values() if not c.fine]


def run_stages(
    lake: Lake,
    dataset: Dataset,
    partitions: Sequence[str],
    stages: Sequence[str],
    run_id: str,
    force: bool = False,
    *,
    say: Callable[[str], None] = silent,
    engines: Engines = EMBEDDED,
    about: Mapping[str, str] | None = None,
) -> Result:
    """Run the named stages; those left out are taken as an earlier run left them. about: see `Work`.

    Where an error that nobody foresaw hits several partitions, those that do not have it are run without the others.
    """
    before = {p: m.number for p, m in Memory(lake, dataset).manifests(partitions).items()}

    def some(keys: list[str]) -> Result:
        return together(lake, dataset, keys, stages, run_id, force, say=say, engines=engines, about=about)

    results, errors = apart(some, partitions)
    for partition, error in errors.items():
        say(f"{dataset.name} {partition}: {said(error)}")
    failed = {p: f"{dataset.name} {p} failed: {said(e)}" for p, e in errors.items()}
    return joined(results, before, failed)


def joined(results: Sequence[Result], before: Mapping[str, int], failed: Mapping[str, str]) -> Result:
    """What was done to all partitions."""
    return Result(
        tuple(p for r in results for p in r.partitions),
        {p: m for r in results for p, m in r.manifests.items()},
        {p: v for r in results for p, v in r.validated.items()},
        {p: c for r in results for p, c in r.curated.items()},
        before,
        {**{p: why for r in results for p, why in r.unready.items()}, **failed},
    )


def together(
    lake: Lake,
    dataset: Dataset,
    keys: list[str],
    stages: Sequence[str],
    run_id: str,
    force: bool,
    *,
    say: Callable[[str], None],
    engines: Engines,
    about: Mapping[str, str] | None,
) -> Result:
    """Run the stages of all partitions in shared scans and commits, with an engine and a scratch folder of their own."""
    with working(lake, dataset, run_id, engines=engines, force=force, about=about) as work:
        memory = Memory(lake, dataset)
        taken = inventory(lake, dataset, keys, run_id) if "raw" in stages else earlier(memory, keys, run_id)
        manifests = taken.manifests
        say(f"{dataset.name}: {len(manifests)} of {len(keys)} partitions have landed objects")
        validated: Mapping[str, Validated] = {}
        if "validated" in stages or "quarantine" in stages:
            validated = validate(work, manifests)
            work.finish()
            rows = sum(o.rows for v in validated.values() for o in v.fresh)
            objects = sum(len(v.fresh) for v in validated.values())
            say(f"{dataset.name}: validated {objects} objects, {rows} rows")
        own = manifests if validated else None  # what this run validated is what it publishes
        curated = curate(work, list(manifests), own) if "curated" in stages else {}
        for one in curated.values():
            if not one.fine:
                say(f"{dataset.name} {one.partition}: {one.action}: {'; '.join(one.outcome.reasons)}")
    return Result(tuple(manifests), manifests, validated, curated, {}, taken.unready)
