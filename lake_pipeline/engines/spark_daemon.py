"""The process that Spark's Python workers are forked from, with what all of them need loaded once.

Spark starts it by ``spark.python.daemon.module``. Each worker would load it by itself otherwise, for seconds.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

import pandas  # noqa: F401 - PySpark loads it in each worker that gets Arrow

import lake_pipeline.engines.spark
import lake_pipeline.engines.spark_scans  # noqa: F401


def main() -> None:
    """Serve, as PySpark's own daemon does."""
    from pyspark import daemon
    from pyspark.sql.pandas.utils import require_minimum_pyarrow_version

    require_minimum_pyarrow_version()  # loads setuptools
    without_spare_archives()
    gc.collect()
    gc.freeze()  # a worker collects garbage after each task, and need not look through all that is loaded
    serving: Any = daemon
    serving.manager()


def without_spare_archives() -> None:
    """Take the archives that Spark adds off the path, where PySpark is installed as well.

    A worker invalidates what Python knows of its path before each task, and would read each archive's directory.
    """
    import pyspark

    if ".zip" in str(pyspark.__file__):
        return
    spare = [p for p in sys.path if p.endswith(".zip") and ("pyspark" in p or "py4j" in p)]
    for path in spare:
        sys.path.remove(path)
        sys.path_importer_cache.pop(path, None)


if __name__ == "__main__":
    main()
