"""What the ticks of the arrivals' sensors found, read for the metrics from ``ops/arrivals/<sensor>/ticks/``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from lake_pipeline.storage import Lake


@dataclass(frozen=True)
class Tick:
    """One tick. events: how many it took; lost: arrivals that no event had told of, by dataset.

    lag_seconds: the age of the oldest event that it took.
    """

    at: datetime
    events: int
    lost: dict[str, int]
    lag_seconds: float


def ticks(lake: Lake, first: date, last: date) -> Iterator[Tick]:
    """The ticks of some days (UTC), in no order."""
    store = lake.zone("ops")
    begin = datetime.combine(first, datetime.min.time(), UTC)
    for entry in store.list("arrivals"):
        # a document is written when its tick ends, so none of these days is older
        if "/ticks/" in entry.key and entry.modified >= begin:
            found = tick_of(json.loads(store.read(entry.key)))
            if first <= found.at.date() <= last:
                yield found


def tick_of(document: dict[str, Any]) -> Tick:
    """A tick from its document."""
    at = datetime.fromisoformat(document["at"]).astimezone(UTC)
    return Tick(at, sum(document["events"].values()), document["lost"], document["lag_seconds"])
