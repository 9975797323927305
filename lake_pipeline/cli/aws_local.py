"""AWS on this machine, for `lake dev --aws-local` and the tests: moto's server with all that arrivals need.

What it sets up is what `docs/guides/arrivals.md` asks for on AWS: buckets, the raw one telling EventBridge, a rule
that puts its events into a queue, and a queue for dead letters. It is all in memory, and gone with the server.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lake_pipeline.errors import Terminal, UsageError
from lake_pipeline.settings import ZONES

PATIENCE_SECONDS = 30.0
ROOT = "s3://lake-{zone}"
RULE = "lake-arrivals"
PATTERN = {
    "source": ["aws.s3"],
    "detail-type": ["Object Created", "Object Deleted"],
    "detail": {"bucket": {"name": ["lake-raw"]}},
}


class ServerFailed(Terminal):
    """The local server did not start."""


@contextmanager
def aws_local(port: int, home: Path) -> Iterator[dict[str, str]]:
    """Start the server on a port of the loopback; the environment in which a lake, and boto3, use it."""
    if find_spec("moto") is None or find_spec("flask") is None:
        raise UsageError("--aws-local needs moto's server; install it with: pip install 'moto[server]'")
    env = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "lake",
        "AWS_SECRET_ACCESS_KEY": "lake-secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "LAKE_ROOT": ROOT,
        "LAKE_HOME": str(home),
    }
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (home / "aws.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **env})
    try:
        wait_for(server, port, home / "aws.log")
        yield {**env, **set_up(env)}
    finally:
        server.terminate()
        server.wait()


def wait_for(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until the server listens; raises `ServerFailed` with the end of its log."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise ServerFailed(
        f"moto's server did not start on port {port}: {log.read_text(errors='replace')[-2000:]}"
    )


def set_up(env: Mapping[str, str]) -> dict[str, str]:
    """Make the buckets, queues and the rule between them; the variables that name the queues."""
    s3, sqs, events = (client(name, env) for name in ("s3", "sqs", "events"))
    for zone in ZONES:
        s3.create_bucket(Bucket=f"lake-{zone}")
    queue, dead = (sqs.create_queue(QueueName=n)["QueueUrl"] for n in ("lake-arrivals", "lake-dead-letters"))
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=RULE, EventPattern=json.dumps(PATTERN))
    events.put_targets(Rule=RULE, Targets=[{"Id": "queue", "Arn": arn}])
    s3.put_bucket_notification_configuration(
        Bucket="lake-raw", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    return {"LAKE_QUEUE_URL": queue, "LAKE_DLQ_URL": dead}


def client(service: str, env: Mapping[str, str]) -> Any:
    """A client of the local server."""
    import boto3

    return boto3.client(
        service,
        endpoint_url=env["AWS_ENDPOINT_URL"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        region_name=env["AWS_REGION"],
    )
