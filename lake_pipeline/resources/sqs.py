"""The SQS queue in which S3's events arrive, as a Dagster resource: bounded draining, deletes, dead letters.

Nothing is retried here: what fails is transient, and the next tick goes on. The client is made when a tick
first needs it, never while definitions load.
"""

import math
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
from pydantic import Field

from lake_pipeline.arrivals.tick import Message
from lake_pipeline.errors import Terminal, Transient

BATCH = 10  # the most messages that one call of SQS takes or gives
LONGEST_REASON = 1000
REFUSED = {"AccessDenied", "AccessDeniedException", "InvalidClientTokenId", "SignatureDoesNotMatch"}
ABSENT = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
GONE = {"ReceiptHandleIsInvalid", "InvalidParameterValue"}  # of a message that is deleted, or in other hands

Keep = Callable[[Message, str], None]


class QueueUnavailable(Transient):
    """The queue did not answer as it should: the next tick tries again."""


class QueueRefused(Terminal):
    """The queue refused, or is not there: credentials, permissions, its URL."""


class SqsQueue(dg.ConfigurableResource):  # type: ignore[type-arg]
    """How a tick drains the queue that ``LAKE_QUEUE_URL`` names.

    A tick waits for the first message and then receives until the queue is empty, or a bound is met; the rest is
    for the next. All bounds together must stay below the minute that Dagster gives a tick.
    """

    # Dagster looks for ticks that are due every five seconds: one that ends just before such a time hardly pauses.
    wait_seconds: int = Field(default=19, ge=0, le=20, description="The long poll for the first message.")
    receivers: int = Field(default=8, ge=1, description="How many calls receive at once.")
    most_messages: int = Field(default=20_000, ge=1, description="The most messages of a tick.")
    most_seconds: float = Field(default=15.0, gt=0, description="How long a tick goes on receiving.")
    hidden_seconds: int = Field(
        default=180, ge=0, description="How long a received message is invisible; longer than two ticks."
    )
    redrive_limit: int = Field(
        default=3, ge=1, description="How often a message of no use is received before it is a dead letter."
    )

    def open(self, url: str, dead_letters: str, keep: Keep) -> "Drain":
        """The queue. keep: where dead letters go when there is no queue for them."""
        import boto3
        from botocore.config import Config

        config = Config(
            retries={"total_max_attempts": 1},
            max_pool_connections=self.receivers,
            connect_timeout=5,
            read_timeout=self.wait_seconds + 10,
        )
        return Drain(
            boto3.client("sqs", region_name=os.environ.get("AWS_REGION"), config=config),
            url,
            dead_letters,
            keep,
            self,
        )


class Drain:
    """The queue of one tick: what `arrivals.tick` needs, on a client of boto3."""

    def __init__(self, client: Any, url: str, dead_letters: str, keep: Keep, bounds: SqsQueue) -> None:
        self._client, self._url, self._dead_letters = client, url, dead_letters
        self._keep, self._bounds = keep, bounds

    def receive(self, rest: float = math.inf) -> list[Message]:
        """Messages up to the bounds: one long poll for the first, then all receivers until each finds nothing.

        rest: the seconds that the poll may take at most.
        """
        found = self._receive(int(min(self._bounds.wait_seconds, rest)))
        if not found:
            return []
        lock, until = threading.Lock(), time.monotonic() + self._bounds.most_seconds

        def receive_on() -> None:
            while len(found) < self._bounds.most_messages and time.monotonic() < until:
                try:
                    more = self._receive(0)
                except QueueUnavailable:
                    return  # what was received is not to wait; a queue that stays away fails the next tick
                if not more:
                    return
                with lock:
                    found.extend(more)

        with ThreadPoolExecutor(self._bounds.receivers) as pool:
            for work in [pool.submit(receive_on) for _ in range(self._bounds.receivers)]:
                work.result()
        return found

    def _receive(self, wait: int) -> list[Message]:
        answer = self._call(
            "receive_message",
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=wait,
            VisibilityTimeout=self._bounds.hidden_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
        )
        return [message_of(m) for m in answer.get("Messages", ())]

    def delete(self, receipts: list[str]) -> None:
        """Delete received messages, ten a call, several calls at once."""
        batches = [receipts[i : i + BATCH] for i in range(0, len(receipts), BATCH)]
        with ThreadPoolExecutor(self._bounds.receivers) as pool:
            for _ in pool.map(self._delete, batches):
                pass

    def _delete(self, receipts: list[str]) -> None:
        entries = [{"Id": str(n), "ReceiptHandle": receipt} for n, receipt in enumerate(receipts)]
        failed = self._call("delete_message_batch", Entries=entries).get("Failed", ())
        wrong = [f for f in failed if f.get("Code") not in GONE]
        if wrong:
            raise QueueUnavailable(
                f"{self._url}: deleting failed: {wrong[0].get('Message', wrong[0]['Code'])}"
            )

    def bury(self, message: Message, reason: str) -> bool:
        """Send it to the queue of dead letters, with the reason as an attribute, at the redrive limit."""
        if message.receives < self._bounds.redrive_limit:
            return False
        if not self._dead_letters:
            self._keep(message, reason)
            return True
        facts = {
            "reason": reason[:LONGEST_REASON],
            "message_id": message.id,
            "receives": str(message.receives),
        }
        attributes = {name: {"DataType": "String", "StringValue": text} for name, text in facts.items()}
        self._call("send_message", self._dead_letters, MessageBody=message.body, MessageAttributes=attributes)
        return True

    def depth(self) -> int:
        """About how many messages wait, those in hand not counted."""
        name = "ApproximateNumberOfMessages"
        return int(self._call("get_queue_attributes", AttributeNames=[name])["Attributes"][name])

    def _call(self, operation: str, url: str = "", **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        where = url or self._url
        try:
            return getattr(self._client, operation)(QueueUrl=where, **arguments)
        except ClientError as e:
            code = e.response["Error"]["Code"]
            if code in ABSENT:
                raise QueueRefused(
                    f"There is no queue {where}; LAKE_QUEUE_URL and LAKE_DLQ_URL name queues."
                ) from e
            kind = QueueRefused if code in REFUSED else QueueUnavailable
            raise kind(f"{where}: {operation}: {e}") from e
        except BotoCoreError as e:
            raise QueueUnavailable(f"{where}: {operation}: {e}") from e


def message_of(found: dict[str, Any]) -> Message:
    """A message of boto3's answer."""
    attributes = found["Attributes"]
    return Message(
        found["MessageId"],
        found["ReceiptHandle"],
        found["Body"],
        int(attributes["ApproximateReceiveCount"]),
        int(attributes["SentTimestamp"]) / 1000,
    )
