"""`python -m benchmarks.dqdl_rules [--rows N]`: 50 DQDL rules on 20 columns against the same aggregates by hand.

Both read the same Parquet file with DuckDB, in this process, in turn; the quickest of several runs counts. The
query by hand asks for the same numbers in one statement: what the rules' verdicts cost above it is what is measured.
Beside it, pandera on Polars judges the same rules, in an environment of its own. Prints a table for
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import ibis

from benchmarks.environments import PEERS, python
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


def rules() -> list[tuple[str, str]]:
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


def by_pandera(file: Path, repeats: int = REPEATS) -> float:
    """The seconds that pandera takes for the same rules."""
    command = [str(python("pandera")), str(PEERS / "pandera_polars.py"), str(file), str(repeats)]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert said["rules"] == len(rules()), said
    return float(said["seconds"])


def table(rows: int, hand: float, ours: float, peer: float, parsed: float) -> str:
    """The results as Markdown.

    >>> print(table(1000, 1.0, 1.5, 3.0, 0.5))
    | 50 rules on 20 columns, 1,000 rows | seconds | of the query by hand |
    | --- | ---: | ---: |
    | the same aggregates by hand, one DuckDB query | 1.00 | 1.0 |
    | lake_pipeline.dqdl on DuckDB | 1.50 | 1.5 |
    | pandera on Polars | 3.00 | 3.0 |
    <BLANKLINE>
    | promised | measured | limit | |
    | --- | ---: | ---: | --- |
    | at most twice the query by hand (s) | 1.50 | 2.00 | holds |
    | 10,000 rules are parsed in a second (s) | 0.50 | 1.00 | holds |
    """
    measured = [
        ("the same aggregates by hand, one DuckDB query", hand),
        ("lake_pipeline.dqdl on DuckDB", ours),
        ("pandera on Polars", peer),
    ]
    promised = [
        ("at most twice the query by hand (s)", ours, LIMIT * hand),
        (f"{PARSED:,} rules are parsed in a second (s)", parsed, 1.0),
    ]
    lines = [
        f"| {len(rules())} rules on 20 columns, {rows:,} rows | seconds | of the query by hand |",
        "| --- | ---: | ---: |",
        *(f"| {what} | {seconds:.2f} | {seconds / hand:.1f} |" for what, seconds in measured),
        "",
        "| promised | measured | limit | |",
        "| --- | ---: | ---: | --- |",
    ]
    lines += [
        f"| {what} | {found:.2f} | {limit:.2f} | {'holds' if found <= limit else '**missed**'} |"
        for what, found, limit in promised
    ]
    return "\n".join(lines)


def main() -> int:
    """Exit code 0 when the rules cost at most twice the query by hand, and 10,000 rules parse in a second."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dqdl_rules", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    asked = parser.parse_args()
    listed = rules()
    with tempfile.TemporaryDirectory(prefix="dqdl-") as folder:
        file = data(Path(folder), asked.rows)
        hand, ours = best(by_hand(file, listed)), best(by_rules(file, listed))
        peer = by_pandera(file)
    text = "Rules = [ " + ", ".join(rule for rule, _ in listed * (PARSED // len(listed))) + " ]"
    parsed = best(lambda: dqdl.parse(text), 3)
    print(table(asked.rows, hand, ours, peer, parsed))
    return 0 if ours <= LIMIT * hand and parsed < 1 else 1


if __name__ == "__main__":
    raise SystemExit(main())
