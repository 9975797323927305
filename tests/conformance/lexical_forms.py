"""Which texts a type accepts: the conformance table, the same for every engine and every file format.

A row of the table is a type and three kinds of text: canonical ones with their value, coercible ones
with their value (their original text is kept in ``_rescued``), and those that fail with CAST_FAILED.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal as D
from typing import Any

from lake_pipeline.contracts import (
    Array,
    Boolean,
    Column,
    Date,
    Decimal,
    Integer,
    Number,
    Object,
    String,
    Timestamp,
    Type,
)


@dataclass(frozen=True)
class Forms:
    """The texts of one type. `nothing` is the text that means NULL in none of the formats."""

    name: str
    type: Type
    canonical: Mapping[str, Any]
    coercible: Mapping[str, Any] = field(default_factory=dict)
    failing: tuple[str, ...] = ()


def utc(*parts: int) -> datetime:
    """An instant."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


NOWHERE_A_NUMBER = (
    *("", " ", "1_000", "1,000", "0x1F", "0b1", "0o7", "NaN", "nan", "Infinity", "-Infinity", "inf"),
    *("abc", "--1", "+-1", "1 2", "- 1", "1-", "+", "-", ".", "e5", "1e", "1e+", "٣", "１２", "−1"),
    *("true", "N/A", "NULL", "null", "\u00a012", "1\n2", "12€", "$12", "1'000", "½", "1f", "1d", "1L"),
)
INT64 = 2**63

