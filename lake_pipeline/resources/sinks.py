"""Where messages are sent: SNS, EventBridge, a webhook, the log. Each raises when it did not take them.

None repeats by itself: what a sink did not take stays in the outbox and is tried again from there.
"""

from __future__ import annotations

import json
import logging
import os
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from lake_pipeline.errors import Transient
from lake_pipeline.health.messages import Message
from lake_pipeline.health.outbox import Sink
from lake_pipeline.health.targets import Targets

SECONDS = 10  # that a sink may take to answer
SUBJECT_CHARACTERS = 99  # SNS: "up to 100 characters", of ASCII, without line breaks
ENTRIES = 10  # EventBridge takes ten entries and 256 KB at once
MOST_TEXT, MOST_ITEMS = 1000, 100  # of what is in one entry's detail


class NotTaken(Transient):
    """A sink did not take a message."""


def client(service: str, region: str | None = None) -> Any:
    """A client of AWS that answers or fails soon."""
    import boto3
    from botocore.config import Config

    limits = Config(connect_timeout=5, read_timeout=SECONDS, retries={"total_max_attempts": 1})
    # boto3 itself reads AWS_DEFAULT_REGION, and AWS_REGION nowhere
    return boto3.client(service, region_name=region or os.environ.get("AWS_REGION"), config=limits)


def region_of(arn: str) -> str | None:
    """The region of an ARN; None where there is none, as in a name."""
    parts = arn.split(":")
    return parts[3] or None if len(parts) > 3 else None


@dataclass(frozen=True)
class Sns:
    """An SNS topic: alerts, for people. Attributes `kind`, `subject` and `state` are there to filter by."""

    topic: str
    name: str = "sns"

    @cached_property
    def _client(self) -> Any:
        return client("sns", region_of(self.topic))

    def takes(self, message: Message) -> bool:
        """Alerts only."""
        return message.form == "alert"

    def send(self, messages: Sequence[Message]) -> None:
        """Publish each."""
        for message in messages:
            self._client.publish(
                TopicArn=self.topic,
                Subject=short(message.subject),
                Message=f"{message.subject}\n\n{message.text}",
                MessageAttributes={
                    key: {"DataType": "String", "StringValue": str(message.detail[key])}
                    for key in ("kind", "subject", "state")
                },
            )


def short(subject: str) -> str:
    """A subject as SNS takes it.

    >>> short("é: " + "x" * 200)[:5], len(short("x" * 200))
    ('?: xx', 99)
    """
    plain = subject.encode("ascii", "replace").decode().replace("\n", " ")
    return plain if len(plain) <= SUBJECT_CHARACTERS else plain[: SUBJECT_CHARACTERS - 3] + "..."


@dataclass(frozen=True)
class EventBridge:
    """An EventBridge bus: every event under its name, alerts as ``IncidentOpened`` and ``IncidentResolved``."""

    bus: str
    name: str = "eventbridge"

    @cached_property
    def _client(self) -> Any:
        return client("events", region_of(self.bus))

    def takes(self, _: Message) -> bool:
        """Everything."""
        return True

    def send(self, messages: Sequence[Message]) -> None:
        """Put them, ten at a time; raises where an entry was not taken."""
        for some in chunks(messages, ENTRIES):
            answer = self._client.put_events(Entries=[self.entry(m) for m in some])
            if answer["FailedEntryCount"]:
                said = next(e for e in answer["Entries"] if e.get("ErrorCode"))
                raise NotTaken(f"{self.bus}: {said['ErrorCode']}: {said.get('ErrorMessage', '')}")

    def entry(self, message: Message) -> dict[str, Any]:
        """A message as an entry of PutEvents."""
        detail = {"id": message.id, "text": message.text, **message.detail}
        return {
            "Source": "lake_pipeline",
            "DetailType": message.topic if message.form == "event" else INCIDENTS[message.detail["state"]],
            "Detail": json.dumps(bounded(detail), ensure_ascii=False, default=str),
            "EventBusName": self.bus,
            "Time": message.at,
        }


INCIDENTS = {"open": "IncidentOpened", "resolved": "IncidentResolved"}


def bounded(value: Any) -> Any:
    """A value whose texts and lists are cut to what an entry can hold."""
    if isinstance(value, str):
        return value if len(value) <= MOST_TEXT else value[: MOST_TEXT - 1] + "…"
    if isinstance(value, Mapping):
        return {key: bounded(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [bounded(v) for v in value[:MOST_ITEMS]]
    return value


def chunks(messages: Iterable[Message], size: int) -> Iterator[list[Message]]:
    """The messages, some at a time."""
    left = iter(messages)
    while some := list(islice(left, size)):
        yield some


@dataclass(frozen=True)
class Webhook:
    """A URL that gets each alert as a JSON document; its ``text`` is what chat systems show."""

    url: str
    name: str = "webhook"

    def takes(self, message: Message) -> bool:
        """Alerts only."""
        return message.form == "alert"

    def send(self, messages: Sequence[Message]) -> None:
        """Post each; raises where the answer is not a success."""
        for message in messages:
            document = {
                "text": f"{message.subject}\n{message.text}",
                "id": message.id,
                "topic": message.topic,
                "at": message.at,
                "detail": message.detail,
            }
            body = json.dumps(document, ensure_ascii=False, default=str).encode()
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(self.url, body, headers, method="POST")  # noqa: S310  (`Targets` takes http only)
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
                answer.read()


@dataclass(frozen=True)
class Log:
    """The log: alerts as warnings; with ``LAKE_LOG=json`` as lines of JSON, and every event, too."""

    say: Callable[[str], None]
    json_lines: bool = False
    name: str = "log"

    def takes(self, message: Message) -> bool:
        """Alerts, and events where lines are for programs."""
        return message.form == "alert" or self.json_lines

    def send(self, messages: Sequence[Message]) -> None:
        """Write them."""
        logger = logging.getLogger("lake_pipeline.telling")
        for message in messages:
            if not self.json_lines:
                self.say(f"{message.subject}\n{message.text}".strip())
                continue
            level = logging.WARNING if message.form == "alert" else logging.INFO
            logger.log(
                level, "%s", message.subject, extra={"lake": {"event": message.topic, **message.detail}}
            )


def sinks_of(targets: Targets, say: Callable[[str], None]) -> list[Sink]:
    """The sinks that are configured, and the log."""
    sinks: list[Sink] = [Log(say, targets.log == "json")]
    if targets.topic:
        sinks.append(Sns(targets.topic))
    if targets.bus:
        sinks.append(EventBridge(targets.bus))
    if targets.webhook:
        sinks.append(Webhook(targets.webhook))
    return sinks
