"""Casts in users' SQL: by the kinds of the value and of the type, what each engine runs.

A value that cannot be cast is NULL. Texts are those that columns accept (`lake_pipeline.engines.casts`), so that it is
no engine's mood what a number or a date is.
"""

from __future__ import annotations

from sqlglot import exp

from lake_pipeline.dqdl.sql_kinds import (
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    NULL,
    TEXT,
    TIMESTAMP,
    UNKNOWN,
    WHOLE,
    Kind,
)
from lake_pipeline.dqdl.subject import RuleError

SPACE = "[ \t\r\n]*"
FRACTION = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
OFFSET = r"(Z|[+-](0[0-9]|1[0-7]):[0-5][0-9])?"
# The texts of a kind; the first group is what is cast.
FORMS = {
    WHOLE.name: rf"^{SPACE}([+-]?[0-9]+)(\.[0-9]*)?{SPACE}\z",
    DOUBLE.name: rf"^{SPACE}([+-]?{FRACTION}([eE][+-]?[0-9]+)?){SPACE}\z",
    DECIMAL: rf"^{SPACE}([+-]?{FRACTION}([eE][+-]?[0-9]+)?){SPACE}\z",
    DATE.name: rf"^{SPACE}({DAY})([T ]{CLOCK}{OFFSET})?{SPACE}\z",
    TIMESTAMP.name: rf"^{SPACE}({DAY}([T ]{CLOCK}{OFFSET})?){SPACE}\z",
}
TRUE, FALSE = (rf"^{SPACE}({words}){SPACE}\z" for words in ("true|t|yes|y|1", "false|f|no|n|0"))
# What years from 1 to 9999 are, in seconds.
SECONDS = "CASE WHEN :this BETWEEN -62135596800 AND 253402300799 THEN :this END"
SINCE_EPOCH = "EPOCH_US(DATE_TRUNC('second', CAST(:this AS TIMESTAMPTZ))) // 1000000"
SPARK_SINCE_EPOCH = "CAST(CAST(:this AS TIMESTAMP) AS BIGINT)"
OF_TEXT = "TRY_CAST(REGEXP_EXTRACT(:this, :form, 1) AS :type)"
TRY, PLAIN = "TRY_CAST(:this AS :type)", "CAST(:this AS :type)"

# (from, to): what DuckDB and what Spark runs.
CASTS: dict[tuple[str, str], tuple[str, str]] = {
    **{(TEXT.name, to): (OF_TEXT, OF_TEXT) for to in FORMS},
    (TEXT.name, BOOLEAN.name): (
        "CASE WHEN REGEXP_MATCHES(LOWER(:this), :true) THEN TRUE WHEN REGEXP_MATCHES(LOWER(:this), :false) THEN FALSE END",
        "CASE WHEN REGEXP_LIKE(LOWER(:this), :true) THEN TRUE WHEN REGEXP_LIKE(LOWER(:this), :false) THEN FALSE END",
    ),
    **{(kind.name, TEXT.name): (PLAIN, PLAIN) for kind in (TEXT, WHOLE, BOOLEAN, DATE)},
    (DECIMAL, TEXT.name): (PLAIN, PLAIN),
    (TIMESTAMP.name, TEXT.name): ("CAST(CAST(:this AS TIMESTAMP) AS TEXT)", PLAIN),
    (WHOLE.name, WHOLE.name): (TRY, TRY),
    (DECIMAL, WHOLE.name): ("TRY_CAST(TRUNC(:this) AS :type)", TRY),
    (DOUBLE.name, WHOLE.name): ("TRY_CAST(TRUNC(:this) AS :type)", TRY),
    (BOOLEAN.name, WHOLE.name): (PLAIN, PLAIN),
    (TIMESTAMP.name, WHOLE.name): (
        f"TRY_CAST({SINCE_EPOCH} AS :type)",
        f"TRY_CAST({SPARK_SINCE_EPOCH} AS :type)",
    ),
    (WHOLE.name, DECIMAL): (TRY, TRY),
    (DECIMAL, DECIMAL): (TRY, TRY),
    (DOUBLE.name, DECIMAL): ("TRY_CAST(CAST(:this AS TEXT) AS :type)", TRY),
    **{(name, DOUBLE.name): (PLAIN, PLAIN) for name in (WHOLE.name, DECIMAL, DOUBLE.name, BOOLEAN.name)},
    **{(name, BOOLEAN.name): (PLAIN, PLAIN) for name in (WHOLE.name, DECIMAL, DOUBLE.name, BOOLEAN.name)},
    **{(name, DATE.name): (PLAIN, PLAIN) for name in (DATE.name, TIMESTAMP.name)},
    **{(name, TIMESTAMP.name): (PLAIN, PLAIN) for name in (DATE.name, TIMESTAMP.name)},
    (WHOLE.name, TIMESTAMP.name): (f"TO_TIMESTAMP({SECONDS})", f"CAST({SECONDS} AS TIMESTAMP)"),
}
INSTEAD = {
    (DOUBLE.name, TEXT.name): "cast(cast(x as decimal(20,6)) as string)",
    (DOUBLE.name, TIMESTAMP.name): "cast(cast(x as bigint) as timestamp)",
    (DECIMAL, TIMESTAMP.name): "cast(cast(x as bigint) as timestamp)",
    (TIMESTAMP.name, DOUBLE.name): "unix_timestamp(x)",
    (DATE.name, WHOLE.name): "unix_timestamp(x)",
}
KINDS = {
    **dict.fromkeys((exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT), WHOLE),
    exp.DType.DOUBLE: DOUBLE,
    **dict.fromkeys((exp.DType.TEXT, exp.DType.VARCHAR), TEXT),
    exp.DType.BOOLEAN: BOOLEAN,
    exp.DType.DATE: DATE,
    **dict.fromkeys((exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ), TIMESTAMP),
}
PLAIN_SCALE = 6  # a decimal of more digits behind the point is sometimes written with an exponent


def kind_of_type(type_: exp.DataType) -> Kind:
    """The kind of a type that is cast to; raises `RuleError` for one that engines understand differently."""
    if type_.this == exp.DType.DECIMAL:
        digits = [int(parameter.name) for parameter in type_.expressions] or [10, 0]
        return Kind(DECIMAL, digits[0], digits[1] if len(digits) > 1 else 0)
    if type_.this not in KINDS or type_.expressions:
        raise RuleError(
            f"cast to {type_.sql(dialect='spark').lower()} does not mean the same on every engine: cast to string, "
            "int, bigint, double, decimal(p,s), boolean, date or timestamp"
        )
    return KINDS[type_.this]


def check_cast(value: Kind, to: Kind) -> None:
    """Refuse a cast that engines do each in their own way."""
    if value in (UNKNOWN, NULL) or (value.name, to.name) in CASTS:
        if value.name == DECIMAL and to == TEXT and value.scale > PLAIN_SCALE:
            raise RuleError(
                f"cast of {value} to text: cast it to decimal({value.digits},{PLAIN_SCALE}) first"
            )
        return
    instead = INSTEAD.get((value.name, to.name))
    hint = f": write {instead}" if instead else ""
    raise RuleError(f"cast of {value} to {to} does not mean the same on every engine{hint}")
