"""What the ticks of sensors found, kept in ``ops/ticks/<day>/<sensor>/<time>.json``: facts for the metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta

from lake_pipeline.storage import Lake
from lake_pipeline.storage.lake import dump


@dataclass(frozen=True)
class Tick:
    """One tick. events: how many it took; lost: arrivals that no event had told of; lag: seconds the oldest waited."""

    sensor: str
    at: str
    events: int = 0
    events_lost: int = 0
    queue_lag_seconds: float = 0.0


def write(lake: Lake, tick: Tick) -> None:
    """Keep what a tick found; the same tick again is the same document."""
    at = datetime.fromisoformat(tick.at).astimezone(UTC)
    lake.zone("ops").write(f"ticks/{at:%Y-%m-%d}/{tick.sensor}/{at:%H%M%S%f}.json", dump(asdict(tick)))


def ticks(lake: Lake, first: date, last: date) -> Iterator[Tick]:
    """The ticks of some days (UTC), in no order."""
    store = lake.zone("ops")
    for n in range((last - first).days + 1):
        for entry in store.list(f"ticks/{first + timedelta(days=n)}"):
            yield Tick(**json.loads(store.read(entry.key)))
