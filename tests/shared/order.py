"""In which order tests run, and which of them in one process: what is long starts first, Spark's modules above all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# By the folder that a test is in. What is short is last, so that all processes end at about the same time.
FOLDERS = ("docs", "e2e", "integration", "conformance", "unit")
# Modules of which every test needs Spark.
ALONE = ("integration/test_spark_s3", "integration/test_spark_failures", "conformance/test_by_jobs")
# Modules whose tests look at what was worked out once in a process, for the first word of their parameters' names.
SHARED = ("conformance/test_poison",)


class Together(LoadScopeScheduling):  # type: ignore[misc] # of no types
    """Hands out tests one by one, but together those that need their process's Spark, or look at the same.

    By the test's name, since pytest-xdist 3.8 loses its own groups with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return shared_of(nodeid) or spark_of(nodeid) or nodeid


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


def shared_of(nodeid: str) -> str:
    """What a test looks at with others; "" for others."""
    module, _, parameters = nodeid.removeprefix("tests/").partition(".py::")
    return f"{module}[{parameters.partition('[')[2].partition('-')[0]}" if module in SHARED else ""


def spark_of(nodeid: str) -> str:
    """The module of a test that needs Spark, as one of several engines or by itself; "" for others.

    They are long, and a process that has started its Spark, and warmed it up, should go on with the next.
    """
    place, _, parameters = nodeid.partition("[")
    module = place.partition("::")[0]
    always = module.removeprefix("tests/").startswith(ALONE)
    return module if always or "spark" in parameters.removesuffix("]").split("-") else ""
