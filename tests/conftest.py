"""What tests share: lakes in a folder and on a real S3 server, engines, and a way to have files judged."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import settings
from judging import Judged, judged
from order import (  # noqa: F401 - hooks
    pytest_collection_modifyitems,
    pytest_xdist_make_scheduler,
)
from servers import S3_KEYS, S3Server, wait_for, weed_command
from spark_session import spark_session as started
from under_test import ENGINES, UnderTest

from lake_pipeline.contracts import Column
from lake_pipeline.datasets.config import Format
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

# Tests run many small queries: what Java's second compiler makes of them is never run often enough to pay.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
# A shell starts what runs in the background with Ctrl+C ignored, and servers that tests end by it would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


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


@pytest.fixture(scope="session")
def spark_session() -> Any:
    """Spark on this machine's cores, once for all tests."""
    return started()


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
