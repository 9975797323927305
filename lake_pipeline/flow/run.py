"""Run the stages of some partitions of a dataset, in their order: what Dagster's op and the tests call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.audit import Verdict
from lake_pipeline.flow.context import EMBEDDED, Engines, silent, working
from lake_pipeline.flow.curate import Curated, curate
from lake_pipeline.flow.inventory import earlier, inventory
from lake_pipeline.flow.state import Manifest, Memory
from lake_pipeline.flow.validate import Validated, validate
from lake_pipeline.storage import Lake

STAGES = ("raw", "validated", "quarantine", "curated")


@dataclass(frozen=True)
class Result:
    """What a run did to each partition. A partition in which nothing ever landed is in none of them.

    unready: why a partition could not be worked on, by its producer's manifest.
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
    """Run the named stages; those left out are taken as an earlier run left them. about: see `Work`."""
    keys = list(partitions)
    with working(lake, dataset, run_id, engines=engines, force=force, about=about) as work:
        memory = Memory(lake, dataset)
        before = {p: m.number for p, m in memory.manifests(keys).items()}
        taken = inventory(lake, dataset, keys, run_id) if "raw" in stages else earlier(memory, keys, run_id)
        manifests = taken.manifests
        say(f"{dataset.name}: {len(manifests)} of {len(keys)} partitions have landed objects")
        validated: Mapping[str, Validated] = {}
        if "validated" in stages or "quarantine" in stages:
            validated = validate(work, manifests)
            work.settle()
            rows = sum(o.rows for v in validated.values() for o in v.fresh)
            objects = sum(len(v.fresh) for v in validated.values())
            say(f"{dataset.name}: validated {objects} objects, {rows} rows")
        own = manifests if validated else None  # what this run validated is what it publishes
        curated = curate(work, list(manifests), own) if "curated" in stages else {}
        for one in curated.values():
            if not one.fine:
                say(f"{dataset.name} {one.partition}: {one.action}: {'; '.join(one.outcome.reasons)}")
    return Result(tuple(manifests), manifests, validated, curated, before, taken.unready)
