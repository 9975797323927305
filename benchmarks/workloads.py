"""The orders to measure with: as one CSV file, and cut into many small ones."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

from benchmarks.environments import ROOT, WORK

DAY = "2026-02-25"
BAD_EVERY = 1000
BAD_AT = 7


def orders(rows: int) -> Path:
    """A CSV of `rows` synthetic orders of one day, every 1,000th with the amount `N/A`; made once.

    Made by another process: the kernel counts what this one holds as memory of the processes it starts.
    """
    path = WORK / f"orders-{rows}.csv"
    if not path.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        subprocess.run(
            [sys.executable, "-m", "benchmarks.workloads", str(rows), str(part)], check=True, cwd=ROOT
        )
        part.rename(path)
    return path


def write_orders(rows: int, path: str) -> None:
    """Write the orders with DuckDB."""
    import ibis

    ibis.duckdb.connect().raw_sql(f"""
        COPY (
          SELECT 'o' || i AS order_id,
                 'c' || (hash(i) % 100000) AS customer_id,
                 CASE WHEN i % {BAD_EVERY} = {BAD_AT} THEN 'N/A'
                      ELSE printf('%.2f', (hash(i * 3) % 100000) / 100.0) END AS amount,
                 (['aud', 'usd', 'eur', 'USD'])[1 + (hash(i * 7) % 4)::INT] AS currency,
                 strftime(TIMESTAMP '{DAY}' + INTERVAL (i % 86400) SECOND, '%Y-%m-%dT%H:%M:%SZ') AS event_ts,
                 'note with, comma ' || (i % 97) AS note
          FROM range({rows}) t(i)
        ) TO '{path}' (HEADER, DELIMITER ',')""")


def small_orders(files: int, rows_each: int) -> Path:
    """A folder with the orders cut into `files` CSV files of `rows_each` rows; made once."""
    folder = WORK / f"orders-{files}x{rows_each}"
    if not folder.exists():
        part = folder.with_suffix(".part")
        part.mkdir(parents=True, exist_ok=True)
        with orders(files * rows_each).open(encoding="utf-8") as lines:
            header = next(lines)
            for number in range(files):
                rows = itertools.islice(lines, rows_each)
                (part / f"orders-{number:05}.csv").write_text(header + "".join(rows), encoding="utf-8")
        part.rename(folder)
    return folder


if __name__ == "__main__":
    write_orders(int(sys.argv[1]), sys.argv[2])
