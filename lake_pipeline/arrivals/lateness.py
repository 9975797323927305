"""How late an object is, by the time of availability that the contract promises."""

from __future__ import annotations

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.promise import due_at


def late_seconds(dataset: Dataset, partition: str, landed: float) -> int:
    """How many seconds after it was due an object landed (`landed`: seconds since 1970, UTC); 0 where in time."""
    due = due_at(dataset, partition)
    return 0 if due is None else max(0, int(landed - due.timestamp()))
