"""What is left to run: what the lake remembers, and what only Dagster knows."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta

import dagster as dg
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from lake_pipeline.cli.dagster_run import instance_of
from lake_pipeline.components.alerts import CANCELED, end_lost_runs
from lake_pipeline.components.definitions import PARTITIONS_PER_RUN, key, partitions_definition
from lake_pipeline.components.telling import datasets_of, partitions_of
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import UNPARTITIONED
from lake_pipeline.flow.inventory import landed_partitions
from lake_pipeline.health.unfinished import PlannedRun, Unfinished, Why, plan, unfinished
from lake_pipeline.storage import Lake

MOST_CANCELED = 1000  # runs that are looked at, the newest first
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
    for partition in canceled(instance, dataset):
        if partition in landed and (partition not in known or known[partition].why == "interrupted"):
            known[partition] = Unfinished(dataset.name, partition, "canceled", "its newest run was canceled")
    busy = {p for p, s in status.items() if s == AssetPartitionStatus.IN_PROGRESS}
    return {p: u for p, u in sorted(known.items()) if u.why in wanted and p not in busy}


def canceled(instance: dg.DagsterInstance, dataset: Dataset) -> set[str]:
    """The partitions of a dataset whose newest run was canceled."""
    stopped = instance.get_run_records(dg.RunsFilter(statuses=[CANCELED]), MOST_CANCELED)
    mine = [r for r in stopped if any(datasets_of({dataset.name: dataset}, r.dagster_run))]
    if not mine:
        return set()
    oldest = min(r.create_timestamp for r in mine)
    later = instance.get_run_records(dg.RunsFilter(created_after=oldest - timedelta(seconds=1)))
    newest: dict[str, dg.DagsterRunStatus] = {}
    for record in sorted(later, key=lambda r: r.create_timestamp):
        if any(datasets_of({dataset.name: dataset}, record.dagster_run)):
            for partition in partitions_of(record.dagster_run, dataset):
                newest[partition] = record.dagster_run.status
    return {partition for partition, status in newest.items() if status == CANCELED}


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
