"""Sinks over real HTTP: SNS and EventBridge of moto's server, read back from SQS, and a webhook of this process."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest
from lakes import csv, make_dataset, put
from moto.server import ThreadedMotoServer

from lake_pipeline.cli.dagster_run import run_partitions
from lake_pipeline.health import outbox
from lake_pipeline.health.incidents import incidents
from lake_pipeline.health.messages import Message
from lake_pipeline.health.targets import Targets
from lake_pipeline.health.telling import send
from lake_pipeline.resources.alerts import Alerts
from lake_pipeline.resources.sinks import EventBridge, NotTaken, Sns, Webhook, sinks_of
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

NOW = datetime(2026, 2, 26, 7, 30, tzinfo=UTC)
SUBJECT = "orders for 2026-02-25 not available by 07:30; last published 2026-02-24"
ALERT = Message(
    "orders/SLA_MISSED/x/open/1", "alert", "SLA_MISSED", SUBJECT, f"{SUBJECT}.\n  Fix: lake status orders — ü",
    NOW.isoformat(), {"kind": "SLA_MISSED", "subject": "orders", "state": "open", "members": ["2026-02-25"]},
)  # fmt: skip
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


def event(n: int, **detail: Any) -> Message:
    what = {"dataset": "orders", "partition": f"2026-03-{n:02}", **detail}
    return Message(f"e{n}", "event", "Published", f"Published {n}", "", NOW.isoformat(), what)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """``aws("sqs")``: a client of moto's server, to which the environment points everybody."""
    for name, value in {**KEYS, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": moto}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    make: Callable[[str], Any] = boto3.client
    return make


@pytest.fixture
def queue(aws: Callable[[str], Any], request: pytest.FixtureRequest) -> tuple[str, str]:
    """(URL, ARN) of a queue of the test's own."""
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName=f"q-{abs(hash(request.node.name))}")["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def received(aws: Callable[[str], Any], url: str) -> list[dict[str, Any]]:
    """Everything in the queue."""
    found: list[dict[str, Any]] = []
    while got := aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(m["Body"]) for m in got]
        for m in got:
            aws("sqs").delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
    return found


@pytest.fixture
def topic(aws: Callable[[str], Any], queue: tuple[str, str]) -> str:
    """An SNS topic whose messages come to the queue."""
    arn = str(aws("sns").create_topic(Name="alerts")["TopicArn"])
    aws("sns").subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue[1])
    return arn


@pytest.fixture
def bus(aws: Callable[[str], Any], queue: tuple[str, str]) -> str:
    """An EventBridge bus whose events of this lake come to the queue."""
    events = aws("events")
    events.create_event_bus(Name="lake-bus")
    events.put_rule(Name="all", EventBusName="lake-bus", EventPattern='{"source": ["lake_pipeline"]}')
    events.put_targets(Rule="all", EventBusName="lake-bus", Targets=[{"Id": "q", "Arn": queue[1]}])
    return "lake-bus"


@pytest.fixture(autouse=True)
def tidy(moto: str) -> Iterator[None]:
    """Each test finds an empty account."""
    yield
    connection = HTTPConnection(moto.removeprefix("http://"), timeout=10)
    connection.request("POST", "/moto-api/reset")
    assert connection.getresponse().status == 200
    connection.close()


def test_sns(aws: Callable[[str], Any], queue: tuple[str, str], topic: str) -> None:
    sink = Sns(topic)
    assert (sink.takes(ALERT), sink.takes(event(1))) == (True, False)
    sink.send([ALERT])
    (got,) = received(aws, queue[0])
    assert got["Subject"] == SUBJECT
    assert got["Message"] == f"{SUBJECT}\n\n{ALERT.text}"
    assert {k: v["Value"] for k, v in got["MessageAttributes"].items()} == {
        "kind": "SLA_MISSED", "subject": "orders", "state": "open",
    }  # fmt: skip


def test_eventbridge(aws: Callable[[str], Any], queue: tuple[str, str], bus: str) -> None:
    messages = [*(event(n, reasons=["x" * 5000] * 200) for n in range(1, 24)), ALERT]
    sink = EventBridge(bus)
    assert all(sink.takes(m) for m in messages)
    sink.send(messages)
    got = received(aws, queue[0])
    assert len(got) == 24
    published = [g["detail"]["partition"] for g in got if g["detail-type"] == "Published"]
    assert sorted(published) == [f"2026-03-{n:02}" for n in range(1, 24)]
    assert all(len(json.dumps(g["detail"]["reasons"])) < 120_000 for g in got if "reasons" in g["detail"])
    (incident,) = [g for g in got if g["detail-type"] == "IncidentOpened"]
    assert (incident["source"], incident["detail"]["members"]) == ("lake_pipeline", ["2026-02-25"])
    assert incident["detail"]["text"] == ALERT.text


@pytest.mark.parametrize("sink", [Sns("arn:aws:sns:us-east-1:123456789012:gone"), EventBridge("gone")])
def test_what_is_not_there_is_an_error(aws: Callable[[str], Any], sink: Any) -> None:
    with pytest.raises(Exception, match=r"exist|NotFound"):
        sink.send([ALERT])


@dataclass
class Hook:
    """A webhook's server: what it got, and how it answers."""

    url: str = ""
    got: list[Any] = field(default_factory=list)
    status: int = 200
    answer: bytes = b""


