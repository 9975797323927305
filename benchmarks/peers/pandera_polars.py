"""The rules of benchmarks/dqdl_rules.py as a pandera schema on Polars: its own checks where it has them.

Arguments: the Parquet file, and how often to run. Prints the seconds of the quickest run, reading included.
"""

import json
import sys
import time
from datetime import date

import pandera.polars as pa
import polars as pl

NUMBERS = [f"n{i}" for i in range(8)]
TEXTS = [f"t{i}" for i in range(6)]
DATES = ["d0", "d1"]
KEYS = ["k0", "k1", "k2", "k3"]


def measured(expression):
    """A check of one number of a column."""
    return pa.Check(lambda data: data.lazyframe.select(expression(pl.col(data.key))))


def checks(name):
    """The checks of a column, one for each rule but uniqueness, which is the column's own."""
    yield measured(lambda c: c.count() / c.len() > 0.5)
    if name in NUMBERS:
        yield measured(lambda c: c.mean() > 0)
    if name in NUMBERS[:3]:
        yield measured(lambda c: c.std(ddof=0) > 0)
    if name in NUMBERS[:4]:
        yield pa.Check.ge(0)
    if name in TEXTS[:2]:
        yield pa.Check.str_matches(r"^v[0-9]+$")
    if name in TEXTS[:4]:
        yield pa.Check.str_length(max_value=4)
    if name in TEXTS[:3]:
        yield measured(lambda c: c.n_unique() < 100)
    if name in DATES:
        yield pa.Check.ge(date(2026, 1, 1))


COLUMNS = {
    name: pa.Column(nullable=True, unique=name in KEYS[:3], checks=[*checks(name)])
    for name in [*KEYS, *NUMBERS, *TEXTS, *DATES]
}
SCHEMA = pa.DataFrameSchema(COLUMNS, checks=[pa.Check(lambda data: data.lazyframe.select(pl.len() > 0))])

rules = 1 + sum(len(column.checks) + column.unique for column in COLUMNS.values())
taken = []
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    SCHEMA.validate(pl.read_parquet(sys.argv[1]), lazy=True)
    taken.append(time.perf_counter() - start)
print(json.dumps({"seconds": min(taken), "rules": rules}))
