"""Validate rows: from a raw table to typed columns, a verdict per row and all of its reasons.

A raw table has the file's columns (text, or typed for Parquet) and the lineage columns:

- ``_source``: the id of the object a row came from; ``_record``: its number in it, from 1;
- ``_partition``: the partition key; ``_sound``: false for a record that could not even be parsed.

Texts that the format declares to mean NULL are NULL already.

`validated` makes the fast pass over all rows; `explained` makes the reasons, for the rejects alone.
"""

from __future__ import annotations

import decimal
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import reduce

import ibis
import ibis.expr.datatypes as dt

from lake_pipeline.contracts import Column, Decimal, Object, Type
from lake_pipeline.contracts.model import Bound, Value
from lake_pipeline.datasets.config import Partitions
from lake_pipeline.engines.casts import Dialect, Expr, always, canonical_text, cast, settled

LINEAGE = ("_partition", "_source", "_record")
RESCUED = "_rescued"
REJECTED = "_rejected"
WINDOW_UNIT = {"monthly": "M", "daily": "D", "hourly": "h"}


@dataclass(frozen=True)
class RowRules:
    """What a row of a dataset must satisfy, as far as it can be said row by row.

    columns: the contract's, under their landed names. extra: further columns to keep, see `kept_type`.
    coerce: whether a coercible text is taken (and rescued) or rejected.
    keep_original: columns whose original text is always rescued: nested ones with unknown fields, and those that are
    neither the contract's nor `extra`.
    """

    columns: tuple[Column, ...]
    extra: tuple[str, ...] = ()
    coerce: bool = True
    partitions: Partitions = field(default_factory=Partitions)
    keep_original: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fault:
    """One way a row can fail: when (never NULL), and what is said of it.

    column: a field of an object is named by its path, ``address.zip``; `value` is then its text.
    """

    code: str
    column: str
    when: Expr
    message: str
    value: Expr | None = None


def validated(raw: Expr, rules: RowRules, dialect: Dialect) -> Expr:
    """Every row with typed columns, lineage, ``_rescued`` (JSON) and ``_rejected`` (boolean).

    ``_rescued`` of a good row holds the original text of its coerced values, NULL if there are none; of
    a rejected row, all of its original values, from which `explained` starts again; of one that could
    not be parsed, NULL.
    """
    typed, originals = _typed(raw, rules, dialect)
    lost = [typed[f"_lost_{i}"] for i in range(len(rules.columns))]
    rejected = _any([~typed["_sound"], *(f.when for f in _faults(typed, rules, dialect, lost))])
    judged = dialect.apart(typed.mutate(**{REJECTED: rejected}))
    texts = {name: judged[column] for name, column in originals.items()}
    rescued = ibis.cases(
        (~judged["_sound"], ibis.null("string")),
        (judged[REJECTED], dialect.to_json(ibis.struct(texts))),
        *_rescues(judged, texts, dialect),
        else_=ibis.null("string"),
    )
    names = [c.name for c in rules.columns]
    return judged.select(*names, *rules.extra, *LINEAGE, rescued.name(RESCUED), REJECTED)


def _typed(raw: Expr, rules: RowRules, dialect: Dialect) -> tuple[Expr, dict[str, str]]:
    """The typed columns, and per column whether its value was lost, or coerced.

    Returns the table, and the names under which it has the original columns. Casts stand in a select of
    their own, below those that ask about their results: engines evaluate a CASE wherever it is written.
    """
    raw = _with_missing(raw, rules)
    originals = {name: f"_raw_{i}" for i, name in enumerate(n for n in raw.columns if not n.startswith("_"))}
    verdicts = {
        c.name: canonical_text(raw[c.name], c.type) for c in rules.columns if raw[c.name].type().is_string()
    }
    told = {n: f"_canonical_{n}" for n, v in verdicts.items() if v is not None and not always(v)}
    raw = dialect.apart(raw.mutate(**{column: verdicts[n] for n, column in told.items()}))
    casts = {
        c.name: cast(raw[c.name], c.type, dialect, raw[told[c.name]] if c.name in told else None)
        for c in rules.columns
    }
    cells = raw.select(
        *(made.value.name(name) for name, made in casts.items()),
        *(made.canonical.name(f"_canonical_{name}") for name, made in casts.items()),
        *(raw[name].cast(kept_type(raw[name].type())).name(name) for name in rules.extra),
        *(raw[name] for name in (*LINEAGE, "_sound")),
        *(raw[name].name(column) for name, column in originals.items()),
    )
    cells = dialect.apart(cells)
    cells = dialect.apart(cells.mutate(**{c.name: settled(cells[c.name], c.type) for c in rules.columns}))
    flags: dict[str, Expr] = {}
    for i, column in enumerate(rules.columns):
        there = _there(cells[originals[column.name]])
        value, canonical = cells[column.name], cells[f"_canonical_{column.name}"]
        failed = value.isnull() if rules.coerce else value.isnull() | ~canonical
        flags[f"_lost_{i}"] = there & failed
        kept = column.name in rules.keep_original
        if rules.coerce and (kept or not always(casts[column.name].canonical)):
            flags[f"_coerced_{column.name}"] = there & value.notnull() & (True if kept else ~canonical)
    known = {c.name for c in rules.columns}
    for name in rules.keep_original:
        if name not in known:
            flags[f"_coerced_{name}"] = _there(cells[originals[name]])
    return dialect.apart(cells.mutate(**flags)), originals


