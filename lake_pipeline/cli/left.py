"""What is left to run: what the lake remembers, and what only Dagster knows."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import dagster as dg
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from lake_pipeline.cli.dagster_run import instance_of
from lake_pipeline.components.alerts import end_lost_runs
from lake_pipeline.components.definitions import PARTITIONS_PER_RUN, key, partitions_definition
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import UNPARTITIONED
from lake_pipeline.flow.inventory import landed_partitions
from lake_pipeline.health.unfinished import PlannedRun, Unfinished, Why, plan, unfinished
from lake_pipeline.storage import Lake

DAGSTERS = {
    dg.DagsterRunStatus.FAILURE: AssetPartitionStatus.FAILED,
    dg.DagsterRunStatus.STARTING: AssetPartitionStatus.IN_PROGRESS,
    dg.DagsterRunStatus.STARTED: AssetPartitionStatus.IN_PROGRESS,
}


def planned(lake: Lake, datasets: Sequence[Dataset], wanted: AbstractSet[Why]) -> list[PlannedRun]:
    """The runs that finish what is left for one of these reasons; what is being run now is left alone."""
    with instance_of(lake) as instance:
        end_lost_runs(instance)
        left = {d.name: left_of(lake, instance, d, wanted) for d in datasets}
    return plan(datasets, left, PARTITIONS_PER_RUN)


def left_of(
    lake: Lake, instance: dg.DagsterInstance, dataset: Dataset, wanted: AbstractSet[Why]
) -> dict[str, Unfinished]:
    """What is left of one dataset, by partition."""
    known = unfinished(lake, dataset)
    landed = landed_partitions(lake, dataset)
    status = statuses(instance, dataset, sorted({*known, *landed}))
    for partition in landed:
        if partition not in known and status.get(partition) == AssetPartitionStatus.FAILED:
            reason = "its newest run in Dagster failed"
            known[partition] = Unfinished(dataset.name, partition, "interrupted", reason)
    busy = {p for p, s in status.items() if s == AssetPartitionStatus.IN_PROGRESS}
    return {p: u for p, u in sorted(known.items()) if u.why in wanted and p not in busy}


def statuses(
    instance: dg.DagsterInstance, dataset: Dataset, partitions: Sequence[str]
) -> dict[str, AssetPartitionStatus | None]:
    """What Dagster knows of the partitions of a dataset's curated asset."""
    asset, definition = key("curated", dataset.name), partitions_definition(dataset)
    if definition is not None:
        found = instance.get_status_by_partition(asset, list(partitions), definition)
        return dict(found or {})
    records = instance.get_asset_records([asset])
    newest = records[0].asset_entry.last_run_id if records else None
    run = instance.get_run_by_id(newest) if newest else None
    return {UNPARTITIONED: DAGSTERS.get(run.status) if run else None}
