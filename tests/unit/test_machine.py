"""What a process may use is what its container leaves it, and what the environment says goes before that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lake_pipeline.engines.duckdb import DuckDB, EngineOutOfMemory
from lake_pipeline.errors import UsageError
from lake_pipeline.machine import default_memory, default_threads
from lake_pipeline.settings import Settings

MB = 1_000_000


@pytest.mark.parametrize(
    ("limit", "memory"),
    [
        ("max", 1000 * MB),
        (str(64 * 1000 * MB), 1000 * MB),
        (str(1000 * MB), 500 * MB),
        (str(100 * MB), 300 * MB),
    ],
)
@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_memory_is_a_share_of_the_containers(
    tmp_path: Path, name: str, limit: str, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 10**8, "SC_PAGE_SIZE": 4096}.__getitem__)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(limit + "\n")
    assert default_memory(tmp_path) == memory


def test_without_a_container_the_machine_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 100_000, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert default_memory(tmp_path) == 300 * MB


@pytest.mark.parametrize(
    ("files", "threads"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "20000 100000"}, 1),
        ({"cpu.max": "9900000 100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
    ],
)
def test_threads_are_the_processors_that_may_be_used(
    tmp_path: Path, files: dict[str, str], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert default_threads(tmp_path) == threads


@pytest.mark.parametrize(
    ("text", "memory"),
    [("512MB", 512 * MB), ("2 GB", 2000 * MB), ("1.5gb", 1500 * MB), ("300000000", 300 * MB)],
)
def test_the_environment_says_the_memory(text: str, memory: int) -> None:
    assert Settings.from_env({"LAKE_MEMORY": text}).memory == memory


@pytest.mark.parametrize(
    "env",
    [{"LAKE_MEMORY": "much"}, {"LAKE_MEMORY": "10MB"}, {"LAKE_THREADS": "0"}, {"LAKE_THREADS": "two"}],
)
def test_nonsense_is_refused(env: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(env))):
        Settings.from_env(env)


def test_the_engine_has_what_the_settings_say(tmp_path: Path) -> None:
    found = Settings.from_env({"LAKE_MEMORY": "300MB", "LAKE_THREADS": "3"})
    engine = DuckDB.of(found, tmp_path)
    try:
        (row,) = engine.connection.execute(
            "SELECT current_setting('memory_limit'), current_setting('threads')"
        ).fetchall()
    finally:
        engine.close()
    assert row == ("286.1 MiB", 3)
    assert engine.workers == 3


def test_an_engine_out_of_memory_is_tried_once_more_and_says_what_helps(tmp_path: Path) -> None:
    engine = DuckDB(tmp_path, memory=20 * MB, threads=1)
    with pytest.raises(EngineOutOfMemory, match="LAKE_MEMORY") as found, engine.cursor() as cursor:
        cursor.execute("SET temp_directory = ''; SELECT list(range) FROM range(20000000)").fetchall()
    engine.close()
    assert found.value.repeats == 1
