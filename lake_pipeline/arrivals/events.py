"""Read S3's events: what EventBridge delivers, direct S3 notifications, and either of them through SNS.

EventBridge gives the key as it is. A direct notification gives it URL-encoded, and only there is it decoded:
to decode the other would spoil every key with a `+` or a `%`.
Sources: AWS, "Amazon S3 event message structure" (EventBridge) and "Event message structure" (notifications).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import unquote_plus

from lake_pipeline.errors import Terminal

Kind = Literal["created", "deleted"]
DETAIL_TYPES: dict[str, Kind] = {"Object Created": "created", "Object Deleted": "deleted"}
EVENT_NAMES: dict[str, Kind] = {
    "ObjectCreated": "created",
    "ObjectRemoved": "deleted",
    "LifecycleExpiration": "deleted",
}


class Unreadable(Terminal):
    """The message is no event that a lake could act on; the text says why."""


@dataclass(frozen=True)
class Event:
    """One object was created or deleted. size is in bytes, at in UTC; etag has no quotes.

    sequencer orders the events of one key, where the sender gives one: see `before`.
    """

    kind: Kind
    bucket: str
    key: str
    at: datetime
    size: int = 0
    etag: str = ""
    sequencer: str = ""


def parse(body: str) -> tuple[Event, ...]:
    """The events of a message's body, none for S3's test event; raises `Unreadable`."""
    try:
        document = json.loads(body)
    except ValueError as e:
        raise Unreadable(f"The body is no JSON: {e}.") from e
    if not isinstance(document, dict):
        raise Unreadable(f"The body is a JSON {type(document).__name__}, not an object.")
    form = next((f for f, marks in FORMS.items() if marks <= document.keys()), None)
    if form is None:
        raise Unreadable(
            f"The body is no event of S3; its fields are {', '.join(sorted(document)) or 'none'}."
        )
    try:
        return form(document)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise Unreadable(f"The event lacks what every event of S3 has: {type(e).__name__} {e}.") from e


def from_eventbridge(document: Mapping[str, Any]) -> tuple[Event, ...]:
    """``{"source": "aws.s3", "detail-type": "Object Created", "detail": {…}}``."""
    what = document["detail-type"]
    if document["source"] != "aws.s3" or what not in DETAIL_TYPES:
        known = ", ".join(DETAIL_TYPES)
        raise Unreadable(f'"{what}" of {document["source"]} is not for a lake; expected {known} of aws.s3.')
    detail = document["detail"]
    bucket, found = str(detail["bucket"]["name"]), detail["object"]
    return (_event(DETAIL_TYPES[what], bucket, str(found["key"]), document["time"], found),)


def from_s3(document: Mapping[str, Any]) -> tuple[Event, ...]:
    """``{"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {…}}]}``."""
    events = []
    for record in document["Records"]:
        family = str(record["eventName"]).removeprefix("s3:").partition(":")[0]
        if family not in EVENT_NAMES:
            raise Unreadable(f'"{record["eventName"]}" is not for a lake; expected {", ".join(EVENT_NAMES)}.')
        bucket, found = str(record["s3"]["bucket"]["name"]), record["s3"]["object"]
        key = unquote_plus(str(found["key"]))
        events.append(_event(EVENT_NAMES[family], bucket, key, record["eventTime"], found))
    return tuple(events)


def from_sns(document: Mapping[str, Any]) -> tuple[Event, ...]:
    """Either of the others, as the text of a notification."""
    return parse(document["Message"])


def test_event(document: Mapping[str, Any]) -> tuple[Event, ...]:
    """What S3 sends once, when notifications are switched on."""
    if document["Event"] != "s3:TestEvent":
        raise Unreadable(f'"{document["Event"]}" is no event of an object.')
    return ()


FORMS: dict[Callable[[Mapping[str, Any]], tuple[Event, ...]], set[str]] = {
    from_eventbridge: {"detail-type", "source", "detail"},
    from_s3: {"Records"},
    from_sns: {"Type", "Message"},
    test_event: {"Service", "Event", "Bucket"},
}


def _event(kind: Kind, bucket: str, key: str, at: Any, found: Mapping[str, Any]) -> Event:
    etag = str(found.get("etag") or found.get("eTag") or "").strip('"')
    if not key or not bucket or (kind == "created" and not etag):
        raise ValueError("an empty key, bucket or etag")
    size = int(found["size"]) if kind == "created" else 0
    return Event(kind, bucket, key, _moment(at), size, etag, str(found.get("sequencer") or ""))


def _moment(at: Any) -> datetime:
    """A time as AWS writes it, or in seconds since 1970 as moto's EventBridge does."""
    if isinstance(at, int | float):
        return datetime.fromtimestamp(at, UTC)
    moment = datetime.fromisoformat(at)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def before(one: str, other: str) -> bool:
    """Whether, of two sequencers of one key, the first is before the second; False where one is unknown.

    The shorter is padded with zeros on the right, and both are compared as text.

    >>> before("0055", "00551"), before("0055", "00550"), before("0056", "00550"), before("", "0055")
    (True, False, False, False)
    """
    width = max(len(one), len(other))
    return bool(one and other) and one.upper().ljust(width, "0") < other.upper().ljust(width, "0")
