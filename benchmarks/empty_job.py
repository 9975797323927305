"""Dagster's fixed start-up: import it, open a new SQLite instance in argv[1], run an asset that does nothing."""

from __future__ import annotations

import sys
import time
from pathlib import Path

start = time.perf_counter()
import dagster as dg  # noqa: E402


@dg.asset
def nothing() -> None:
    """Does nothing."""


def main(home: Path) -> None:
    """Make the instance and run it."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        dg.materialize([nothing], instance=instance)
    print(f"{time.perf_counter() - start:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
