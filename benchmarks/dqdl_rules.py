"""`python -m benchmarks.dqdl_rules [--rows N]`: 50 DQDL rules on 20 columns against the same aggregates by hand.

Both read the same Parquet file with DuckDB, in this process, in turn; the quickest of several runs counts. The
query by hand asks for the same numbers in one statement: what the rules' verdicts cost above it is what is measured.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import ibis

from lake_pipeline import dqdl

ROWS = 5_000_000
REPEATS = 5
PARSED = 10_000
LIMIT = 2.0
NUMBERS = [f"n{i}" for i in range(8)]
TEXTS = [f"t{i}" for i in range(6)]
DATES = ["d0", "d1"]
KEYS = ["k0", "k1", "k2", "k3"]


def data(folder: Path, rows: int) -> Path:
    """A Parquet file of 20 columns: keys, numbers, texts of few values, dates; two columns have NULLs."""
    numbers = [
        f"CASE WHEN hash(i, {n}) % 100 < {n} THEN NULL ELSE (hash(i, {n}) % 100000) / 10.0 END AS n{n}"
        for n in range(8)
    ]
    texts = [f"'v' || (hash(i, {n + 20}) % {10 * (n + 1)}) AS t{n}" for n in range(6)]
    dates = [f"DATE '2026-01-01' + CAST(hash(i, {n + 30}) % 365 AS INTEGER) AS d{n}" for n in range(2)]
    keys = ["i AS k0", "i * 7 AS k1", "'key-' || i AS k2", "i % 1000 AS k3"]
    file = folder / "rows.parquet"
    columns = ", ".join([*keys, *numbers, *texts, *dates])
    duckdb.connect().execute(f"COPY (SELECT {columns} FROM range({rows}) AS r(i)) TO '{file}'")
    return file


def rules(rows: int) -> list[tuple[str, str]]:
    """The 50 rules, each with the aggregates of it as SQL; they pass, so that no examples are looked up."""
    everything = [*KEYS, *NUMBERS, *TEXTS, *DATES]
    found = [("RowCount > 0", "count(*)")]
    found += [(f'Completeness "{c}" > 0.5', f"count({c})") for c in everything]
    found += [(f'Mean "{c}" > 0', f"avg({c})") for c in NUMBERS]
    found += [(f'StandardDeviation "{c}" > 0', f"stddev_pop({c})") for c in NUMBERS[:3]]
    found += [
        (f'ColumnValues "{c}" >= 0 where "{c} is not null"', f"count(*) FILTER ({c} >= 0)")
        for c in NUMBERS[:4]
    ]
    found += [
        (
            f'ColumnValues "{c}" matches "v[0-9]+"',
            f"count(*) FILTER (regexp_extract({c}, '^v[0-9]+$', 0) <> '')",
        )
        for c in TEXTS[:2]
    ]
    found += [
        (
            f'ColumnLength "{c}" <= 4',
            f"count(*) FILTER (length({c}) <= 4), min(length({c})), max(length({c}))",
        )
        for c in TEXTS[:4]
    ]
    found += [
        (f'ColumnValues "{c}" >= "2026-01-01"', f"count(*) FILTER ({c} >= DATE '2026-01-01')") for c in DATES
    ]
    found += [(f'DistinctValuesCount "{c}" < 100', f"count(DISTINCT {c})") for c in TEXTS[:3]]
    once = "(SELECT count(*) FILTER (n = 1) FROM (SELECT count(*) AS n FROM rows GROUP BY {c}))"
    found += [(f'IsUnique "{c}"', once.format(c=c)) for c in KEYS[:3]]
    assert len(found) == 50, len(found)
    return found


def best(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """The seconds of the quickest run."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


def by_hand(file: Path, asked: list[tuple[str, str]]) -> Callable[[], object]:
    """The aggregates of all rules in one query."""
    connection = duckdb.connect()
    connection.execute(f"CREATE VIEW rows AS SELECT * FROM read_parquet('{file}')")
    query = (
        "SELECT " + ", ".join(f"({sql})" if sql.startswith("(") else sql for _, sql in asked) + " FROM rows"
    )
    return lambda: connection.execute(query).fetchall()


def by_rules(file: Path, asked: list[tuple[str, str]]) -> Callable[[], object]:
    """The ruleset, parsed and evaluated."""
    text = "Rules = [ " + ", ".join(rule for rule, _ in asked) + " ]"
    table = ibis.duckdb.connect().read_parquet(file)

    def run() -> object:
        found = dqdl.evaluate(text, table)
        failed = [o for o in found.outcomes if not o.passed]
        assert not failed, failed
        return found

    return run


def main() -> int:
    """Exit code 0 when the rules cost at most twice the query by hand, and 10,000 rules parse in a second."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dqdl_rules", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dqdl-") as folder:
        file = data(Path(folder), asked.rows)
        listed = rules(asked.rows)
        hand, ours = best(by_hand(file, listed)), best(by_rules(file, listed))
    text = "Rules = [ " + ", ".join(rule for rule, _ in listed * (PARSED // len(listed))) + " ]"
    parsed = best(lambda: dqdl.parse(text), 3)
    print(f"{len(listed)} rules, 20 columns, {asked.rows:,} rows")
    print(f"   by hand, one query: {hand:.2f} s")
    print(f"   rules:              {ours:.2f} s ({ours / hand:.2f} times; limit {LIMIT})")
    print(f"   parsing {PARSED:,} rules: {parsed:.2f} s (limit 1)")
    return 0 if ours <= LIMIT * hand and parsed < 1 else 1


if __name__ == "__main__":
    raise SystemExit(main())
