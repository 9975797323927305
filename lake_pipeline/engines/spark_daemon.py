"""The process that Spark's Python workers are forked from, with what all of them need loaded once.

Spark starts it by ``spark.python.daemon.module``. Each worker would load it by itself otherwise, for seconds.
"""

from __future__ import annotations

import gc
import sys
from importlib.machinery import PathFinder
from typing import Any


def main() -> None:
    """Serve, as PySpark's own daemon does."""
    without_spare_archives()
    load()
    gc.collect()
    gc.freeze()  # a worker collects garbage after each task, and need not look through all that is loaded
    from pyspark import daemon

    serving: Any = daemon
    serving.manager()


def without_spare_archives() -> None:
    """Take off the path what Spark puts before all else: its Java, and its Python where that is installed as well.

    A worker invalidates what Python knows of its path before each task, and would read each archive's directory
    anew; that of Spark's Java has thousands of files, none of them Python.
    """
    archives = [p for p in sys.path if p.endswith((".zip", ".jar")) and ("spark" in p or "py4j" in p)]
    others = [p for p in sys.path if p not in archives]
    pyspark, py4j = (PathFinder.find_spec(name, others) for name in ("pyspark", "py4j"))
    home = str(pyspark.origin).removesuffix("__init__.py") if pyspark and py4j else None
    if not home or not all(
        p.startswith(home) for p in archives
    ):  # what is installed may be of another version
        archives = [p for p in archives if p.endswith(".jar")]
    for path in archives:
        sys.path.remove(path)
        sys.path_importer_cache.pop(path, None)


def load() -> None:
    """Import what tasks need, lest each worker does."""
    import pandas  # noqa: F401 - PySpark loads it in each worker that gets Arrow
    from pyspark.sql.pandas.utils import require_minimum_pyarrow_version

    import lake_pipeline.engines.spark
    import lake_pipeline.engines.spark_scans  # noqa: F401

    require_minimum_pyarrow_version()  # loads setuptools


if __name__ == "__main__":
    main()
