"""The state of every partition, from what the lake remembers and what its tables really hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import misfit
from lake_pipeline.flow.inventory import Landed, landed
from lake_pipeline.flow.settle import lagging
from lake_pipeline.flow.state import Balance, Manifest, Memory, Outcome, State, object_id
from lake_pipeline.storage import Lake
from lake_pipeline.storage.sums import known_sums

if TYPE_CHECKING:
    from lake_pipeline.engines.duckdb import DuckDB
    from lake_pipeline.storage.tables import DataFile

LAGS = (
    "It is decided ({state}), and its tables do not show it yet: a run is at it, or was killed. Run it again."
)


@dataclass(frozen=True)
class Status:
    """One partition of one dataset. balance: curated and quarantined rows are counted in the tables.

    settled: whether the tables are what the newest outcome says.
    """

    dataset: str
    partition: str
    state: State
    balance: Balance
    reasons: tuple[str, ...] = ()
    contract_version: str = ""
    at: str = ""
    settled: bool = True

    def as_dict(self) -> dict[str, Any]:
        """The stable JSON form."""
        return {
            "dataset": self.dataset,
            "partition": self.partition,
            "state": self.state,
            "landed_rows": self.balance.landed,
            "curated_rows": self.balance.curated,
            "quarantined_rows": self.balance.quarantined,
            "deduplicated_rows": self.balance.deduplicated,
            "filtered_rows": self.balance.filtered,
            "balanced": self.balance.holds and self.settled,
            "reasons": list(self.reasons),
            "contract_version": self.contract_version,
            "at": self.at,
        }


def status(
    lake: Lake, dataset: Dataset, engine: DuckDB, partitions: Iterable[str] | None = None
) -> list[Status]:
    """The partitions of a dataset in which anything ever landed, sorted."""
    wanted = None if partitions is None else list(partitions)
    memory = Memory(lake, dataset)
    manifests, outcomes = memory.manifests(wanted), memory.outcomes(wanted)
    objects: dict[str, list[Landed]] = {}
    for item in landed(lake, dataset, wanted):
        objects.setdefault(item.partition, []).append(item)
    tables = {zone: lake.tables.files(f"{zone}.{dataset.name}", wanted) for zone in ("curated", "quarantine")}
    curated = curated_rows(tables["curated"])
    quarantined = quarantined_rows(lake, dataset, engine, wanted)
    lags = lagging(manifests, outcomes, tables)
    found = []
    for partition in sorted({*manifests, *outcomes, *objects}):
        if wrong := misfit(dataset.config.partitions, partition):
            reason = f"PARTITION_MISMATCH: {objects[partition][0].meta.key}: {wrong}"
            found.append(Status(dataset.name, partition, "refused", Balance(), (reason,)))
            continue
        outcome = outcomes.get(partition)
        recorded = outcome.balance if outcome else Balance()
        balance = Balance(
            landed=recorded.landed
            if outcome
            else validated_rows(memory, partition, manifests.get(partition)),
            curated=curated.get(partition, 0),
            quarantined=quarantined.get(partition, 0),
            deduplicated=recorded.deduplicated,
            filtered=recorded.filtered,
        )
        settled = partition not in lags
        state = state_of(memory, manifests.get(partition), outcome, objects.get(partition, []), settled)
        reasons = outcome.reasons if outcome else ()
        if outcome and not settled:
            reasons = (*reasons, LAGS.format(state=outcome.state))
        found.append(
            Status(
                dataset.name,
                partition,
                state,
                balance,
                reasons,
                outcome.contract_version if outcome else "",
                outcome.at if outcome else "",
                settled,
            )
        )
    return found


def state_of(
    memory: Memory,
    manifest: Manifest | None,
    outcome: Outcome | None,
    objects: list[Landed],
    settled: bool,
) -> State:
    """``pending`` while anything landed is not in the newest outcome, or tables lag behind it; else what that was."""
    if outcome is None or manifest is None or not settled:
        return "pending"
    judged = manifest if outcome.manifest == manifest.number else None
    judged = judged or memory.manifest(manifest.partition, outcome.manifest)
    if judged.hash != manifest.hash:
        return "pending"
    zone = memory.lake.zone("raw").root
    known = {e.id for e in manifest.entries}
    if any(object_id(zone, o.meta) not in known for o in objects):
        return "pending"
    return outcome.state


def validated_rows(memory: Memory, partition: str, manifest: Manifest | None) -> int:
    """Landed rows of a partition that was validated and never curated."""
    if manifest is None:
        return 0
    receipts = memory.receipts([partition]).get(partition, [])
    return sum(o.rows for r in receipts for o in r.objects)


def curated_rows(files: Iterable[DataFile]) -> dict[str, int]:
    """By partition: the rows that readers of curated see."""
    rows: dict[str, int] = {}
    for file in files:
        rows[file.partition] = rows.get(file.partition, 0) + file.rows
    return rows


def quarantined_rows(
    lake: Lake, dataset: Dataset, engine: DuckDB, partitions: Iterable[str] | None
) -> dict[str, int]:
    """By partition: the rows in quarantine, those of refused files included."""
    store = lake.zone("quarantine")
    rows, unknown = known_sums(lake.tables, f"quarantine.{dataset.name}", "rows", partitions)
    paths = [store.fetch(store.key(uri), engine.folder / "fetched") for uri in unknown]
    for partition, more in (engine.sum_by_partition(paths, "rows") if paths else {}).items():
        rows[partition] = rows.get(partition, 0) + more
    return rows
