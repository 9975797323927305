"""Which partitions are in a run that is queued or goes on, as Dagster knows."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from lake_pipeline.components.telling import datasets_of, partitions_of
from lake_pipeline.datasets import Dataset
from lake_pipeline.errors import Terminal


def partitions_going_on(instance: dg.DagsterInstance, datasets: Mapping[str, Dataset]) -> dict[str, set[str]]:
    """The partitions, by dataset; those that a dataset does not have any more are left out."""
    found: dict[str, set[str]] = {}
    for run in instance.get_runs(dg.RunsFilter(statuses=list(NOT_FINISHED_STATUSES))):
        for dataset in datasets_of(datasets, run):
            try:
                found.setdefault(dataset.name, set()).update(partitions_of(run, dataset))
            except Terminal:
                continue
    return found
