"""The queue over HTTP: S3's notifications through moto's server, drained, deleted, and buried with a reason."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from servers import free_port

from lake_pipeline.arrivals.events import parse
from lake_pipeline.arrivals.tick import Message
from lake_pipeline.cli.aws_local import aws_local, client
from lake_pipeline.resources.sqs import Drain, QueueRefused, QueueUnavailable, SqsQueue


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The local AWS, for all tests here."""
    with aws_local(free_port(), tmp_path_factory.mktemp("aws")) as env:
        yield env


@pytest.fixture(autouse=True)
def environment(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def kept() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def queues(aws: dict[str, str]) -> dict[str, str]:
    """The environment with two queues of the test's own."""
    sqs, name = client("sqs", aws), uuid.uuid4().hex
    made = {
        v: sqs.create_queue(QueueName=f"{name}-{v}")["QueueUrl"] for v in ("LAKE_QUEUE_URL", "LAKE_DLQ_URL")
    }
    return {**aws, **made}


@pytest.fixture
def queue(queues: dict[str, str], kept: list[tuple[str, str]]) -> Drain:
    """A queue whose messages come again at once."""
    bounds = SqsQueue(wait_seconds=0, hidden_seconds=0, receivers=2, most_messages=100)
    return opened(queues, kept, bounds)


def opened(
    aws: dict[str, str], kept: list[tuple[str, str]], bounds: SqsQueue, dead: str = "", url: str = ""
) -> Drain:
    def keep(message: Message, reason: str) -> None:
        kept.append((message.body, reason))

    return bounds.open(url or aws["LAKE_QUEUE_URL"], dead, keep)


def send(aws: dict[str, str], *bodies: str) -> None:
    sqs = client("sqs", aws)
    for start in range(0, len(bodies), 10):
        entries = [{"Id": str(n), "MessageBody": b} for n, b in enumerate(bodies[start : start + 10])]
        sqs.send_message_batch(QueueUrl=aws["LAKE_QUEUE_URL"], Entries=entries)


def test_everything_is_received_once_while_it_is_hidden(queues: dict[str, str], queue: Drain) -> None:
    bodies = [f"m{n}" for n in range(57)]
    send(queues, *bodies)
    hidden = opened(queues, [], SqsQueue(wait_seconds=1, hidden_seconds=60, receivers=4))
    assert hidden.depth() == 57
    found = hidden.receive()
    assert sorted(m.body for m in found) == sorted(bodies)
    assert {m.receives for m in found} == {1}
    hidden.delete([m.receipt for m in found])
    assert queue.receive() == []
    hidden.delete([m.receipt for m in found])  # of messages that are gone: nothing to do


def test_a_tick_is_bounded(queues: dict[str, str], queue: Drain) -> None:
    send(queues, *(f"m{n}" for n in range(60)))
    few = opened(queues, [], SqsQueue(wait_seconds=1, hidden_seconds=60, receivers=1, most_messages=20))
    assert len(few.receive()) == 20


def test_a_message_of_no_use_is_buried_at_the_limit_with_its_reason(
    queues: dict[str, str], queue: Drain
) -> None:
    send(queues, "garbage")
    bounds = SqsQueue(wait_seconds=0, hidden_seconds=0, receivers=1, most_messages=1)
    drain = opened(queues, [], bounds, dead=queues["LAKE_DLQ_URL"])
    buried = [drain.bury(m, "No JSON.") for _ in range(3) for m in drain.receive()[:1]]
    assert buried == [False, False, True]
    found = client("sqs", queues).receive_message(
        QueueUrl=queues["LAKE_DLQ_URL"], MessageAttributeNames=["All"], WaitTimeSeconds=5
    )
    (message,) = found["Messages"]
    assert message["Body"] == "garbage"
    assert message["MessageAttributes"]["reason"]["StringValue"] == "No JSON."


def test_without_a_queue_for_dead_letters_they_are_kept(kept: list[tuple[str, str]], queue: Drain) -> None:
    assert queue.bury(Message("m", "r", "garbage", 3, 0.0), "No JSON.")
    assert kept == [("garbage", "No JSON.")]


def test_a_queue_that_is_not_there_is_terminal(queues: dict[str, str], kept: list[tuple[str, str]]) -> None:
    drain = opened(queues, kept, SqsQueue(wait_seconds=0), url=queues["LAKE_QUEUE_URL"] + "-not")
    with pytest.raises(QueueRefused, match="There is no queue"):
        drain.receive()


def test_a_server_that_does_not_answer_is_transient(
    queues: dict[str, str], kept: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(QueueUnavailable):
        opened(queues, kept, SqsQueue(wait_seconds=0)).depth()


NASTY = "orders/2026/03/01/a+b %41 ü.csv"


def events(drain: Drain) -> list[tuple[str, str, str]]:
    messages = drain.receive()
    drain.delete([m.receipt for m in messages])
    return [(e.kind, e.key, e.etag) for m in messages for e in parse(m.body)]


def made(aws: dict[str, str], s3: Any, bucket: str) -> str:
    """Create an object in each of the three ways, and delete one."""
    etag: str = s3.put_object(Bucket=bucket, Key=NASTY, Body=b"x")["ETag"].strip('"')
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": NASTY})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"y")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)
    s3.delete_object(Bucket=bucket, Key="copy")
    return etag


@pytest.mark.parametrize("way", ["eventbridge", "direct"])
def test_s3s_own_events(aws: dict[str, str], way: str) -> None:
    s3, bucket = client("s3", aws), "lake-raw"
    if way == "direct":
        bucket = "direct"
        s3.create_bucket(Bucket=bucket)
        sqs = client("sqs", aws)
        found = sqs.get_queue_attributes(QueueUrl=aws["LAKE_QUEUE_URL"], AttributeNames=["QueueArn"])
        arn = found["Attributes"]["QueueArn"]
        wanted = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [wanted]}
        )
    etag = made(aws, s3, bucket)
    drain = opened(aws, [], SqsQueue(wait_seconds=2, hidden_seconds=60))
    seen = events(drain)
    assert ("created", NASTY, etag) in seen
    assert {(kind, key) for kind, key, _ in seen} == {
        ("created", NASTY),
        ("created", "copy"),
        ("created", "parts"),
        ("deleted", "copy"),
    }


def test_the_rule_is_for_the_raw_zone_only(aws: dict[str, str]) -> None:
    client("s3", aws).put_object(Bucket="lake-curated", Key="x", Body=b"x")
    client("s3", aws).put_object(Bucket="lake-raw", Key="y", Body=b"x")
    assert events(opened(aws, [], SqsQueue(wait_seconds=2, hidden_seconds=60)))[-1][1] == "y"
