"""What the environment names and cannot be used is explained, and is nobody's stack trace."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lake_pipeline.cli.demo import called
from lake_pipeline.cli.dev import dagster
from lake_pipeline.datasets import Dataset

Cli = Callable[..., Any]  # the fixture `lake`


def test_a_root_that_is_no_folder(lake: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "file"))
    said = lake("status")
    assert (said.code, said.out) == (1, "")
    assert "cannot be used" in said.err
    assert "LAKE_ROOT must name a folder" in said.err


@pytest.mark.parametrize(
    ("catalog", "hint"),
    [
        ("nonsense", "Could not parse"),
        ("sqlite:////no/such/folder/c.db", "unable to open database file"),
        ("postgresql+nodriver://lake:secret@127.0.0.1:1/x", "installed"),
    ],
)
def test_a_catalog_that_cannot_be_opened(
    lake: Cli, sales: Dataset, monkeypatch: pytest.MonkeyPatch, catalog: str, hint: str
) -> None:
    monkeypatch.setenv("LAKE_CATALOG", catalog)
    said = lake("status", "sales")
    assert (said.code, said.out) == (1, "")
    assert hint in said.err
    assert 'LAKE_CATALOG is "glue" or the URI of a database' in said.err.replace("\n", " ")
    assert "secret" not in said.err


def test_storage_that_does_not_answer(lake: Cli, sales: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Port 9 discards; nobody listens there."""
    monkeypatch.setenv("LAKE_ROOT", "s3://nowhere/x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    said = lake("land", "sales", sales.folder / "defs.yaml", "--partition", "2026-03-01")
    assert (said.code, said.out) == (1, "")
    assert "Look at LAKE_ROOT, the credentials" in said.err


@pytest.mark.parametrize(
    "body", [b"# \xe4\ntype: lake_pipeline.LakeDataset\n", b"type: lake_pipeline.LakeDataset\n["]
)
def test_a_defs_yaml_that_is_no_yaml(lake: Cli, sales: Dataset, body: bytes) -> None:
    (sales.folder / "defs.yaml").write_bytes(body)
    said = lake("status", "sales")
    assert (said.code, said.out) == (1, "")
    assert "defs.yaml is no" in said.err.replace("\n", " ") or "not UTF-8" in said.err


def test_a_port_that_is_none(lake: Cli) -> None:
    assert lake("dev", "--port", "99999").code == 2


def test_dagster_starts_without_warnings_of_its_own(tmp_path: Path) -> None:
    """It says that another command is to be used; that is not the user's business."""
    command = dagster(3000)
    at = command.index("dagster")
    asked = [*command[: at + 2], "--help"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "superseded" not in done.stderr
    options = command[1 : command.index("-m")]
    code = "import warnings; warnings.warn('Function `dev_command` is superseded'); warnings.warn('other')"
    done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=True)
    assert "superseded" not in done.stderr
    assert "other" in done.stderr


def test_a_bug_is_a_trace_and_nothing_else(tmp_path: Path) -> None:
    """Libraries in C++ tell at Python's end what they still hold; nobody can use that."""
    code = (
        "import sys, duckdb, lake_pipeline.cli.app as app, lake_pipeline.cli as cli\n"
        "def main(): raise RuntimeError('a bug')\n"
        "app.main = main\n"
        "cli.start()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("RuntimeError: a bug")


def test_help_fits_a_narrow_terminal(tmp_path: Path) -> None:
    """A line that ends in three dots helps nobody."""
    for words in ([], ["dq"], ["contract"]):
        command = [sys.executable, "-c", "from lake_pipeline.cli import main; main()", *words, "--help"]
        env = {"COLUMNS": "80", "PATH": ""}
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=env)
        assert not [
            line for line in done.stdout.splitlines() if line.endswith("...") and line.startswith("  ")
        ]
        assert "Commands:" in done.stdout


def test_the_demo_says_commands_that_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `make demo`, `lake` is in .venv/bin and nowhere else."""
    program = tmp_path / ".venv" / "bin" / "lake"
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    monkeypatch.setenv("PATH", "")
    assert called() == ".venv/bin/lake"
    monkeypatch.setenv("PATH", str(program.parent))
    assert called() == "lake"
