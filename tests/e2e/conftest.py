"""The command `lake` in this process, on a lake of its own with a dataset of its own."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lakes import COLUMNS, make_dataset

from lake_pipeline.cli import main
from lake_pipeline.datasets import Dataset


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on the standard output."""
        return json.loads(self.out)


Cli = Callable[..., Said]


@pytest.fixture
def sales(tmp_path: Path) -> Dataset:
    """A daily dataset whose ids must be unique, with a rule that only warns."""
    return make_dataset(
        tmp_path / "defs",
        columns=COLUMNS,
        rules='IsUnique "id"',
        warnings='Completeness "amount" > 0.9',
        retries={"attempts": 2, "first_seconds": 0.01},
    )


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, sales: Dataset, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A lake and a Dagster home of the test's own."""
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("LAKE_DEFS", str(sales.folder.parent))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    for name in ("LAKE_HOME", "LAKE_CATALOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """``lake("run", "sales", …)``: run the command."""

    def command(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["lake", *map(str, arguments)])
        code = 0
        capsys.readouterr()
        try:
            main()
        except SystemExit as e:
            code = int(e.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Said(code, out, err)

    return command
