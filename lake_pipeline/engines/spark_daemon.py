"""The process that Spark's Python workers are forked from, with what all of them need loaded once.

Spark starts it by ``spark.python.daemon.module``. Each worker would load it by itself otherwise, for seconds.
"""

from __future__ import annotations

from typing import Any

import pandas  # noqa: F401 - PySpark loads it in each worker that gets Arrow

import lake_pipeline.engines.spark_scans  # noqa: F401


def main() -> None:
    """Serve, as PySpark's own daemon does."""
    from pyspark import daemon

    serving: Any = daemon
    serving.manager()


if __name__ == "__main__":
    main()