@contextmanager
def serving() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.append((self.headers["Content-Type"], json.loads(body)))
            self.send_response(hook.status)
            self.send_header("Content-Length", str(len(hook.answer)))
            self.end_headers()
            self.wfile.write(hook.answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    hook.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield hook
    server.shutdown()
    server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    with serving() as found:
        yield found


def test_webhook(hook: Hook) -> None:
    Webhook(hook.url).send([ALERT])
    ((kind, body),) = hook.got
    assert kind == "application/json"
    assert body["text"] == f"{SUBJECT}\n{ALERT.text}"
    assert (body["topic"], body["detail"]["state"], body["id"]) == ("SLA_MISSED", "open", ALERT.id)


def test_an_entry_that_eventbridge_did_not_take_is_an_error(
    aws: Callable[[str], Any], hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", hook.url)
    entries = [{"EventId": "1"}, {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}]
    hook.answer = json.dumps({"FailedEntryCount": 1, "Entries": entries}).encode()
    with pytest.raises(NotTaken, match="ThrottlingException: slow down"):
        EventBridge("bus").send([ALERT, ALERT])
    assert len(hook.got[0][1]["Entries"]) == 2


def test_a_throttled_sink_is_asked_once(
    aws: Callable[[str], Any], hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outbox repeats, not the client: a sink that is away must not hold up a run."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", hook.url)
    hook.status = 503
    with pytest.raises(Exception, match="503"):
        EventBridge("bus").send([ALERT])
    assert len(hook.got) == 1


def test_a_sink_that_fails_is_told_to_the_others_and_recovers(lake_folder: Lake, hook: Hook) -> None:
    said: list[str] = []
    sinks = sinks_of(Targets(webhook=hook.url), said.append)
    hook.status = 503
    keys = outbox.post(lake_folder, sinks, [ALERT], NOW)
    errors = send(lake_folder, sinks, keys, NOW)
    assert errors["log"] == ""
    assert "503" in errors["webhook"]
    assert [line.splitlines()[0] for line in said] == [SUBJECT, "alerts cannot be sent to webhook"]
    assert "503" in said[1]
    (waits,) = outbox.waiting(lake_folder)
    assert (waits.sink, waits.messages, "503" in waits.error) == ("webhook", 1, True)
    send(lake_folder, sinks, None, NOW)
    assert len(said) == 2  # the incident is known
    hook.status = 200
    assert send(lake_folder, sinks, None, NOW) == {"webhook": ""}
    assert said[2].startswith("sink.webhook: takes alerts again")
    assert not any(i.is_open for i in incidents(lake_folder))
    assert outbox.waiting(lake_folder) == []


def test_nobody_listens(lake_folder: Lake) -> None:
    with serving() as hook:
        pass
    sinks = sinks_of(Targets(webhook=hook.url), lambda _: None)
    errors = send(lake_folder, sinks, outbox.post(lake_folder, sinks, [ALERT], NOW), NOW)
    assert "refused" in errors["webhook"]


def test_the_resource_takes_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_ALERT_TOPIC", "arn:aws:sns:eu-west-1:1:a")
    monkeypatch.setenv("LAKE_EVENT_BUS", "bus")
    assert [s.name for s in Alerts().sinks(print)] == ["log", "sns", "eventbridge"]
    assert Alerts(bus="other", webhook="https://x/").targets() == Targets(
        "arn:aws:sns:eu-west-1:1:a", "other", "https://x/"
    )


def test_from_a_refused_file_to_people_and_programs(
    aws: Callable[[str], Any],
    queue: tuple[str, str],
    topic: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A real run in Dagster: SNS tells people that it was refused, EventBridge tells programs what became of it."""
    events_url = aws("sqs").create_queue(QueueName="events")["QueueUrl"]
    arn = aws("sqs").get_queue_attributes(QueueUrl=events_url, AttributeNames=["QueueArn"])
    aws("events").put_rule(Name="dq", EventPattern='{"source": ["lake_pipeline"], "detail-type": ["DQFailed", "IncidentOpened"]}')  # fmt: skip
    aws("events").put_targets(Rule="dq", Targets=[{"Id": "q", "Arn": arn["Attributes"]["QueueArn"]}])
    for name, value in {
        "LAKE_ROOT": str(tmp_path / "lake"),
        "LAKE_DEFS": str(tmp_path / "defs"),
        "DAGSTER_HOME": str(tmp_path / "dagster"),
        "LAKE_ALERT_TOPIC": topic,
        "LAKE_EVENT_BUS": "default",
    }.items():
        monkeypatch.setenv(name, value)
    sales = make_dataset(tmp_path / "defs", rules='IsUnique "id"')
    lake = Lake(Settings.from_env())
    put(lake, sales, "a.csv", csv("twice,1,2026-03-01", "twice,2,2026-03-01"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Dagster's, as in tests/e2e
        (ran,) = run_partitions(lake, sales, ["2026-03-01"])
    assert ran.action == "refused", ran.error
    (told,) = received(aws, queue[0])
    assert told["Subject"] == "sales for 2026-03-01 not available; nothing is published yet"
    assert "Sample: 'twice'" in told["Message"]
    assert "lake run sales --partition 2026-03-01" in told["Message"]
    got = {g["detail-type"]: g["detail"] for g in received(aws, events_url)}
    assert got.keys() == {"DQFailed", "IncidentOpened"}
    assert got["DQFailed"]["run_id"] == ran.run_id
    assert got["DQFailed"]["source"].endswith("/raw/sales/2026/03/01/")
    assert outbox.waiting(lake) == []
