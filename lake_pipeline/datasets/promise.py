"""When a partition has to be there, by the time of availability that the contract promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from lake_pipeline.datasets.loading import Dataset
from lake_pipeline.datasets.partitioning import KEY_FORMAT, floor, following


def due_at(dataset: Dataset, partition: str) -> datetime | None:
    """When the partition must be there (UTC): `available_by` on the day after it; None where nothing is promised."""
    sla, spec = dataset.contract.sla, dataset.config.partitions
    if sla.available_by is None or spec.by == "none":
        return None
    if spec.by == "hourly":
        start = floor("daily", datetime.strptime(partition, KEY_FORMAT[spec.by]))
        day = (start + timedelta(days=1)).date()
    else:
        day = datetime.strptime(following(spec, partition), KEY_FORMAT[spec.by]).date()
    return datetime.combine(day, sla.available_by, ZoneInfo(sla.timezone)).astimezone(UTC)