def kept_type(kind: dt.DataType) -> dt.DataType:
    """The type in which validated keeps an undeclared column: every width of a number in its widest."""
    if kind.is_integer():
        return dt.int64
    if kind.is_floating():
        return dt.float64
    if kind.is_timestamp():
        return dt.Timestamp("UTC", 6)
    return dt.string if kind.is_null() else kind(nullable=True)


def _there(cell: Expr) -> Expr:
    """Whether a cell has a value; NaN is one, which Ibis takes for NULL in Spark."""
    return cell.notnull() | cell.isnan().fill_null(False) if cell.type().is_floating() else cell.notnull()


def _rescues(judged: Expr, texts: dict[str, Expr], dialect: Dialect) -> Iterator[tuple[Expr, Expr]]:
    """When a good row keeps original text, and the JSON that does: at most one pair."""
    flags = {n.removeprefix("_coerced_"): judged[n] for n in judged.columns if n.startswith("_coerced_")}
    if flags:
        kept = {n: w.ifelse(_text(texts[n], dialect), ibis.null("string")) for n, w in flags.items()}
        yield _any(list(flags.values())), dialect.to_json(ibis.struct(kept))


def explained(rejects: Expr, rules: RowRules, raw_schema: ibis.Schema, dialect: Dialect) -> Expr:
    """``_partition``, ``_source``, ``_record``, ``reasons`` and ``original`` of rejected rows.

    The original values are the rows' ``_rescued``, and all that is known of them.
    """
    shape = dt.Struct({name: raw_schema[name] for name in raw_schema.names if not name.startswith("_")})
    original = dialect.from_json(rejects[RESCUED], shape)
    raw = rejects.select(
        *(original[name].name(name) for name in shape.names),
        *(rejects[name] for name in LINEAGE),
        rejects[RESCUED],
        rejects[RESCUED].notnull().name("_sound"),
    )
    typed, originals = _typed(raw, replace(rules, extra=(RESCUED,)), dialect)
    texts = {c.name: _text(typed[originals[c.name]], dialect) for c in rules.columns}
    faults = _faults(typed, rules, dialect, [typed[f"_lost_{i}"] for i in range(len(rules.columns))])
    entries = [_reason(f, texts[f.column] if f.value is None else f.value) for f in faults]
    malformed = _struct("MALFORMED_ROW", "", ibis.null("string"), "The record is not a JSON object.")
    found = ibis.array(entries).filter(lambda r: r.notnull())
    reasons = typed["_sound"].ifelse(found, ibis.array([malformed]))
    return typed.select(*LINEAGE, reasons.name("reasons"), typed[RESCUED].name("original"))


VALUE_LENGTH = 1000  # characters of a value that a reason quotes; the whole is in the row's original
REASON = dt.Struct({"code": dt.string, "column": dt.string, "value": dt.string, "message": dt.string})


def _reason(fault: Fault, text: Expr) -> Expr:
    entry = _struct(fault.code, fault.column, text.substr(0, VALUE_LENGTH), fault.message)
    return fault.when.ifelse(entry, ibis.null(REASON))


def _struct(code: str, column: str, value: Expr, message: str) -> Expr:
    return ibis.struct(
        {
            "code": ibis.literal(code),
            "column": ibis.literal(column),
            "value": value,
            "message": ibis.literal(message),
        }
    ).cast(REASON)


def _with_missing(raw: Expr, rules: RowRules) -> Expr:
    """Optional columns the file does not have are NULL."""
    missing = [c for c in rules.columns if c.name not in raw.columns]
    return raw.mutate(**{c.name: ibis.null("string") for c in missing}) if missing else raw


def _text(cell: Expr, dialect: Dialect) -> Expr:
    if cell.type().is_string():
        return cell
    return dialect.to_json(cell) if cell.type().is_nested() else dialect.text(cell)


def _any(conditions: list[Expr]) -> Expr:
    return reduce(lambda a, b: a | b, conditions)


