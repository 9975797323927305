"""Failures within Spark's tasks reach people as what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import pytest
from lakes import actions, csv, make_dataset, put, run
from under_test import ENGINES

from lake_pipeline.engines import spark
from lake_pipeline.engines.spark_errors import SparkLost
from lake_pipeline.engines.spark_writes import Writer
from lake_pipeline.flow import audit, schema
from lake_pipeline.storage import Lake
from lake_pipeline.storage.objects import StorageUnavailable

pytestmark = pytest.mark.skipif("spark" not in ENGINES, reason="needs PySpark and Java 17")


@pytest.fixture
def sales(lake_folder: Lake, tmp_path: Path) -> Any:
    made = make_dataset(tmp_path / "defs", engine="spark", rules="RowCount > 0")
    put(lake_folder, made, "a.csv", csv("a,1,2026-03-01"))
    return made


def test_an_error_of_ours_in_a_task_is_itself(
    lake_folder: Lake, sales: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    class Failing(Writer):
        def __call__(self, batches: Any) -> Any:
            list(batches)
            raise StorageUnavailable("The storage failed on a file.")

    with monkeypatch.context() as patched:
        patched.setattr(spark, "Writer", Failing)
        with pytest.raises(StorageUnavailable, match=r"\AThe storage failed on a file\.\Z"):
            run(lake_folder, sales, engines=ENGINES["spark"].engines(request))
    assert set(actions(run(lake_folder, sales, engines=ENGINES["spark"].engines(request))).values()) == {
        "published"
    }


@pytest.mark.parametrize("within", ["rule", "schema"])
def test_a_cluster_that_is_lost_in_the_audit_refuses_nothing(
    lake_folder: Lake,
    sales: Any,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    within: str,
) -> None:
    """Who checks data takes an error for a failed check; a cluster's is none."""
    backend: Any = ibis.pyspark

    def lost(*_: Any, **__: Any) -> Any:
        raise ConnectionRefusedError(111, "Connection refused")

    def dying(session: Any) -> Any:
        made = connect(session)
        whole = made.execute

        def execute(*arguments: Any, **more: Any) -> Any:
            return lost() if dead else whole(*arguments, **more)

        made.execute = execute
        return made

    connect, dead = backend.connect, []
    where, name = {"rule": (audit, "implied_rules"), "schema": (schema, "schema_faults")}[within]
    before = getattr(where, name)

    def dies(*arguments: Any) -> Any:
        dead.append(True)
        return before(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(backend, "connect", dying)
        patched.setattr(where, name, dies)
        with pytest.raises(SparkLost, match="Connection refused"):
            run(lake_folder, sales, engines=ENGINES["spark"].engines(request))
    assert set(actions(run(lake_folder, sales, engines=ENGINES["spark"].engines(request))).values()) == {
        "published"
    }
