"""What a job on Glue installs follows from Glue's Python and machine, and not from those of who builds the bundle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from glue_scripts import bundle
from lake_pipeline.resources.glue.bundle import STEPS

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Distribution:
    """An installed distribution, as far as it matters."""

    requires: list[str]


REQUIRES = {
    "top": ['old; python_version < "3.12"', 'new; python_version >= "3.12"', "both[more]", 'mac; sys_platform == "darwin"'],
    "both": ['extra; extra == "more"', "base", 'arm; platform_machine == "arm64"'],
}  # fmt: skip


def test_it_is_for_glue_wherever_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("top", "old", "new", "both", "mac", "extra", "base", "arm")
    (tmp_path / "constraints.txt").write_text("\n".join(f"{n}==1.0" for n in names), encoding="utf-8")
    project = '[project]\n[project.optional-dependencies]\nglue = ["both", "top"]\n'
    (tmp_path / "pyproject.toml").write_text(project, encoding="utf-8")
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    monkeypatch.setattr(bundle, "distribution", lambda name: Distribution(REQUIRES.get(name, [])))
    assert bundle.pinned() == ["base==1.0", "both==1.0", "extra==1.0", "old==1.0", "top==1.0"]


def test_what_has_no_pinned_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "constraints.txt").write_text("", encoding="utf-8")
    project = '[project]\n[project.optional-dependencies]\nglue = ["Some_Thing"]\n'
    (tmp_path / "pyproject.toml").write_text(project, encoding="utf-8")
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    with pytest.raises(SystemExit, match="no version of some-thing"):
        bundle.pinned()


def test_scripts_are_thin_and_one_for_each_job() -> None:
    """Arguments, flow, completion record: the rest is in the package."""
    scripts = {p.stem: p.read_text() for p in (ROOT / "glue_scripts").glob("*.py") if p.stem != "bundle"}
    assert set(scripts) == set(STEPS) == set(bundle.SCRIPTS)
    for name, text in scripts.items():
        lines = [line for line in text.splitlines() if line and not line.startswith('"""')]
        assert lines == ["from lake_pipeline.jobs import main", f'main("{name}")']
        assert re.match(rf'"""AWS Glue job `{name}`', text)
