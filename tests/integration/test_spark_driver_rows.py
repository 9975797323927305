"""Spark never collects rows to the driver: what reaches it is the same for a hundred times as many rows."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lakes import DAY, actions, check_law, csv, make_dataset, put, run
from under_test import ENGINES

from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

pytestmark = pytest.mark.skipif("spark" not in ENGINES, reason="needs PySpark and Java 17")
ON_FAIL = [{"property": "on_fail", "value": "quarantine_rows"}]
QUALITY: list[dict[str, Any]] = [
    {"implementation": 'Rules = [ ColumnValues "amount" != 500 ]', "customProperties": ON_FAIL},
    {"implementation": 'Rules = [ RowCount > 1, Uniqueness "id" > 0, IsComplete "id" ]'},
]  # fmt: skip


def spied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of each answer that a driver gets, by any of the ways that there are."""
    from pyspark import RDD
    from pyspark.sql import DataFrame

    seen: list[int] = []

    def watched(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            answer = method(*arguments, **more)
            if method.__name__ == "toLocalIterator":
                answer = iter(found := [*answer])
                seen.append(len(pickle.dumps(found)))
                return answer
            seen.append(len(pickle.dumps(answer)))
            return answer

        return call

    for owner, names in (
        (DataFrame, ("collect", "toPandas", "_collect_as_arrow", "take", "head", "tail", "toLocalIterator")),
        (RDD, ("collect", "take", "first", "toLocalIterator")),
    ):
        for name in names:
            monkeypatch.setattr(owner, name, watched(getattr(owner, name)))
    return seen


@pytest.mark.parametrize(
    ("rule", "action"),
    [("RowCount > 1", "published"), ("RowCount < 5", "refused")],
    ids=["passes", "refused"],
)
def test_what_reaches_the_driver_does_not_grow_with_the_rows(
    rule: str, action: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Good rows, rejected ones of every stage, losers of their key, and rows of a refused partition."""
    sizes: dict[int, list[int]] = {}
    for rows in (300, 30_000):
        root = tmp_path / str(rows)
        lake = Lake(Settings.at(str(root / "lake")))
        keys = {"key": ["id"], "order_by": ["amount"], "losers": "quarantine"}
        dataset = make_dataset(root, engine="spark", deduplicate=keys, quality=QUALITY, rules=rule)
        lines = (f"{n - n % 10 // 9},{'x' if n % 7 == 0 else n % 501},2026-03-01" for n in range(rows))
        put(lake, dataset, "a.csv", csv(*lines))
        engines = ENGINES["spark"].engines(request)
        with pytest.MonkeyPatch.context() as patched:
            sizes[rows] = spied(patched)
            assert actions(run(lake, dataset, engines=engines)) == {DAY: action}
        check_law(lake, dataset)
    assert len(sizes[300]) > 3
    assert sum(sizes[30_000]) < 2 * sum(sizes[300]) + 20_000
    assert max(sizes[30_000]) < 100_000
