"""How long a tick waits for messages: no longer than until what waits is due."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

from arriving import MemoryQueue, event_of, places_of
from lakes import csv, make_dataset, put

from lake_pipeline.arrivals.tick import drain
from lake_pipeline.storage import Lake

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


def test_a_tick_waits_no_longer_than_until_what_waits_is_due(lake_folder: Lake, tmp_path: Path) -> None:
    sales, queue, cursor = make_dataset(tmp_path / "sales"), MemoryQueue(), ""
    for seconds in (0, 0, 50, 60):
        if seconds == 0 and queue.rests:
            key = put(lake_folder, sales, "a.csv", csv("a,1,2026-03-01"))
            queue.send(event_of(lake_folder, key, at=NOW))
        now = NOW + timedelta(seconds=seconds)
        done = drain(lake_folder, places_of(lake_folder, sales), queue, cursor, now)
        cursor = done.cursor
    assert queue.rests == [math.inf, math.inf, 10, 0]
    assert len(done.requests) == 1
