"""The functions that users' SQL may call: how they are written, what they take and give, and what each engine runs.

Every function here has the same value on every engine, which tests compare on values of all kinds. No function reads
a file, an address, a setting or a catalog, makes rows, throws dice, or depends on the order of rows. What is not
listed is refused, so that a new function is refused until someone has made it mean the same.

A template is SQL of its engine, with `:this` and the like for the arguments as sqlglot names them; without one, the
function is as sqlglot translates it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from lake_pipeline.dqdl import sql_arguments as arguments
from lake_pipeline.dqdl.sql_casts import SINCE_EPOCH, SPARK_SINCE_EPOCH
from lake_pipeline.dqdl.sql_kinds import (
    ANY,
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    LIST,
    MOMENTS,
    NUMBERS,
    TEXT,
    TIMESTAMP,
    UNKNOWN,
    WHOLE,
    Kind,
    common,
    decimal,
    kind_of,
)
from lake_pipeline.dqdl.subject import RuleError

SUM_DIGITS = 28
Gives = Kind | Callable[[exp.Expr], Kind]


@dataclass(frozen=True)
class Function:
    """A function. form: how it is written; takes: the kinds of its arguments; check: what else it asks of them."""

    form: str
    takes: frozenset[str]
    gives: Gives
    duckdb: str | Callable[[Any], str] = ""
    spark: str | Callable[[Any], str] = ""
    check: Callable[[Any], None] = field(default=lambda node: None)

    def kind(self, node: exp.Expr) -> Kind:
        """The kind of a call; raises `RuleError` where its arguments are not what it takes."""
        for given in map(kind_of, arguments.of(node)):
            if given.name not in self.takes and given.name not in ANY:
                takes = ", ".join(sorted(self.takes))
                raise RuleError(f"{self.form} takes {takes}, and not {given}: cast it")
        self.check(node)
        return self.gives if isinstance(self.gives, Kind) else self.gives(node)


def _kinds(*kinds: Kind | frozenset[str] | str) -> frozenset[str]:
    names: set[str] = set()
    for kind in kinds:
        names |= {kind.name} if isinstance(kind, Kind) else {kind} if isinstance(kind, str) else kind
    return frozenset(names)


TEXTS, TEXTS_WHOLE, BOOLEANS = _kinds(TEXT), _kinds(TEXT, WHOLE), _kinds(BOOLEAN)
LISTS, DAYS = _kinds(LIST), _kinds(MOMENTS, WHOLE)
VALUES = _kinds(TEXT, BOOLEAN, NUMBERS, MOMENTS)
EVERYTHING = _kinds(VALUES, LIST, "struct")


def _same(node: Any) -> Kind:
    """The kind that all arguments have."""
    return common(map(kind_of, arguments.of(node)), node.sql_name().lower())


def _branches(node: exp.Expr) -> Kind:
    """The kind that the alternatives of a conditional have."""
    ifs = [kind_of(branch.args.get("true")) for branch in node.args.get("ifs") or [node]]
    return common([*ifs, kind_of(node.args.get("false") or node.args.get("default"))], "its alternatives")


def _case(node: exp.Expr) -> Kind:
    if node.this is not None:
        common([kind_of(node.this), *(kind_of(branch.this) for branch in node.args["ifs"])], "case")
    return _branches(node)


def _of_argument(node: exp.Expr) -> Kind:
    return kind_of(arguments.of(node)[0])


def _item(node: exp.Expr) -> Kind:
    return kind_of(node.this).item or UNKNOWN


def _rounded(node: exp.Expr) -> Kind:
    kind, scale = kind_of(node.this), arguments.places(node)
    if kind.name != DECIMAL or scale >= kind.scale:
        return kind
    return Kind(DECIMAL, min(kind.digits - kind.scale + scale + 1, 38), scale)


def _summed(node: exp.Expr) -> Kind:
    kind = _of_argument(node)
    if kind.name == DECIMAL and kind.digits > SUM_DIGITS:
        raise RuleError(
            f"sum takes decimals of at most {SUM_DIGITS} digits, and not {kind}: cast to decimal(28,{min(kind.scale, 10)})"
        )
    return decimal(kind.digits + 10, kind.scale) if kind.name == DECIMAL else kind


def _remainder(node: exp.Expr) -> Kind:
    return common([kind_of(node.this), kind_of(node.expression)], "mod")


def _if_whole(whole: str, other: str = "") -> Callable[[Any], str]:
    return lambda node: whole if _of_argument(node) == WHOLE else other


def _no_minus_zero(name: str) -> tuple[Callable[[Any], str], Callable[[Any], str]]:
    """The smaller of 0.0 and -0.0 would be the one that an engine saw first."""

    def template(node: Any) -> str:
        plain = _of_argument(node) == DOUBLE and not isinstance(node.this, exp.Distinct)
        return f"{name}(:this + CAST(0 AS DOUBLE))" if plain else ""

    return template, template


def _round(node: Any) -> str:
    if kind_of(node.this) != DOUBLE:
        return ""
    exact = f"CAST(TRY_CAST(CAST(:this AS TEXT) AS DECIMAL(38, {arguments.places(node)})) AS DOUBLE)"
    return f"COALESCE({exact}, :this)"


def _moment(name: str) -> Function:
    return Function(f"{name}(moment)", _kinds(MOMENTS), WHOLE)


# What is counted from the epoch, and what a mean is of.
# Some ten thousand years; more is NULL.
SHIFT = "CASE WHEN :expression BETWEEN -{0} AND {0} THEN TRY_CAST(:expression AS INT) END"
AS_DOUBLE = "CAST(:this AS DOUBLE)"
SPECIALS, PRIVATE = arguments.SPECIALS, arguments.PRIVATE
UPPER = (
    f"CASE WHEN {{}}(:this, '[{SPECIALS}ß]') THEN "
    f"TRANSLATE(UPPER(TRANSLATE(REPLACE(:this, 'ß', 'SS'), '{SPECIALS}', '{PRIVATE}')), '{PRIVATE}', '{SPECIALS}') "
    "ELSE UPPER(:this) END"
)
NOT_ASCII = "OCTET_LENGTH(:this) > CHAR_LENGTH(:this)"  # Java compares each letter with each of a class
LOWER = arguments.LOWER
LOG = "LN(CASE WHEN CAST(:expression AS DOUBLE) > 0 THEN CAST(:expression AS DOUBLE) END) / LN(CAST(:this AS DOUBLE))"
CONTAINS = "CASE WHEN NOT :this IS NULL THEN COALESCE({}(:this, :expression), FALSE) END"

FUNCTIONS: dict[str, Function] = {
    # text
    "Upper": Function(
        "upper(text)",
        TEXTS,
        TEXT,
        UPPER.format("REGEXP_MATCHES"),
        UPPER.format(f"{NOT_ASCII} AND REGEXP_LIKE"),
    ),
    "Lower": Function("lower(text)", TEXTS, TEXT, LOWER, LOWER),
    "Trim": Function("trim(text), ltrim, rtrim", TEXTS, TEXT, arguments.trim),
    "Length": Function("length(text)", TEXTS, WHOLE),
    "Substring": Function(
        "substring(text, from, length)", TEXTS_WHOLE, TEXT, arguments.substring, arguments.substring
    ),
    "Left": Function("left(text, length)", TEXTS_WHOLE, TEXT, arguments.LEFT, arguments.LEFT),
    "Right": Function("right(text, length)", TEXTS_WHOLE, TEXT, arguments.RIGHT, arguments.RIGHT),
    "Concat": Function("concat(text, …)", VALUES, TEXT),
    "ConcatWs": Function("concat_ws(separator, text, …)", TEXTS, TEXT),
    "Replace": Function("replace(text, old, new)", TEXTS, TEXT, check=arguments.whole_replace),
    "Pad": Function("lpad(text, length, with), rpad", TEXTS_WHOLE, TEXT, check=arguments.pad),
    "StrPosition": Function(
        "instr(text, part), locate(part, text)", TEXTS_WHOLE, WHOLE, check=arguments.from_start
    ),
    "SplitPart": Function(
        "split_part(text, separator, number)", TEXTS_WHOLE, TEXT, check=arguments.split_part
    ),
    "StartsWith": Function("startswith(text, part)", TEXTS, BOOLEAN),
    "EndsWith": Function("endswith(text, part)", TEXTS, BOOLEAN),
    "Contains": Function("contains(text, part)", TEXTS, BOOLEAN),
    "Translate": Function("translate(text, letters, letters)", TEXTS, TEXT),
    "Repeat": Function("repeat(text, times)", TEXTS_WHOLE, TEXT, check=arguments.times),
    "MD5": Function("md5(text)", TEXTS, TEXT),
    "SHA": Function("sha1(text)", TEXTS, TEXT),
    "SHA2": Function("sha2(text, 256)", TEXTS_WHOLE, TEXT, check=arguments.sha256),
    "RegexpLike": Function("text rlike 'pattern'", TEXTS, BOOLEAN),
    "RegexpExtract": Function("regexp_extract(text, 'pattern', group)", TEXTS_WHOLE, TEXT),
    "RegexpReplace": Function("regexp_replace(text, 'pattern', 'new')", TEXTS, TEXT),
    # numbers
    "Abs": Function(
        "abs(number)",
        NUMBERS,
        _of_argument,
        _if_whole("TRY_CAST(ABS(CAST(:this AS HUGEINT)) AS BIGINT)"),
        _if_whole("CASE WHEN ABS(CAST(:this AS BIGINT)) >= 0 THEN ABS(CAST(:this AS BIGINT)) END"),
    ),
    "Ceil": Function(
        "ceil(number)",
        NUMBERS,
        WHOLE,
        arguments.to_whole("CEIL"),
        arguments.to_whole("CEIL"),
        arguments.alone("decimals"),
    ),
    "Floor": Function(
        "floor(number)",
        NUMBERS,
        WHOLE,
        arguments.to_whole("FLOOR"),
        arguments.to_whole("FLOOR"),
        arguments.alone("decimals"),
    ),
    "Round": Function("round(number, digits)", NUMBERS, _rounded, _round, check=arguments.digits),
    "Sqrt": Function("sqrt(number)", NUMBERS, DOUBLE, f"SQRT({AS_DOUBLE})", f"SQRT({AS_DOUBLE})"),
    "Exp": Function("exp(number)", NUMBERS, DOUBLE, f"EXP({AS_DOUBLE})", f"EXP({AS_DOUBLE})"),
    "Ln": Function(
        "ln(number)",
        NUMBERS,
        DOUBLE,
        f"LN(CASE WHEN {AS_DOUBLE} > 0 THEN {AS_DOUBLE} END)",
        f"LN({AS_DOUBLE})",
    ),
    "Log": Function("log(base, number), log10, log2", NUMBERS, DOUBLE, LOG, LOG, arguments.base),
    "Pow": Function(
        "power(number, number)",
        NUMBERS,
        DOUBLE,
        "POWER(CAST(:this AS DOUBLE), CAST(:expression AS DOUBLE))",
        "POWER(CAST(:this AS DOUBLE), CAST(:expression AS DOUBLE))",
    ),
    "Mod": Function("mod(number, number), number % number", NUMBERS, _remainder, ""),
    "IsNan": Function("isnan(number)", _kinds(DOUBLE), BOOLEAN, "COALESCE(ISNAN(:this), FALSE)"),
    # alternatives
    "Case": Function("case when … then … else … end", EVERYTHING, _case),
    "If": Function("if(condition, then, else)", EVERYTHING, _branches),
    "Coalesce": Function("coalesce(value, …), nvl, ifnull", EVERYTHING, _same),
    "Nullif": Function("nullif(value, value)", VALUES, lambda node: (_same(node), _of_argument(node))[1]),
    "Nvl2": Function("nvl2(value, then, else)", EVERYTHING, _branches),
    "Greatest": Function("greatest(value, …)", VALUES, _same),
    "Least": Function("least(value, …)", VALUES, _same),
    "And": Function("condition and condition", BOOLEANS, BOOLEAN),
    "Or": Function("condition or condition", BOOLEANS, BOOLEAN),
    "Exists": Function("exists (select …)", EVERYTHING, BOOLEAN, check=arguments.subquery),
    # dates and timestamps
    "Cast": Function("cast(value as type)", EVERYTHING, UNKNOWN),
    "TryCast": Function("try_cast(value as type)", EVERYTHING, UNKNOWN),
    "CurrentDate": Function("current_date()", VALUES, DATE),
    "CurrentTimestamp": Function("current_timestamp(), now()", VALUES, TIMESTAMP),
    "TsOrDsToDate": Function("to_date(text)", _kinds(TEXT, MOMENTS), DATE, check=arguments.no_format),
    "TimeStrToTime": Function(
        "date_format(moment, 'yyyy-MM-dd')",
        _kinds(MOMENTS),
        TIMESTAMP,
        "CAST(:this AS TIMESTAMPTZ)",
        "CAST(:this AS TIMESTAMP)",
    ),
    "TimeToStr": Function(
        "date_format(moment, 'yyyy-MM-dd')", _kinds(MOMENTS, TEXT), TEXT, check=arguments.date_format
    ),
    "StrToUnix": Function("unix_timestamp(moment)", _kinds(MOMENTS), WHOLE, SINCE_EPOCH, SPARK_SINCE_EPOCH),
    "Year": _moment("year"),
    "Quarter": _moment("quarter"),
    "Month": _moment("month"),
    "WeekOfYear": _moment("weekofyear"),
    "Day": _moment("day"),
    "DayOfMonth": _moment("dayofmonth"),
    "DayOfYear": _moment("dayofyear"),
    "DayOfWeek": Function("dayofweek(moment)", _kinds(MOMENTS), WHOLE, "DAYOFWEEK(:this) + 1"),
    "Hour": _moment("hour"),
    "Minute": _moment("minute"),
    "Second": _moment("second"),
    "Extract": Function(
        "extract(year from moment)", _kinds(MOMENTS), WHOLE, arguments.extract, check=arguments.field
    ),
    "TsOrDsAdd": Function(
        "date_add(day, days), date_sub",
        DAYS,
        DATE,
        f"CAST(:this AS DATE) + {SHIFT.format(4_000_000)}",
        f"DATE_ADD(:this, {SHIFT.format(4_000_000)})",
    ),
    "DateDiff": Function("datediff(day, day)", _kinds(MOMENTS), WHOLE, check=arguments.alone("unit")),
    "AddMonths": Function(
        "add_months(day, months)",
        DAYS,
        DATE,
        f"CAST(CAST(:this AS DATE) + TO_MONTHS({SHIFT.format(120_000)}) AS DATE)",
        f"ADD_MONTHS(:this, {SHIFT.format(120_000)})",
    ),
    "LastDay": Function("last_day(day)", _kinds(MOMENTS), DATE),
    "TimestampTrunc": Function(
        "date_trunc('month', moment)",
        _kinds(MOMENTS),
        TIMESTAMP,
        arguments.timestamp_trunc,
        check=arguments.trunc_unit,
    ),
    "DateTrunc": Function(
        "trunc(day, 'month')", _kinds(MOMENTS, TEXT), DATE, arguments.date_trunc, check=arguments.day_unit
    ),
    # lists
    "ArraySize": Function(
        "size(list)", LISTS, WHOLE, spark="CASE WHEN NOT :this IS NULL THEN SIZE(:this) END"
    ),
    "ArrayContains": Function(
        "array_contains(list, value)",
        EVERYTHING,
        BOOLEAN,
        CONTAINS.format("LIST_CONTAINS"),
        CONTAINS.format("ARRAY_CONTAINS"),
        arguments.item_of_list,
    ),
    "ArrayMax": Function("array_max(list)", LISTS, _item),
    "ArrayMin": Function("array_min(list)", LISTS, _item),
    "ArrayToString": Function(
        "array_join(list, separator)", _kinds(LIST, TEXT), TEXT, check=arguments.list_of_texts
    ),
    # aggregates
    "Count": Function("count(*), count(value), count(distinct value)", EVERYTHING, WHOLE),
    "CountIf": Function("count_if(condition)", BOOLEANS, WHOLE, "CAST(COUNT_IF(:this) AS BIGINT)"),
    "Sum": Function("sum(number)", NUMBERS, _summed),
    "Avg": Function("avg(number)", NUMBERS, DOUBLE),
    "Min": Function("min(value)", VALUES, _of_argument, *_no_minus_zero("MIN")),
    "Max": Function("max(value)", VALUES, _of_argument, *_no_minus_zero("MAX")),
    "Median": Function("median(number)", NUMBERS, DOUBLE, f"MEDIAN({AS_DOUBLE})", f"MEDIAN({AS_DOUBLE})"),
    "Quantile": Function(
        "percentile(number, 0.5)",
        NUMBERS,
        DOUBLE,
        "QUANTILE_CONT(CAST(:this AS DOUBLE), :quantile)",
        "PERCENTILE(CAST(:this AS DOUBLE), :quantile)",
        arguments.share,
    ),
    "Stddev": Function("stddev(number)", NUMBERS, DOUBLE),
    "StddevPop": Function("stddev_pop(number)", NUMBERS, DOUBLE),
    "StddevSamp": Function("stddev_samp(number)", NUMBERS, DOUBLE),
    "Variance": Function("variance(number), var_samp", NUMBERS, DOUBLE),
    "VariancePop": Function("var_pop(number)", NUMBERS, DOUBLE),
    "LogicalAnd": Function("bool_and(condition)", BOOLEANS, BOOLEAN),
    "LogicalOr": Function("bool_or(condition)", BOOLEANS, BOOLEAN),
    # windows
    "RowNumber": Function("row_number() over (…)", EVERYTHING, WHOLE),
    "Rank": Function("rank() over (…)", EVERYTHING, WHOLE),
    "DenseRank": Function("dense_rank() over (…)", EVERYTHING, WHOLE),
    "Lag": Function("lag(value, offset) over (…)", EVERYTHING, _of_argument),
    "Lead": Function("lead(value, offset) over (…)", EVERYTHING, _of_argument),
}
