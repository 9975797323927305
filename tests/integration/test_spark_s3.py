"""Spark on a lake in a bucket: the same results, also where tasks share no folder; nothing is left of the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lakes import DAY, NEXT, actions, check_law, csv, json_lines, make_dataset, put, run
from remains import differences, remains
from under_test import ENGINES

from lake_pipeline.errors import LakeError
from lake_pipeline.flow import schema
from lake_pipeline.flow.context import Engines
from lake_pipeline.settings import ZONES, Settings
from lake_pipeline.storage import Lake

pytestmark = pytest.mark.skipif("spark" not in ENGINES, reason="needs PySpark and Java 17")
RULE = {"key": ["id"], "order_by": ["amount"], "losers": "quarantine"}


def no_folder(session: Any) -> Engines:
    """Spark whose tasks share no folder: all that they make goes through the bucket."""
    from lake_pipeline.engines.spark import Spark

    return Engines(spark=lambda lake, folder: Spark.apart(lake, folder, session))


def left(lake: Lake) -> list[str]:
    """What is left of work that is over."""
    return [
        o.key for zone in ZONES for o in lake.zone(zone).list() if "_staging" in o.key or "scratch" in o.key
    ]


def landed(lake: Lake, root: Path, engine: str, **more: Any) -> Any:
    formats = [{"type": "csv"}, {"type": "jsonl"}]
    sales = make_dataset(root, engine=engine, formats=formats, deduplicate=RULE, **more)
    put(lake, sales, "a.csv", csv("a1,1,2026-03-01", "a2,x,2026-03-01", "a1,2,2026-03-01", '"q"x,1,'))
    put(lake, sales, "b.jsonl", json_lines({"id": "b1", "amount": 5}, {"id": None}, {"id": "b2", "x": [1]}))
    put(lake, sales, "c.txt", b"no")
    put(lake, sales, "a.csv", csv("n1,1,2026-03-02"), NEXT)
    return sales


@pytest.mark.parametrize("apart", [False, True], ids=["one folder", "no folder"])
def test_a_lake_in_a_bucket(
    lake_s3: Lake, tmp_path: Path, spark_session: Any, request: pytest.FixtureRequest, apart: bool
) -> None:
    seen = []
    for engine in ("duckdb", "spark"):
        lake = Lake(Settings.at(f"{lake_s3.settings.root}/{engine}", home=str(tmp_path / f"home-{engine}")))
        sales = landed(lake, tmp_path / engine, engine, rules='IsComplete "id"')
        engines = no_folder(spark_session) if apart else ENGINES[engine].engines(request)
        result = run(lake, sales, DAY, NEXT, engines=engines)
        assert actions(result) == {DAY: "published", NEXT: "published"}
        check_law(lake, sales)
        seen.append(remains(lake, sales, result))
        assert left(lake) == []
        assert not [*(tmp_path / f"home-{engine}" / "spool").glob("*")]
    assert differences(seen[1], seen[0]) == []


def test_nothing_is_left_of_a_failure(
    lake_s3: Lake, tmp_path: Path, spark_session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any, **__: Any) -> Any:
        raise LakeError("the machine is gone")

    sales = landed(lake_s3, tmp_path / "defs", "spark")
    with monkeypatch.context() as patched:
        patched.setattr(schema, "schema_faults", lost)
        with pytest.raises(LakeError, match="the machine is gone"):
            run(lake_s3, sales, engines=no_folder(spark_session))
    assert left(lake_s3) == []
    assert actions(run(lake_s3, sales, engines=no_folder(spark_session))) == {DAY: "published"}
    check_law(lake_s3, sales)
