"""What tests share: lakes in a folder and on a real S3 server, engines, and a way to have files judged."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from judging import Judged, judged
from spark_session import missing
from spark_session import spark_session as started

from lake_pipeline.contracts import Column
from lake_pipeline.datasets.config import Format
from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.flow.context import Engines
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

# Tests run many small queries: what Java's second compiler makes of them is never run often enough to pay.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
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
    """A TCP port that nobody listens on, and nobody on the one 10,000 above, where weed puts its gRPC."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            if port + 10000 > 65535:
                continue
            try:
                two.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
            return port


WEED_PORTS = ("s3.port", "s3.port.iceberg", "s3.port.lance", "master.port", "volume.port", "filer.port")


def weed_command(folder: Path) -> list[str]:
    """`weed mini` with every port of its own, so that several can run at once."""
    program = shutil.which("weed") or str(Path(sys.executable).parent / "weed")
    ports = {name: free_port() for name in WEED_PORTS}
    quiet = ["-webdav=false", "-admin.ui=false", "-s3.iam=false"]
    named = [f"-{name}={port}" for name, port in ports.items()]
    return [program, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *named, *quiet]


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server (SeaweedFS) on a free port of this machine, for the whole session."""
    folder = tmp_path_factory.mktemp("weed")
    command = weed_command(folder)
    port = next(int(a.partition("=")[2]) for a in command if a.startswith("-s3.port="))
    server = S3Server(f"http://127.0.0.1:{port}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **S3_KEYS}, cwd=folder)
    try:
        wait_for(server, process, folder / "log")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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


@pytest.fixture
def lake_folder(tmp_path: Path) -> Lake:
    """An empty lake in a folder."""
    return Lake(Settings.at(str(tmp_path / "lake")))


@pytest.fixture
def lake_s3(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """An empty lake in a bucket of its own, with a prefix; the environment is set for it."""
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    root = f"s3://{s3_server.bucket()}/some/lake"
    return Lake(Settings.at(root, home=str(tmp_path / "home")))


@pytest.fixture(params=["folder", "s3"])
def lake_root(request: pytest.FixtureRequest) -> Lake:
    """Both kinds of lake in their turn; what holds of one must hold of the other."""
    lake: Lake = request.getfixturevalue(f"lake_{request.param}")
    return lake


@dataclass(frozen=True)
class UnderTest:
    """An engine as tests use it. opened: by itself, with a folder; engines: as a dataset of it needs it."""

    opened: Callable[[pytest.FixtureRequest, Path], AbstractContextManager[Any]]
    engines: Callable[[pytest.FixtureRequest], Engines]


@contextmanager
def duckdb_engine(_: pytest.FixtureRequest, folder: Path) -> Iterator[DuckDB]:
    """The embedded engine."""
    engine = DuckDB(folder, threads=2)
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="session")
def spark_session() -> Any:
    """Spark on this machine's cores, once for all tests."""
    return started()


@contextmanager
def spark_engine(request: pytest.FixtureRequest, folder: Path) -> Iterator[Any]:
    """Spark on this machine's cores."""
    from lake_pipeline.engines.spark import Spark

    engine = Spark(folder, request.getfixturevalue("spark_session"))
    try:
        yield engine
    finally:
        engine.close()


def spark_engines(request: pytest.FixtureRequest) -> Engines:
    """What a dataset with `engine: spark` runs on."""
    from lake_pipeline.engines.spark import Spark

    session = request.getfixturevalue("spark_session")
    return Engines(spark=lambda lake, folder: Spark.of(lake, folder, session))


# An engine of `engine:` in defs.yaml without an entry here fails `test_every_engine_is_here`.
HAVE_SPARK = missing() is None
ENGINES: dict[str, UnderTest] = {
    "duckdb": UnderTest(duckdb_engine, lambda _: Engines()),
    **({"spark": UnderTest(spark_engine, spark_engines)} if HAVE_SPARK else {}),
}
# Of `engine:`, but none of their own: what runs is the code of another. auto chooses one; a job of Glue is Spark.
NO_ENGINES = {"auto", "glue"}


@pytest.fixture(scope="session")
def engines() -> dict[str, UnderTest]:
    """The engines that must agree, by name."""
    return ENGINES


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Every engine in its turn."""
    with ENGINES[request.param].opened(request, tmp_path_factory.mktemp(request.param)) as made:
        yield made


Judge = Callable[..., Judged]


@pytest.fixture(scope="session")
def judge(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """``judge(form, columns, content, …)``: have an engine validate one file; see `judged`."""
    folder, numbers = tmp_path_factory.mktemp("judged"), itertools.count()

    def make(
        form: Format, columns: tuple[Column, ...], content: bytes | str | pa.Table, **more: Any
    ) -> Judged:
        return judged(engine, folder / str(next(numbers)), form, columns, content, **more)

    return make
