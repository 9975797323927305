"""How late an object is, by its contract."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from lakes import make_dataset

from lake_pipeline.arrivals.lateness import late_seconds
from lake_pipeline.datasets.promise import due_at


@pytest.mark.parametrize(
    ("by", "partition", "due"),
    [
        ("daily", "2026-03-01", datetime(2026, 3, 2, 7, 30, tzinfo=UTC)),
        ("hourly", "2026-03-01-00:00", datetime(2026, 3, 2, 7, 30, tzinfo=UTC)),
        ("hourly", "2026-03-01-23:00", datetime(2026, 3, 2, 7, 30, tzinfo=UTC)),
        ("monthly", "2026-12-01", datetime(2027, 1, 1, 7, 30, tzinfo=UTC)),
    ],
)
def test_a_partition_is_due_on_the_day_after_it(
    tmp_path: Path, by: str, partition: str, due: datetime
) -> None:
    sales = make_dataset(tmp_path, sla="07:30", partitions={"by": by, "start": "2026-01-01"})
    assert due_at(sales, partition) == due
    assert late_seconds(sales, partition, due.timestamp()) == 0
    assert late_seconds(sales, partition, due.timestamp() + 90) == 90


def test_nothing_is_due_where_nothing_is_promised(tmp_path: Path) -> None:
    assert late_seconds(make_dataset(tmp_path), "2026-03-01", 9e9) == 0
    whole = make_dataset(tmp_path, "whole", sla="07:30", partitions={"by": "none"})
    assert due_at(whole, "all") is None
