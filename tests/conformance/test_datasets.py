"""Whole datasets on every engine: the same landed files leave the same tables, receipts, outcomes and reports.

DuckDB's answers are what the others are compared with; that they are right is for the integration tests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import CASES
from remains import differences
from sites import Site
from under_test import ENGINES

REFERENCE = "duckdb"
OTHERS = [name for name in ENGINES if name != REFERENCE]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Any]]:
    """By case: what the embedded engine makes of it, worked out once."""
    known: dict[str, list[Any]] = {}

    def of(name: str) -> list[Any]:
        if name not in known:
            site = Site(tmp_path_factory.mktemp(name), REFERENCE)
            CASES[name](site)
            known[name] = site.seen
        return known[name]

    return of


@pytest.mark.parametrize("engine_name", OTHERS)
@pytest.mark.parametrize("name", CASES)
def test_engines_agree(
    name: str, engine_name: str, reference: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    site = Site(tmp_path, engine_name, ENGINES[engine_name].engines(request))
    CASES[name](site)
    expected = reference(name)
    assert len(site.seen) == len(expected) > 0
    for number, (mine, theirs) in enumerate(zip(site.seen, expected, strict=True), 1):
        assert differences(mine, theirs) == [], f"after run {number}"
