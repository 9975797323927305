"""In which order tests run, and which of them in one process: what is long starts first, and Spark starts twice."""

from __future__ import annotations

from pathlib import Path

import pytest

# By the folder that a test is in. What is short is last, so that all processes end at about the same time.
FOLDERS = ("docs", "e2e", "integration", "conformance", "unit")
SPARK = {"spark", "spark_session"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests, and keep together those that need the process's Spark: it takes long to start and to warm up."""
    items.sort(key=rank)
    for item in items:
        if needs_spark(item):
            name = "conformance" if folder_of(item) == "conformance" else "others"
            item.add_marker(pytest.mark.xdist_group(f"spark-{name}"))


def rank(item: pytest.Item) -> int:
    """The place of the test's folder; doctests are last."""
    folder = folder_of(item)
    return FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS)


def folder_of(item: pytest.Item) -> str:
    """The folder below tests/ that a test is in; "" where it is elsewhere."""
    tests = Path(__file__).parents[1]
    return item.path.relative_to(tests).parts[0] if item.path.is_relative_to(tests) else ""


def needs_spark(item: pytest.Item) -> bool:
    """Whether the test takes the Spark of its process, by a fixture or as one of several engines."""
    if not isinstance(item, pytest.Function):
        return False
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return bool(SPARK & {*item.fixturenames}) or any(isinstance(v, str) and v == "spark" for v in parameters)
