"""In which order tests run, and which of them in one process: what is long starts first, and Spark starts twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# By the folder that a test is in. What is short is last, so that all processes end at about the same time.
FOLDERS = ("docs", "e2e", "integration", "conformance", "unit")


class Together(LoadScopeScheduling):  # type: ignore[misc] # of no types
    """Hands out tests one by one, and first those that need their process's Spark, which are all of one process.

    By the test's name, since pytest-xdist 3.8 loses its own groups with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return spark_of(nodeid) or nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """Distribute tests in our order."""
    return Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by their folder."""
    items.sort(key=rank)


def rank(item: pytest.Item) -> int:
    """The place of the test's folder; doctests are last."""
    tests = Path(__file__).parents[1]
    folder = item.path.relative_to(tests).parts[0] if item.path.is_relative_to(tests) else ""
    return FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS)


def spark_of(nodeid: str) -> str:
    """Which of two Sparks a test needs, as one of several engines or by its module; "" for none.

    Starting one, and warming it up, takes longer than most of these tests; one alone would be the last to end.
    """
    place, _, parameters = nodeid.partition("[")
    by_module = place.startswith(("tests/integration/test_spark_s3", "tests/integration/test_spark_failures"))
    if not by_module and "spark" not in parameters.removesuffix("]").split("-"):
        return ""
    return "Spark of conformance" if place.startswith("tests/conformance") else "Spark of others"
