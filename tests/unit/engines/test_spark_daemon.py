"""What Spark's Python workers start with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from spark_session import missing, spark_session

from lake_pipeline.engines import spark_daemon

SPARK = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@SPARK
def test_workers_search_no_archives_and_have_the_libraries_loaded() -> None:
    """Spark's jar on the path, read before each task, cost a tenth of a run."""

    def seen(_: object) -> list[tuple[list[str], bool]]:
        import sys as worker

        known = [*worker.path, *worker.path_importer_cache]
        return [([p for p in known if p.endswith((".jar", ".zip"))], "ibis" in worker.modules)]

    context = spark_session().sparkContext
    [(archives, loaded)] = context.parallelize([0], 1).mapPartitions(seen).collect()
    assert [a for a in archives if "spark" in a or "py4j" in a] == []
    assert loaded


@pytest.mark.parametrize("installed", [True, False])
def test_pyspark_of_an_archive_stays_where_another_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """That of a cluster's Spark may be of another version than what pip has installed."""
    site = tmp_path / "site-packages"
    for name in ("pyspark", "py4j"):
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").touch()
    home = site / "pyspark" if installed else tmp_path / "opt" / "spark"
    archives = [str(home / "python/lib/pyspark.zip"), str(home / "python/lib/py4j-src.zip")]
    jar = str(home / "jars/spark-core.jar")
    monkeypatch.setattr(sys, "path", [*archives, jar, str(site)])
    spark_daemon.without_spare_archives()
    assert sys.path == ([] if installed else archives) + [str(site)]