def _faults(typed: Expr, rules: RowRules, dialect: Dialect, lost: list[Expr]) -> Iterator[Fault]:
    for column, failed in zip(rules.columns, lost, strict=True):
        yield Fault("CAST_FAILED", column.name, failed, f"not a valid {column.type}")
        yield from _broken_rules(column, column.name, typed[column.name], ~failed, dialect)
    if rules.partitions.column:
        yield _elsewhere(typed, rules, dialect)


def _broken_rules(column: Column, path: str, value: Expr, there: Expr, dialect: Dialect) -> Iterator[Fault]:
    """The rules of one column, or of one field of an object, and of all fields within; `there`: where they hold."""
    text = _text(value, dialect) if "." in path else None
    if column.required:
        yield Fault("REQUIRED_NULL", path, there & value.isnull(), "a value is required", text)
    for make in CONSTRAINTS:
        for code, holds, message in make(column, value):
            yield Fault(code, path, there & value.notnull() & ~holds, message, text)
    for inner in column.type.fields if isinstance(column.type, Object) else ():
        within = there & value.notnull()
        yield from _broken_rules(inner, f"{path}.{inner.name}", value[inner.name], within, dialect)


def _elsewhere(typed: Expr, rules: RowRules, dialect: Dialect) -> Fault:
    """A row whose partition column lies outside its file's partition."""
    by, name, zone = rules.partitions.by, rules.partitions.column, rules.partitions.timezone
    value = typed[name]
    start = (
        dialect.parse(typed["_partition"], "yyyy-MM-dd-HH:mm")
        if by == "hourly"
        else typed["_partition"].try_cast("date").cast("timestamp")
    )
    if value.type().is_timestamp() and zone == "UTC":  # bounds are computed once, local times for every row
        end = start + ibis.interval(1, unit=WINDOW_UNIT[by])
        outside = (value < dialect.instant(start, zone)) | (value >= dialect.instant(end, zone))
    else:
        local = dialect.local(value, zone) if value.type().is_timestamp() else value.cast("timestamp")
        outside = local.truncate(WINDOW_UNIT[by]) != start
    return Fault(
        "PARTITION_MISMATCH",
        name,
        value.notnull() & outside,
        f"the row belongs to another partition ({by}, {zone})",
    )


Constraint = Callable[[Column, Expr], Iterator[tuple[str, Expr, str]]]


def _enum(column: Column, value: Expr) -> Iterator[tuple[str, Expr, str]]:
    if column.enum:
        allowed = ", ".join(str(v) for v in column.enum[:20])
        yield (
            "NOT_ALLOWED",
            value.isin([_constant(column.type, v) for v in column.enum]),
            f"allowed are {allowed}",
        )


def _range(column: Column, value: Expr) -> Iterator[tuple[str, Expr, str]]:
    bounds = (
        (column.minimum, operator.ge, "at least"),
        (column.maximum, operator.le, "at most"),
        (column.exclusive_minimum, operator.gt, "greater than"),
        (column.exclusive_maximum, operator.lt, "less than"),
    )
    for bound, holds, words in bounds:
        if bound is not None:
            yield "OUT_OF_RANGE", holds(*_comparable(column.type, value, bound)), f"must be {words} {bound}"


def _comparable(type_: Type, value: Expr, bound: Bound) -> tuple[Expr, Expr]:
    """A value and its bound, in one type: an engine that finds one for two decimals may overflow it."""
    if not isinstance(type_, Decimal):
        return value, ibis.literal(bound)
    if not bound or decimal.Decimal(bound).adjusted() < type_.precision - type_.scale:  # type: ignore[arg-type]
        return value, _constant(type_, bound)
    return value.cast("float64"), ibis.literal(float(bound))  # type: ignore[arg-type]


def _constant(type_: Type, value: Value | Bound) -> Expr:
    """A value of the contract as one of the column's type; a decimal by its text, lest it pass through a double."""
    return (
        ibis.literal(f"{value:f}").cast(type_.ibis)
        if isinstance(type_, Decimal)
        else ibis.literal(value, type_.ibis)
    )


def _pattern(column: Column, value: Expr) -> Iterator[tuple[str, Expr, str]]:
    if column.pattern is not None:
        yield "PATTERN_MISMATCH", value.re_search(column.pattern), f"must match {column.pattern}"


def _length(column: Column, value: Expr) -> Iterator[tuple[str, Expr, str]]:
    if column.min_length is not None:
        yield (
            "LENGTH_OUT_OF_RANGE",
            value.length() >= column.min_length,
            f"must have at least {column.min_length} characters",
        )
    if column.max_length is not None:
        yield (
            "LENGTH_OUT_OF_RANGE",
            value.length() <= column.max_length,
            f"must have at most {column.max_length} characters",
        )


CONSTRAINTS: tuple[Constraint, ...] = (_enum, _range, _pattern, _length)
