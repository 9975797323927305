"""What tests of arrivals share: events as AWS writes them, and a queue in memory that keeps SQS's promises."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

from lake_pipeline.arrivals.places import Places
from lake_pipeline.arrivals.tick import Message
from lake_pipeline.datasets import Dataset
from lake_pipeline.settings import ZONES
from lake_pipeline.storage import Lake

BUCKET = "acme-raw"


def eventbridge(key: str, *, etag: str = "e1", size: int = 3, kind: str = "Created", **more: Any) -> str:
    """An event as EventBridge delivers it to a queue: the key is as it is."""
    at = more.get("at", datetime(2026, 3, 1, 8, tzinfo=UTC))
    found = {"key": key, "sequencer": more.get("sequencer", "")}
    if kind == "Created":
        found |= {"size": size, "etag": etag}
    detail = {"version": "0", "bucket": {"name": more.get("bucket", BUCKET)}, "object": found}
    event = {"source": "aws.s3", "detail-type": f"Object {kind}", "time": at.isoformat(), "detail": detail}
    return json.dumps(event)


def direct(key: str, *, etag: str = "e1", size: int = 3, name: str = "ObjectCreated:Put", **more: Any) -> str:
    """An event as S3 itself puts it into a queue: the key is URL-encoded."""
    found = {
        "key": quote_plus(key),
        "size": size,
        "eTag": etag,
        "sequencer": more.get("sequencer", ""),
    }
    s3 = {"bucket": {"name": more.get("bucket", BUCKET)}, "object": found}
    record = {"eventSource": "aws:s3", "eventName": name, "eventTime": "2026-03-01T08:00:00.000Z", "s3": s3}
    return json.dumps({"Records": [record]})


def places_of(lake: Lake, *datasets: Dataset) -> Places:
    """The places of a lake in a folder, as if its zones were in a bucket, so that events can name them."""
    zones = {zone: f"s3://{BUCKET}/{zone}" for zone in ZONES}
    return Places({d.name: d for d in datasets}, zones, lake.zone("raw").root)


def event_of(lake: Lake, key: str, sequencer: str = "", at: datetime | None = None) -> str:
    """The event of an object that is in a lake, as `places_of` names it."""
    meta = lake.zone("raw").head(key)
    return eventbridge(
        f"raw/{key}",
        etag=meta.etag.strip('"'),
        size=meta.size,
        sequencer=sequencer,
        at=at or meta.modified,
    )


@dataclass
class MemoryQueue:
    """A queue: what is received is invisible until it is deleted, or comes again after `reappear`."""

    limit: int = 1000
    redrive: int = 3
    messages: dict[str, str] = field(default_factory=dict)
    receives: dict[str, int] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    buried: dict[str, str] = field(default_factory=dict)
    rests: list[float] = field(default_factory=list)

    def send(self, body: str) -> str:
        """Put a message in; its id."""
        id_ = uuid.uuid4().hex
        self.messages[id_] = body
        return id_

    def receive(self, rest: float) -> list[Message]:
        self.rests.append(rest)
        found = [i for i in self.messages if i not in self.hidden][: self.limit]
        self.hidden |= set(found)
        for id_ in found:
            self.receives[id_] = self.receives.get(id_, 0) + 1
        return [Message(i, i, self.messages[i], self.receives[i], 0.0) for i in found]

    def delete(self, receipts: list[str]) -> None:
        for receipt in receipts:
            self.messages.pop(receipt, None)

    def bury(self, message: Message, reason: str) -> bool:
        if message.receives < self.redrive:
            return False
        self.buried[message.id] = reason
        return True

    def depth(self) -> int:
        return len(self.messages)

    def reappear(self) -> None:
        """The time in which received messages are invisible is over."""
        self.hidden.clear()


def requested(lake: Lake) -> list[Mapping[str, Any]]:
    """The stored requests."""
    ops = lake.zone("ops")
    return [json.loads(ops.read(o.key)) for o in ops.list("arrivals/requests")]
