"""A table with the values of each kind on which engines like to differ, every one beside several of the others."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


LONG, INT = 2**63, 2**31
TEXTS = [
    "",
    "a",
    "Abc",
    " abc ",
    "straße",
    "İstanbul",
    "e\u0301",
    "é",
    "😀x",
    "a\nb",
    "b\n",
    "a%b_c",
    "a.b*c",
]
TEXTS += [
    "  ",
    "ΑΣ",
    "a\\b",
    "1",
    "abc\tdef",
    "a,b,c",
    "ŉ",
    "ﬁx",
    "ǅ",
    "\u00a0x\u00a0",
    "x\u2028y",
    "K",
    "\u000bq",
]
NUMERALS = [
    "12",
    " 12 ",
    "1.5",
    "-3",
    "+4",
    "1e5",
    "1_000",
    "abc",
    "",
    "NaN",
    "Infinity",
    "0x1F",
    "1d",
    ".5",
    "5.",
    "-0",
]
NUMERALS += [
    "9223372036854775807",
    "9223372036854775808",
    "１２",
    "1 2",
    "true",
    " T ",
    "No",
    "0",
    "1e400",
    "12\n",
    "1,5",
]
DAYS = [
    "2026-02-25",
    "2026-2-5",
    "2026-02-30",
    "2026-02-25 10:11:12",
    "2026-02-25T10:11:12Z",
    "2026",
    "2026-02",
]
DAYS += [
    "2026-02-25T10:11:12.123456+02:00",
    "epoch",
    "now",
    "",
    "0001-01-01",
    "9999-12-31",
    "10000-01-01",
    " 2026-02-25 ",
]
DAYS += [
    "2026/02/25",
    "20260225",
    "2026-02-25 24:00:00",
    "2026-02-25 10:11",
    "2024-02-29",
    "-2026-02-25",
    "2026-02-25x",
]
DOUBLES = [
    0.0,
    -0.0,
    1.5,
    -1.5,
    2.5,
    -2.5,
    0.5,
    math.nan,
    math.inf,
    -math.inf,
    1e300,
    5e-324,
    0.1,
    1.005,
    2.675,
    1e15,
]
DOUBLES += [123456789.125, 1e-7, 9.3e18, 4503599627370495.5]

VALUES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "i": (pa.int64(), [0, 1, -1, 7, -7, LONG - 1, -LONG, INT - 1, -INT, 12, 1000]),
    "j": (pa.int64(), [3, -2, 0, 2, 5, -1, 100]),
    "n": (pa.int32(), [0, 1, -1, 7, -7, INT - 1, -INT, 3, 100]),
    "d": (pa.float64(), DOUBLES),
    "e": (pa.float64(), [2.0, -0.0, math.nan, 3.0, 0.0, -1.0, 0.5, 1e300, 10.0]),
    "m": (
        pa.decimal128(12, 2),
        list(
            map(Decimal, ["0.00", "1.50", "-1.50", "2.01", "9999999999.99", "-0.01", "12.34", "2.50", "0.50"])
        ),
    ),
    "o": (
        pa.decimal128(10, 4),
        list(map(Decimal, ["0.0000", "1.5555", "-1.5555", "0.0050", "999999.9999", "-2.5000"])),
    ),
    "w": (
        pa.decimal128(38, 10),
        list(map(Decimal, (f"0E-10 1.5 -1.5 {'9' * 28}.{'9' * 10} 1E-10 123.4567890123").split())),
    ),
    "s": (pa.string(), TEXTS),
    "t": (pa.string(), ["a", "", "b", "abc", "%", ".", "ß", "x", ",", "A"]),
    "u": (pa.string(), NUMERALS),
    "v": (pa.string(), DAYS),
    "b": (pa.bool_(), [True, False]),
    "c": (pa.bool_(), [True, None, False]),
    "x": (
        pa.date32(),
        [date(1, 1, 1), date(1582, 10, 10), date(9999, 12, 31), date(2024, 2, 29), date(1970, 1, 1)],
    ),
    "y": (
        pa.date32(),
        [date(2026, 1, 31), date(2020, 2, 29), date(1969, 12, 31), date(2026, 3, 29), date(2021, 1, 3)],
    ),
    "p": (
        pa.timestamp("us", "UTC"),
        [at(1970, 1, 1), at(1582, 10, 10, 12), at(9999, 12, 31, 23, 59, 59, 999999)],
    ),
    "q": (
        pa.timestamp("us", "UTC"),
        [at(2026, 3, 29, 1, 30, 0, 123456), at(1969, 12, 31, 23, 59, 59, 500000)],
    ),
    "a": (pa.list_(pa.int64()), [[], [1, 2, 3], [3, None, 1], [2, 2]]),
    "g": (pa.list_(pa.string()), [[], ["b", "a"], ["a", None], ["x"]]),
    "r": (pa.struct([("f", pa.int64()), ("h", pa.string())]), [{"f": 1, "h": "x"}, {"f": None, "h": None}]),
}
VALUES["x"][1].extend([date(2026, 12, 31), date(1900, 1, 31), date(1582, 10, 4), date(2026, 3, 1)])
VALUES["p"][1].extend([at(1, 1, 1), at(2024, 2, 29, 10), at(2026, 10, 25, 1, 30)])
VALUES["q"][1].extend([at(2026, 3, 1), at(1960, 2, 29, 1, 2, 3, 4)])
ROWS = 120


def table() -> pa.Table:
    """The table: each column's values and NULL, over and over, at a pace of its own; `id` tells the rows apart."""
    columns: dict[str, pa.Array] = {"id": pa.array(range(ROWS))}
    for place, (name, (type_, values)) in enumerate(VALUES.items()):
        cycle = [None, *values]
        step = 1 + place % 2 * (len(cycle) // 2)
        while math.gcd(step, len(cycle)) > 1:
            step += 1
        columns[name] = pa.array([cycle[row * step % len(cycle)] for row in range(ROWS)], type_)
    return pa.table(columns)
