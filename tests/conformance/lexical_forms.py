"""Which texts a type accepts: the conformance table, the same for every engine and every file format.

A row of the table is a type and three kinds of text: canonical ones with their value, coercible ones
with their value (their original text is kept in ``_rescued``), and those that fail with CAST_FAILED.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

from forms import Forms
from temporal_forms import (
    DATE,
    GERMAN_DATE,
    HALF_DAY_FORMAT,
    LOCAL_FORMAT,
    NEW_YORK,
    OFFSET_FORMAT,
    SHORT_DATE,
    TIMESTAMP,
)

from lake_pipeline.contracts import Array, Boolean, Column, Date, Decimal, Integer, Number, Object, String

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
        **{
            "1.7976931348623157e308": 1.7976931348623157e308,
            "0.1": 0.1,
            "9007199254740993": 9007199254740992.0,
        },
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
        **{
            "1.005": D("1.01"),
            "1.004": D("1.00"),
            "1.0049999999999999999999999": D("1.00"),
            "-1.005": D("-1.01"),
        },
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
        **{
            "TRUE": True,
            "True": True,
            " true ": True,
            "t": True,
            "T": True,
            "yes": True,
            "Y": True,
            "1": True,
        },
        **{"FALSE": False, "False": False, "f": False, "no": False, "NO": False, "n": False, "0": False},
    },
    failing=("", " ", "2", "-1", "on", "off", "truee", "tru", "1.0", "01", "ja", "null", "N/A", "✓"),
)
STRING = Forms(
    "string",
    String(),
    canonical={
        text: text
        for text in (
            *("abc", " abc ", "007", "1e5", "NaN", "NULL", "null", "N/A", "true", "ß", "Zoë", "名前", "🛩️"),
            *(
                'say "hi"',
                "it's",
                "a,b",
                "a;b",
                "a\tb",
                "line\nbreak",
                "line\r\nbreak",
                "back\\slash",
                "\\n",
                "%",
            ),
            *(
                "",
                " ",
                '"',
                '""',
                "'",
                "e\u0301",
                "\u00e9",
                "\u200b",
                "\ufeff",
                "{}",
                "[]",
                '{"a": 1}',
                "x" * 5000,
            ),
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
        *(
            '{"zip": "x"}',
            '{"zip": 1.5}',
            '{"zip": true}',
            '{"zip": [1]}',
            '{"zip": {"a": 1}}',
            '{"zip": ""}',
        ),
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
    failing=(
        "",
        "null",
        "1",
        "{}",
        '"[1]"',
        "[1",
        "1,2",
        "(1,2)",
        "[1.5]",
        '["x"]',
        "[[1]]",
        '[{"a": 1}]',
        "[true]",
    ),
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
