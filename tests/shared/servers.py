"""The S3 server of the tests, and free ports."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

S3_KEYS = {"AWS_ACCESS_KEY_ID": "lake", "AWS_SECRET_ACCESS_KEY": "lake-secret", "AWS_REGION": "us-east-1"}


@dataclass(frozen=True)
class S3Server:
    """A running S3 server and the environment that makes clients use it."""

    endpoint: str

    @property
    def env(self) -> dict[str, str]:
        """What a process needs to use the server."""
        return {**S3_KEYS, "AWS_ENDPOINT_URL": self.endpoint}

    def bucket(self, name: str = "", versioned: bool = False) -> str:
        """A new bucket; returns its name."""
        import boto3

        name = name or f"lake-{uuid.uuid4().hex[:12]}"
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=S3_KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=S3_KEYS["AWS_SECRET_ACCESS_KEY"],
            region_name=S3_KEYS["AWS_REGION"],
        )
        client.create_bucket(Bucket=name)
        if versioned:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name


def free_port() -> int:
    """A TCP port that nobody listens on; nor on the next one, nor on the one 10,000 above, where weed puts its gRPC.

    All are below those that the system gives to outgoing connections, which would take them meanwhile.
    """
    while True:
        port = random.randrange(10_000, 22_000)
        with ExitStack() as stack, suppress(OSError):
            for each in (port, port + 1, port + 10_000):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", each))
            return port


WEED_PORTS = ("s3.port", "s3.port.iceberg", "s3.port.lance", "master.port", "volume.port", "filer.port")


def weed_command(folder: Path) -> list[str]:
    """`weed mini` with every port of its own, so that several can run at once."""
    program = shutil.which("weed") or str(Path(sys.executable).parent / "weed")
    ports = {name: free_port() for name in WEED_PORTS}
    quiet = ["-webdav=false", "-admin.ui=false", "-s3.iam=false"]
    small = "-master.volumeSizeLimitMB=32"  # a bucket takes a volume, and the disk has room for so many
    named = [f"-{name}={port}" for name, port in ports.items()]
    return [program, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", small, *named, *quiet]


def wait_for(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server takes a bucket; fails with the end of its log."""
    until = time.monotonic() + 30
    error: Exception | None = None
    while time.monotonic() < until and process.poll() is None:
        try:
            server.bucket()
            return
        except Exception as e:  # the client's own retries and errors are many; all mean "not yet"
            error = e
            time.sleep(0.1)
    pytest.fail(f"weed did not start ({error}): {log.read_text(errors='replace')[-2000:]}")
