"""When data has to be there: a partition by its time of availability, a dataset without any by its frequency."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from lake_pipeline.datasets.loading import Dataset
from lake_pipeline.datasets.partitioning import KEY_FORMAT, floor, following

# The longest that each may be: who promises a month is not late after the 30 days of June.
LENGTHS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=31),
    "year": timedelta(days=366),
}


def due_again(dataset: Dataset, last: datetime) -> datetime | None:
    """When a dataset without partitions must be published again (UTC) that was at `last`; None where nothing says so.

    With a time of availability it is that time of the day when the frequency is over.
    """
    sla = dataset.contract.sla
    if dataset.config.partitions.by != "none" or sla.frequency is None:
        return None
    number, unit = sla.frequency
    at = last + number * LENGTHS[unit]
    if sla.available_by is None or number * LENGTHS[unit] < timedelta(days=1):
        return at.astimezone(UTC)
    zone = ZoneInfo(sla.timezone)
    return datetime.combine(at.astimezone(zone).date(), sla.available_by, zone).astimezone(UTC)


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
