"""What passes by itself is Transient and what does not is Terminal, with real errors at the wire.

A server of this process stands where S3 and Glue would be, and throttles, fails, resets, or never answers.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy.exc import OperationalError

from lake_pipeline.errors import LakeError, Terminal, Transient
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake, objects, tables
from lake_pipeline.storage.failures import CatalogRefused, is_passing

SCHEMA = pa.schema([("id", pa.int64()), ("_partition", pa.string())])


@dataclass
class Storm:
    """A server that answers every request in one way: a status with AWS's code, a reset, or nothing at all."""

    status: int = 503
    code: str = "SlowDown"
    how: str = "answer"
    url: str = ""
    requests: int = 0

    def body(self, json_protocol: bool) -> bytes:
        """The answer's body, as S3 (XML) or Glue (JSON) write it."""
        if json_protocol:
            return json.dumps({"__type": self.code, "Message": "wait"}).encode()
        return f'<?xml version="1.0"?><Error><Code>{self.code}</Code><Message>wait</Message></Error>'.encode()


@pytest.fixture
def storm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storm]:
    found, over = Storm(), Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            found.requests += 1
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if found.how == "silence":
                over.wait(30)
            if found.how != "answer":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                return
            body = found.body("x-amz-target" in self.headers)
            self.send_response(found.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def finish(self) -> None:
            if not self.close_connection or found.how == "answer":
                super().finish()

        def log_message(self, *_: object) -> None:
            pass

    for verb in ("GET", "PUT", "HEAD", "POST", "DELETE"):
        setattr(Handler, f"do_{verb}", Handler.answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    env = {
        "AWS_ENDPOINT_URL": found.url, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr(objects, "RETRIES", {"max_retries": 0})
    monkeypatch.setattr(objects, "TIMEOUT", "500ms")
    monkeypatch.setattr(tables, "GLUE_RETRIES", 0)
    yield found
    over.set()
    server.shutdown()
    server.server_close()


WEATHER: list[Any] = [
    pytest.param(503, "SlowDown", "answer", Transient, id="throttled"),
    pytest.param(429, "TooManyRequests", "answer", Transient, id="too-many"),
    pytest.param(500, "InternalError", "answer", Transient, id="500"),
    pytest.param(400, "RequestTimeout", "answer", Transient, id="request-timeout"),
    pytest.param(0, "", "reset", Transient, id="reset"),
    pytest.param(0, "", "silence", Transient, id="silence"),
    pytest.param(403, "AccessDenied", "answer", Terminal, id="denied"),
    pytest.param(404, "NoSuchBucket", "answer", Terminal, id="no-bucket"),
    pytest.param(400, "InvalidBucketName", "answer", Terminal, id="bad-name"),
    pytest.param(301, "PermanentRedirect", "answer", Terminal, id="other-region"),
]
OPERATIONS: dict[str, Callable[[objects.ObjectStore], Any]] = {
    "list": lambda store: list(store.list("x")),
    "head": lambda store: store.head("k"),
    "read": lambda store: store.read("k"),
    "write": lambda store: store.write("k", b"x"),
    "create": lambda store: store.create("k", b"x"),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("status", "code", "how", "expected"), WEATHER)
def test_objects(
    storm: Storm, operation: str, status: int, code: str, how: str, expected: type[LakeError]
) -> None:
    if operation == "head" and code == "RequestTimeout":
        expected = Terminal  # the answer to HEAD has no body that could say so
    storm.status, storm.code, storm.how = status, code, how
    with pytest.raises(expected):
        OPERATIONS[operation](objects.ObjectStore("s3://bucket/lake"))
    assert storm.requests == 1


def test_the_client_repeats_a_request_a_few_times_only(storm: Storm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "RETRIES", {"max_retries": 3})
    with pytest.raises(Transient):
        objects.ObjectStore("s3://bucket/lake").read("k")
    assert storm.requests == 4


@pytest.mark.parametrize(
    ("status", "code", "how", "expected"), [WEATHER[0], WEATHER[2], WEATHER[4], WEATHER[6]]
)
def test_tables_whose_files_are_on_s3(
    storm: Storm, tmp_path: Path, status: int, code: str, how: str, expected: type[LakeError]
) -> None:
    storm.status, storm.code, storm.how = status, code, how
    lake = Lake(Settings.at("s3://bucket/lake", home=str(tmp_path)))
    with pytest.raises(expected):
        lake.tables.admit("curated.sales", SCHEMA, {})
    assert storm.requests


@pytest.mark.parametrize(
    ("status", "code", "how", "passes"),
    [
        (400, "ThrottlingException", "answer", True),
        (400, "OperationTimeoutException", "answer", True),
        (500, "InternalServiceException", "answer", True),
        (503, "", "answer", True),
        (0, "", "reset", True),
        (400, "AccessDeniedException", "answer", False),
        (400, "InvalidInputException", "answer", False),
    ],
)
def test_the_catalog_of_glue(
    storm: Storm, tmp_path: Path, status: int, code: str, how: str, passes: bool
) -> None:
    storm.status, storm.code, storm.how = status, code, how
    lake = Lake(Settings.at(str(tmp_path / "lake"), catalog="glue"))
    with pytest.raises(Exception, match=r".") as raised:
        lake.tables.table("curated.sales")
    assert isinstance(raised.value, Transient) is passes
    assert storm.requests


def test_a_catalog_that_is_locked(tmp_path: Path) -> None:
    lake = Lake(Settings.at(str(tmp_path / "lake"), catalog=f"sqlite:///{tmp_path / 'c.db'}?timeout=0.1"))
    assert lake.tables.table("curated.sales") is None
    with closing(sqlite3.connect(tmp_path / "c.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Transient, match="locked"):
            lake.tables.table("curated.sales")
        with pytest.raises(Transient, match="locked"):
            lake.tables.admit("curated.sales", SCHEMA, {})
        other.execute("ROLLBACK")
    assert lake.tables.table("curated.sales") is None


def test_a_catalog_that_cannot_be_is_no_passing_failure(tmp_path: Path) -> None:
    lake = Lake(Settings.at(str(tmp_path / "lake"), catalog="sqlite:////dev/null/no/c.db"))
    with pytest.raises(CatalogRefused, match="unable to open"):
        lake.tables.table("curated.sales")


class Refused(Exception):
    """What a database's driver says."""


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        ("connection to server at 10.0.0.1 failed: Connection refused", True),
        ("server closed the connection unexpectedly", True),
        ('FATAL: password authentication failed for user "lake"', False),
        ('FATAL: database "lake" does not exist', False),
    ],
)
def test_what_other_databases_say(said: str, passes: bool) -> None:
    assert is_passing(OperationalError("SELECT 1", {}, Refused(said))) is passes


def test_a_cause_counts_and_a_circle_ends() -> None:
    outer, inner = ValueError("x"), ConnectionResetError("reset")
    outer.__cause__ = inner
    assert is_passing(outer)
    one, two = ValueError(), ValueError()
    one.__cause__, two.__cause__ = two, one
    assert not is_passing(one)