INTEGER = Forms(
    "integer",
    Integer(),
    canonical={
        **{"0": 0, "-0": 0, "+0": 0, "12": 12, "-12": -12, "+12": 12, "007": 7, "-007": -7},
        **{str(INT64 - 1): INT64 - 1, str(-INT64): -INT64, "0" * 40 + "5": 5},
    },
    coercible={
        **{" 12 ": 12, "12 ": 12, "\t12\x0b\x0c": 12, "12\n": 12, "\r\n12\r\n": 12},
        **{"517.0": 517, "517.": 517, "-517.000": -517, " 517.0 ": 517, "-0.0": 0, "007.0": 7},
        f"{INT64 - 1}.0": INT64 - 1,
    },
    failing=(
        *NOWHERE_A_NUMBER,
        *("1e3", "1e5", "1E5", "1.5e1", ".5", "5.5", "517.5", "517.01", ".0", "1.0.0"),
        *(str(INT64), str(-INT64 - 1), "1" * 38, "9" * 39, f"{INT64}.0"),
    ),
)
NUMBER = Forms(
    "number",
    Number(),
    canonical={
        **{"0": 0.0, "1": 1.0, "1.5": 1.5, "-1.5": -1.5, "+1.5": 1.5, ".5": 0.5, "-.5": -0.5, "5.": 5.0},
        **{"1e5": 1e5, "1E5": 1e5, "1e+5": 1e5, "1e-5": 1e-5, "5.e1": 50.0, ".5e1": 5.0, "007.50": 7.5},
        **{"1.7976931348623157e308": 1.7976931348623157e308, "0.1": 0.1, "9007199254740993": 9007199254740992.0},
        **{"1e-400": 0.0, "5e-324": 5e-324, "1" * 38: float("1" * 38), "-0": -0.0},
    },
    coercible={" 12 ": 12.0, "1.5\t": 1.5, "\n1e5": 1e5, " .5 ": 0.5},
    failing=(*NOWHERE_A_NUMBER, "1e400", "-1e400", "1e1.5", "1.5.2", "0x1p3"),
)
DECIMAL = Forms(
    "decimal",
    Decimal(10, 2),
    canonical={
        **{"12.50": D("12.50"), "12.5": D("12.50"), "12": D(12), "12.": D(12), ".5": D("0.50")},
        **{"-0.01": D("-0.01"), "+1.00": D(1), "007.10": D("7.10"), "0": D(0)},
        **{"99999999.99": D("99999999.99"), "-99999999.99": D("-99999999.99")},
    },
    coercible={
        **{" 12.50 ": D("12.50"), "12.500": D("12.50"), "12.5\n": D("12.50")},
        **{"1.005": D("1.01"), "1.004": D("1.00"), "1.0049999999999999999999999": D("1.00"), "-1.005": D("-1.01")},
        **{"2.675": D("2.68"), "0.125": D("0.13"), "0.135": D("0.14"), "-0.004": D(0), ".005": D("0.01")},
        "99999999.994": D("99999999.99"),
    },
    failing=(
        *NOWHERE_A_NUMBER,
        *("1e3", "1e5", "1.5E2", "100000000", "-100000000.00", "99999999.995", "1" * 38, "1.2.3"),
    ),
)
WIDE_DECIMAL = Forms(
    "decimal of 38 digits",
    Decimal(38, 0),
    canonical={"9" * 38: D("9" * 38), "-" + "9" * 38: D("-" + "9" * 38), "0" * 10 + "1" * 38: D("1" * 38)},
    coercible={"517.0": D(517), "0.5": D(1), "-0.5": D(-1), "1.49999": D(1), "12.": D(12)},
    failing=("9" * 39, "1" + "0" * 38, "9" * 38 + ".5", "1e3"),
)
FRACTION = Forms(
    "decimal of 38 places",
    Decimal(38, 38),
    canonical={"0." + "1" * 38: D("0." + "1" * 38), "0": D(0), ".5": D(".5")},
    coercible={"0." + "1" * 39: D("0." + "1" * 38), "0." + "5" * 39: D("0." + "5" * 37 + "6")},
    failing=("1", "1.0", "0." + "9" * 39),
)
BOOLEAN = Forms(
    "boolean",
    Boolean(),
    canonical={"true": True, "false": False},
    coercible={
        **{"TRUE": True, "True": True, " true ": True, "t": True, "T": True, "yes": True, "Y": True, "1": True},
        **{"FALSE": False, "False": False, "f": False, "no": False, "NO": False, "n": False, "0": False},
    },
    failing=("", " ", "2", "-1", "on", "off", "truee", "tru", "1.0", "01", "ja", "null", "N/A", "✓"),
)
NO_DATE = ("", " ", "2026-02-30", "2023-02-29", "1900-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "2026-04-31")
NO_ISO_DATE = (
    *("2026-2-5", "2026-02", "2026", "20260225", "26-02-25", "12026-02-25", "-2026-02-25", "2026/02/25"),
    *("25.02.2026", "02/25/2026", "2026-W09-3", "2026-056", "today", "epoch", "infinity", "-infinity"),
    *("2026-02-25 (BC)", "0044-03-15 (BC)", "２０２６-02-25", "0", "46078", "2026-02-25x", "2026-02-25\n1"),
)
DATE = Forms(
    "date",
    Date(),
    canonical={
        **{"2026-02-25": date(2026, 2, 25), "2024-02-29": date(2024, 2, 29), "2000-02-29": date(2000, 2, 29)},
        **{"0001-01-01": date(1, 1, 1), "9999-12-31": date(9999, 12, 31), "1969-12-31": date(1969, 12, 31)},
    },
    coercible={
        **{t: date(2026, 2, 25) for t in (" 2026-02-25 ", "2026-02-25\n", "2026-02-25T00:00:00")},
        **{t: date(2026, 2, 25) for t in ("2026-02-25 00:00:00", "2026-02-25T00:00", "2026-02-25T00:00:00Z")},
        "2026-02-25 00:00:00.000": date(2026, 2, 25),
    },
    failing=(
        *(*NO_DATE, *NO_ISO_DATE),
        *("2026-02-25T00:00:01", "2026-02-25 12:00:00", "2026-02-25T24:00:00", "2026-02-30T00:00:00"),
    ),
)
GERMAN_DATE = Forms(
    "date with a format",
    Date("dd.MM.yyyy"),
    canonical={"25.02.2026": date(2026, 2, 25), "29.02.2024": date(2024, 2, 29), "01.01.0001": date(1, 1, 1)},
    coercible={" 25.02.2026 ": date(2026, 2, 25)},
    failing=(
        *("", "30.02.2026", "29.02.2023", "5.2.2026", "25.2.2026", "25.02.26", "25.02.12026", "2026-02-25"),
        *("25.02.2026 ​", "25.02.2026x", "25. 2.2026", "25.02. 2026", "+5.02.2026", "00.01.2026", "25-02-2026"),
    ),
)
SHORT_DATE = Forms(
    "date with a short format",
    Date("d/M/yyyy"),
    canonical={t: date(2026, 2, 5) for t in ("5/2/2026", "05/02/2026", "05/2/2026")},
    coercible={"5/2/2026 ": date(2026, 2, 5)},
    failing=("30/2/2026", "005/2/2026", "5/2/26", "0/2/2026", "5-2-2026", ""),
)
NOON = utc(2026, 2, 25, 12)
NO_TIMESTAMP = (
    *(f"{d}T12:00:00" for d in NO_DATE if d.strip()),
    *NO_ISO_DATE,
    *("2026-02-25T24:00:00", "2026-02-25T23:59:60", "2026-02-25T23:60:00", "2026-02-25T12", "2026-02-25T1:00:00"),
    *("2026-02-25T12:00:00.1234567", "2026-02-25T12:00:00.", "2026-02-25T12:00:00,5", "2026-02-25t12:00:00"),
    *("2026-02-25T12:00:00z", "2026-02-25T12:00:00+2", "2026-02-25T12:00:00+02", "2026-02-25T12:00:00 +02:00"),
    *("2026-02-25T12:00:00+02:60", "2026-02-25T12:00:00+18:01", "2026-02-25T12:00:00+99:00", "2026-02-25  12:00:00"),
    *("2026-02-25T12:00:00 UTC", "2026-02-25T12:00:00 Europe/Berlin", "2026-02-25T12:00:00[UTC]", "12:00:00"),
    *("1767225600", "now", "2026-02-25_12:00:00", "2026-02-25T12:00:00ZZ", "2026-02-25TT12:00:00", "", " "),
)
TIMESTAMP = Forms(
    "timestamp",
    Timestamp(),
    canonical={
        **{t: NOON for t in ("2026-02-25T12:00:00Z", "2026-02-25T12:00:00", "2026-02-25 12:00:00")},
        **{t: NOON for t in ("2026-02-25T14:00:00+02:00", "2026-02-25 14:00:00+0200", "2026-02-25T12:00:00+00:00")},
        **{t: NOON for t in ("2026-02-25T12:00:00-00:00", "2026-02-25T08:30:00-03:30", "2026-02-26T02:00:00+14:00")},
        **{t: NOON for t in ("2026-02-25T17:45:00+05:45", "2026-02-24T18:00:00-18:00", "2026-02-25T12:00:00.0Z")},
        "2026-02-25T12:00:00.5Z": utc(2026, 2, 25, 12, 0, 0, 500000),
        "2026-02-25 12:00:00.123456": utc(2026, 2, 25, 12, 0, 0, 123456),
        "2026-02-25T12:00:00.000001+01:00": utc(2026, 2, 25, 11, 0, 0, 1),
        "2024-02-29T23:59:59Z": utc(2024, 2, 29, 23, 59, 59),
        "2026-03-29T02:30:00": utc(2026, 3, 29, 2, 30),
        "1969-12-31T23:59:59Z": utc(1969, 12, 31, 23, 59, 59),
        "0001-01-02T00:00:00Z": utc(1, 1, 2),
        "9999-12-31T00:00:00Z": utc(9999, 12, 31),
    },
    coercible={
        **{t: NOON for t in (" 2026-02-25T12:00:00Z ", "2026-02-25T12:00:00Z\n", "2026-02-25T12:00")},
        **{t: NOON for t in ("2026-02-25 12:00", "2026-02-25T12:00Z", "2026-02-25T14:00+02:00", " 2026-02-25 12:00")},
        **{t: utc(2026, 2, 25) for t in ("2026-02-25", " 2026-02-25 ")},
    },
    failing=NO_TIMESTAMP,
)
NEW_YORK = Forms(
    "timestamp of a zone",
    Timestamp(timezone="America/New_York"),
    canonical={
        "2026-02-25T07:00:00": NOON,
        "2026-02-25T12:00:00Z": NOON,
        "2026-02-25T14:00:00+02:00": NOON,
        "2026-07-01 08:00:00": utc(2026, 7, 1, 12),
        "2026-07-01 08:00:00.25": utc(2026, 7, 1, 12, 0, 0, 250000),
        # the gap of 2026-03-08: 02:30 does not exist and is 03:30 EDT
        "2026-03-08T01:59:59": utc(2026, 3, 8, 6, 59, 59),
        "2026-03-08T02:30:00": utc(2026, 3, 8, 7, 30),
        "2026-03-08T03:00:00": utc(2026, 3, 8, 7),
        # the fold of 2026-11-01: 01:30 happens twice and is the later one, EST
        "2026-11-01T00:59:59": utc(2026, 11, 1, 4, 59, 59),
        "2026-11-01T01:30:00": utc(2026, 11, 1, 6, 30),
        "2026-11-01T01:30:00-04:00": utc(2026, 11, 1, 5, 30),
        "2026-11-01T02:00:00": utc(2026, 11, 1, 7),
    },
    coercible={
        "2026-02-25 07:00": NOON,
        "2026-02-25": utc(2026, 2, 25, 5),
        " 2026-02-25T12:00Z": NOON,
        "2026-07-01": utc(2026, 7, 1, 4),
    },
    failing=NO_TIMESTAMP,
)
LOCAL_FORMAT = Forms(
    "timestamp with a format",
    Timestamp("dd/MM/yyyy HH:mm:ss", "Europe/Berlin"),
    canonical={
        "25/02/2026 13:00:00": NOON,
        "01/07/2026 14:00:00": utc(2026, 7, 1, 12),
        "29/03/2026 02:30:00": utc(2026, 3, 29, 1, 30),
        "25/10/2026 02:30:00": utc(2026, 10, 25, 1, 30),
    },
    coercible={" 25/02/2026 13:00:00 ": NOON},
    failing=(
        *("", "30/02/2026 12:00:00", "25/02/2026 24:00:00", "25/02/2026 12:00:60", "25/02/2026 12:00"),
        *("5/2/2026 12:00:00", "25/02/2026 1:00:00", "25/02/2026T12:00:00", "2026-02-25T12:00:00Z"),
        *("25/02/2026  12:00:00", "25/02/2026 12:00:00Z", "25/02/2026 12:00:00.5", "25/02/26 12:00:00"),
    ),
)
OFFSET_FORMAT = Forms(
    "timestamp with a format and an offset",
    Timestamp("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "America/New_York"),
    canonical={
        "2026-02-25T12:00:00.000Z": NOON,
        "2026-02-25T14:00:00.250+02:00": utc(2026, 2, 25, 12, 0, 0, 250000),
    },
    coercible={" 2026-02-25T12:00:00.000Z": NOON},
    failing=(
        *("", "2026-02-25T12:00:00Z", "2026-02-25T12:00:00.000", "2026-02-25T12:00:00.5Z"),
        *("2026-02-25T12:00:00.000+02", "2026-02-25T12:00:00.000+0200", "2026-02-25 12:00:00.000Z"),
        *("2026-02-30T12:00:00.000Z", "2026-02-25T24:00:00.000Z", "2026-02-25T12:00:00.000000Z"),
        *("2026-02-25T12:00:00.000+18:01", "2026-02-25T12:00:00.000+99:00", "2026-02-25T12:00:00.000z"),
    ),
)
HALF_DAY_FORMAT = Forms(
    "timestamp with a half day",
    Timestamp("MM/dd/yyyy hh:mm a"),
    canonical={
        "02/25/2026 12:00 PM": NOON,
        "02/25/2026 12:00 AM": utc(2026, 2, 25),
        "02/25/2026 11:59 PM": utc(2026, 2, 25, 23, 59),
    },
    coercible={"02/25/2026 12:00 PM ": NOON},
    failing=("02/25/2026 13:00 PM", "02/25/2026 00:00 AM", "02/25/2026 12:00", "02/25/2026 12:00 XM", ""),
)
STRING = Forms(
    "string",
    String(),
    canonical={
        text: text
        for text in (
            *("abc", " abc ", "007", "1e5", "NaN", "NULL", "null", "N/A", "true", "ß", "Zoë", "名前", "🛩️"),
            *('say "hi"', "it's", "a,b", "a;b", "a\tb", "line\nbreak", "line\r\nbreak", "back\\slash", "\\n", "%"),
            *("", " ", '"', '""', "'", "e\u0301", "\u00e9", "\u200b", "\ufeff", "{}", "[]", '{"a": 1}', "x" * 5000),
        )
    },
)
ADDRESS = Object((Column("zip", Integer()), Column("city", String()), Column("tags", Array(String()))))
OBJECT = Forms(
    "object",
    ADDRESS,
    canonical={
        '{"zip": 12, "city": "Rome"}': {"zip": 12, "city": "Rome", "tags": None},
        '{"zip": "12", "city": 7, "tags": ["a", null]}': {"zip": 12, "city": "7", "tags": ["a", None]},
        '{"city": "a\\nb\\u00e9", "tags": []}': {"zip": None, "city": "a\nbé", "tags": []},
        '{"zip": null}': {"zip": None, "city": None, "tags": None},
        "{}": {"zip": None, "city": None, "tags": None},
        '{"city": {"x": [1]}}': {"zip": None, "city": '{"x":[1]}', "tags": None},
        '{"city": ""}': {"zip": None, "city": "", "tags": None},
    },
    coercible={
        '{"zip": " 12 "}': {"zip": 12, "city": None, "tags": None},
        '{"zip": "517.0"}': {"zip": 517, "city": None, "tags": None},
    },
    failing=(
        *("", "null", "12", '"x"', "[]", '[{"zip": 1}]', '{"zip": 12', "{zip: 12}", "{'zip': 12}", "abc"),
        *('{"zip": "x"}', '{"zip": 1.5}', '{"zip": true}', '{"zip": [1]}', '{"zip": {"a": 1}}', '{"zip": ""}'),
        *('{"tags": "a"}', '{"tags": {"a": 1}}', '{"tags": 1}', '{"zip": 1} x', '{"zip": NaN}'),
    ),
)
PLACE = Object((Column("at", ADDRESS), Column("on", Date())))
NESTED_OBJECT = Forms(
    "object in an object",
    PLACE,
    canonical={
        '{"at": {"zip": 1}, "on": "2026-02-25"}': {
            "at": {"zip": 1, "city": None, "tags": None},
            "on": date(2026, 2, 25),
        },
        '{"at": null}': {"at": None, "on": None},
    },
    coercible={'{"at": {"zip": " 1"}}': {"at": {"zip": 1, "city": None, "tags": None}, "on": None}},
    failing=(
        *('{"at": "Main St"}', '{"at": 5}', '{"at": []}', '{"at": {"zip": "x"}}', '{"at": {"tags": "x"}}'),
        '{"on": "2026-02-30"}',
    ),
)
ARRAY = Forms(
    "array",
    Array(Integer()),
    canonical={"[]": [], "[1, 2]": [1, 2], '["1", null]': [1, None], " [1]\n": [1]},
    coercible={'[" 1 ", 2]': [1, 2], '["2.0"]': [2]},
    failing=("", "null", "1", "{}", '"[1]"', "[1", "1,2", "(1,2)", "[1.5]", '["x"]', "[[1]]", '[{"a": 1}]', "[true]"),
)
OBJECTS = Forms(
    "array of objects",
    Array(Object((Column("sku", String()), Column("price", Decimal(5, 2))))),
    canonical={
        '[{"sku": "a", "price": "1.50"}, null]': [{"sku": "a", "price": D("1.50")}, None],
        '[{"sku": "a"}, {}]': [{"sku": "a", "price": None}, {"sku": None, "price": None}],
    },
    coercible={'[{"price": "1.005"}]': [{"sku": None, "price": D("1.01")}]},
    failing=('["a"]', "[1]", "[[]]", '[{"price": "x"}]', '[{"price": "1234.00"}]', '{"sku": "a"}'),
)
MATRIX = Forms(
    "array of arrays",
    Array(Array(Integer())),
    canonical={"[[1], [], null]": [[1], [], None]},
    coercible={'[[" 1"]]': [[1]]},
    failing=("[1]", '["a"]', '[["x"]]', "[{}]"),
)

TABLE = (
    *(INTEGER, NUMBER, DECIMAL, WIDE_DECIMAL, FRACTION, BOOLEAN, STRING),
    *(DATE, GERMAN_DATE, SHORT_DATE, TIMESTAMP, NEW_YORK, LOCAL_FORMAT, OFFSET_FORMAT, HALF_DAY_FORMAT),
    *(OBJECT, NESTED_OBJECT, ARRAY, OBJECTS, MATRIX),
)
