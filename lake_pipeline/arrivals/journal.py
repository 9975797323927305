"""What a sensor remembers from tick to tick: numbered documents in ops, of which the cursor holds the number.

A document is written once, conditionally: of two ticks that go on from one state, one gets the number and the
other fails. A cursor that lags behind, because a tick died before it was saved or somebody turned it back, is
only a hint: the newest document counts, and what its tick asked for is asked for again under the same keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lake_pipeline.errors import Transient
from lake_pipeline.storage.lake import number_of
from lake_pipeline.storage.objects import ObjectMissing, ObjectStore

KEPT = 20


class TickContention(Transient):
    """Another tick of the same sensor went on from the same state."""


@dataclass(frozen=True)
class Journal:
    """The states of one sensor, and what its ticks did."""

    ops: ObjectStore
    sensor: str

    def newest(self, hint: int) -> tuple[int, dict[str, Any] | None]:
        """The newest state and its number; (0, None) before the first. hint: what the cursor says."""
        if hint and not self.ops.exists(self._key("state", hint + 1)):
            try:
                return hint, json.loads(self.ops.read(self._key("state", hint)))
            except ObjectMissing:
                pass  # the cursor is of long ago
        number = max((number_of(o.key) for o in self.ops.list(f"arrivals/{self.sensor}/state")), default=0)
        return number, json.loads(self.ops.read(self._key("state", number))) if number else None

    def write(self, number: int, state: Mapping[str, Any]) -> None:
        """Store a state under the number after the last; raises `TickContention` where it is taken."""
        body = json.dumps(state, separators=(",", ":")).encode()  # large, often, and read by nobody
        if not self.ops.create(self._key("state", number), body):
            raise TickContention(f"{self.sensor}: another tick has written state {number}; the next goes on.")
        if number > KEPT and number % KEPT == 0:
            old = [o.key for o in self.ops.list(f"arrivals/{self.sensor}/state")]
            self.ops.delete([key for key in old if number_of(key) <= number - KEPT])

    def record(self, number: int, done: bytes) -> None:
        """Store what the tick of a state did, once, for metrics and for people."""
        self.ops.create(self._key("ticks", number), done)

    def _key(self, kind: str, number: int) -> str:
        return f"arrivals/{self.sensor}/{kind}/{number:09}.json"
