"""Messages on their way: kept in ``ops/outbox/<sink>/`` until their sink has taken them.

Delivery is at least once. A sink that fails costs nothing but time: what it did not take waits, with the
error beside it, and is tried again by the next run or the next tick of the alerts' sensor.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

from lake_pipeline.datasets.loading import digest
from lake_pipeline.health.messages import Message
from lake_pipeline.storage import Lake
from lake_pipeline.storage.lake import dump
from lake_pipeline.storage.objects import ObjectMissing

MOST_DOCUMENTS = 100  # that one call of `deliver` takes from a sink's queue


class Sink(Protocol):
    """Where messages go. `send` raises when it did not take all of them."""

    @property
    def name(self) -> str:
        """Its name: ``sns``."""

    def takes(self, message: Message) -> bool:
        """Whether the message is for it."""

    def send(self, messages: Sequence[Message]) -> None:
        """Send them."""


@dataclass(frozen=True)
class Waiting:
    """What waits for one sink. oldest: since when; error: what the sink said last."""

    sink: str
    messages: int
    oldest: str
    attempts: int
    error: str


def post(lake: Lake, sinks: Iterable[Sink], messages: Sequence[Message], at: datetime) -> list[str]:
    """Queue messages for the sinks that take them; returns the queued documents' keys."""
    keys = []
    for sink in sinks:
        mine = [m for m in messages if sink.takes(m)]
        if mine:
            name = f"{at:%Y%m%dT%H%M%S%f}-{digest([m.id for m in mine])[:12]}"
            keys.append(f"outbox/{sink.name}/{name}.json")
            store(lake, keys[-1], mine, at.isoformat(), 0, "")
    return keys


def store(lake: Lake, key: str, messages: Iterable[Message], at: str, attempts: int, error: str) -> None:
    """Write a queued document."""
    document = {"at": at, "attempts": attempts, "error": error, "messages": [asdict(m) for m in messages]}
    lake.zone("ops").write(key, dump(document))


def deliver(lake: Lake, sinks: Iterable[Sink], keys: Iterable[str] | None = None) -> dict[str, str]:
    """Send what waits (all, or some documents), the oldest first; returns each sink's last error, ``""`` if none.

    A sink is left alone after its first failure. A sink that had nothing to send is not in the answer.
    """
    chosen = None if keys is None else list(keys)
    said: dict[str, str] = {}
    for sink in sinks:
        prefix = f"outbox/{sink.name}"
        queued = sorted(o.key for o in lake.zone("ops").list(prefix)) if chosen is None else chosen
        for key in [k for k in queued if k.startswith(f"{prefix}/")][:MOST_DOCUMENTS]:
            said[sink.name] = sent(lake, sink, key)
            if said[sink.name]:
                break
    return said


def sent(lake: Lake, sink: Sink, key: str) -> str:
    """Send one document's messages; returns why that failed, or ``""``."""
    document = read(lake, key)
    if document is None:
        return ""  # another process sent it meanwhile
    messages = [Message(**m) for m in document["messages"]]
    try:
        sink.send(messages)
    except Exception as e:  # noqa: BLE001  (whatever a sink raises must not fail the run that tells)
        error = f"{type(e).__name__}: {e}"
        store(lake, key, messages, document["at"], document["attempts"] + 1, error)
        return error
    lake.zone("ops").delete([key])
    return ""


def waiting(lake: Lake) -> list[Waiting]:
    """What waits, by sink."""
    documents: dict[str, list[dict[str, Any]]] = {}
    for entry in sorted(lake.zone("ops").list("outbox"), key=lambda o: o.key):
        if document := read(lake, entry.key):
            documents.setdefault(entry.key.split("/")[1], []).append(document)
    return [
        Waiting(
            name,
            sum(len(d["messages"]) for d in found),
            found[0]["at"],
            max(d["attempts"] for d in found),
            next((d["error"] for d in reversed(found) if d["error"]), ""),
        )
        for name, found in documents.items()
    ]


def read(lake: Lake, key: str) -> dict[str, Any] | None:
    """A queued document; None when it was sent meanwhile."""
    try:
        document: dict[str, Any] = json.loads(lake.zone("ops").read(key))
    except ObjectMissing:
        return None
    return document
