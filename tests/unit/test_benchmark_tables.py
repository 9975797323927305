"""The page of the benchmarks: measuring one case again leaves the others as they were measured last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.table import write_table

WHERE = {"cpus": 2, "memory_gb": 8, "system": "Linux", "python": "3.11.7", "versions": {}}


def results(at: str, seconds: float, *cases: str) -> dict[str, Any]:
    """What a machine remembers of cases."""
    row = {"seconds": seconds, "own_seconds": None, "peak_mb": 900.0, "runs": 1}
    return {"machine": WHERE, "cases": {c: {"at": at, "numbers": {"lake run": row}} for c in cases}}


def test_an_older_number_does_not_replace_a_newer_one(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    write_table(results("2026-02-25T10", 10.0, "larger"), page)
    write_table(results("2026-02-24T10", 20.0, "larger"), page)
    text = page.read_text(encoding="utf-8")
    assert "| lake run | 10.0 |" in text
    assert "20.0" not in text
    write_table(results("2026-02-26T10", 30.0, "larger"), page)
    text = page.read_text(encoding="utf-8")
    assert "| lake run | 30.0 |" in text
    assert "10.0" not in text


def test_a_case_that_this_machine_has_not_measured_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    write_table(results("2026-02-25T10", 10.0, "larger"), page)
    write_table(results("2026-02-26T10", 30.0), page)
    assert page.read_text(encoding="utf-8").count("| lake run | 10.0 |") == 1
