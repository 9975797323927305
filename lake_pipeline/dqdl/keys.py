"""Uniqueness: how often the values of a key occur, exactly, and small in memory.

Keys of any width are first grouped by their 64-bit hashes; only the rows whose hash occurs more than once
are grouped by the keys themselves. A unique key costs one grouping of 8-byte values.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import cache, partial, reduce
from operator import and_, or_
from typing import Any, cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from lake_pipeline.dqdl.measure import VALUE, Finding, Measure, Query, Row, judge, measures, number, ratio
from lake_pipeline.dqdl.subject import Engine, Group, Subject, present

NOTHING: Mapping[str, int] = {"present": 0, "once": 0, "distinct": 0}


# The backends' 64-bit hashes: Ibis' own is 32 bits wide in Spark and takes a detour by BIT in DuckDB.
HASHES = {"duckdb": "hash", "pyspark": "xxhash64"}


@cache
def _builtin(name: str, kind: dt.DataType) -> Callable[[ir.Value], ir.Value]:
    def column_hash(column: Any) -> Any:
        """A function that the backend has already."""

    return cast(
        Callable[[ir.Value], ir.Value],
        ibis.udf.scalar.builtin(column_hash, name=name, signature=((kind,), dt.int64)),
    )


def hash_of(value: ir.Value, backend: str) -> ir.Value:
    """The backend's 64-bit hash of a value."""
    name = HASHES.get(backend)
    return _builtin(name, value.type())(value) if name else value.hash()


def once_each(name: str, rows: Mapping[str, int]) -> dict[Hashable, Mapping[Group, Row]]:
    """What `occurrences` finds of a column in which no value occurs twice. rows: those with a value, by group."""
    counts: dict[Group, Row] = {group: {"present": n, "once": n, "distinct": n} for group, n in rows.items()}
    return {("occurrences", (name,), None, False): counts}


def occurrences(subject: Subject, names: tuple[str, ...], *, all_null: bool = False) -> Query:
    """Rows with a key (``present``), keys occurring once (``once``) and distinct keys (``distinct``).

    Rows whose key columns are all NULL count only with ``all_null``; NULL equals NULL in a key.
    """
    where = None if subject.kept is None else subject.kept.get_name()
    keyed = _keyed(subject, names, all_null=all_null)
    return Query(("occurrences", names, where, all_null), partial(occurrences_of, keyed))


def times(subject: Subject, names: tuple[str, ...]) -> ir.IntegerValue:
    """In how many of the rows that the rule sees a row's key occurs, as a value of the row."""
    window = ibis.window(
        group_by=[subject.table[c] for c in subject.engine.group_columns] + [subject.column(n) for n in names]
    )
    if subject.kept is None:
        return cast(ir.IntegerValue, subject.table.count().over(window))
    return cast(ir.IntegerValue, subject.kept.fill_null(False).cast(dt.int64).sum().over(window))


def _unique_rows(subject: Subject) -> ir.BooleanValue:
    """Whether a row's key occurs once; a row without a key is none of the rule's, and passes."""
    names = subject.rule.names
    keyed = reduce(or_, [present(subject.column(name)) for name in names])
    return (times(subject, names) == 1) | ~keyed


def _key_rows(subject: Subject) -> ir.BooleanValue:
    complete = reduce(and_, [present(subject.column(name)) for name in subject.rule.names])
    return (times(subject, subject.rule.names) == 1) & complete


def _keyed(subject: Subject, names: tuple[str, ...], *, all_null: bool) -> ir.Table:
    """The rows' keys as ``__key_0``, ``__key_1``, … beside the group's column."""
    columns = [subject.column(name) for name in names]
    rows = subject.selected
    if not all_null:
        rows = rows.filter(reduce(or_, [present(column) for column in columns]))
    return rows.select(
        *subject.engine.group_columns, **{f"__key_{i}": column for i, column in enumerate(columns)}
    )


def _key_columns(keyed: ir.Table) -> list[str]:
    return [name for name in keyed.columns if name.startswith("__key_")]


def occurrences_of(keyed: ir.Table, engine: Engine) -> Mapping[Group, Row]:
    """The counts of :func:`occurrences` for keys in columns ``__key_0``, ``__key_1`` and so on."""
    keys = [*engine.group_columns, *_key_columns(keyed)]
    if _is_narrow(keyed):
        return engine.rows(_totals(_counted(keyed, keys), engine))
    found = engine.rows(_totals(_by_hash(keyed, engine), engine))
    if all(row["once"] == row["distinct"] for row in found.values()):
        return found
    exact = engine.rows(_totals(_counted(_suspects(keyed, engine), keys), engine))
    return {group: _corrected(row, exact.get(group, NOTHING)) for group, row in found.items()}


def _is_narrow(keyed: ir.Table) -> bool:
    """Whether the key is a single value that is no wider than its hash."""
    kinds = [keyed[key].type() for key in _key_columns(keyed)]
    return len(kinds) == 1 and (kinds[0].is_integer() or kinds[0].is_temporal() or kinds[0].is_boolean())


def _hashed(keyed: ir.Table, engine: Engine) -> ir.Table:
    backend = engine.connection.name
    return keyed.mutate(**{f"__hash{key}": hash_of(keyed[key], backend) for key in _key_columns(keyed)})


def _marks(keyed: ir.Table, engine: Engine) -> list[str]:
    return [*engine.group_columns, *(f"__hash{key}" for key in _key_columns(keyed))]


def _by_hash(keyed: ir.Table, engine: Engine) -> ir.Table:
    return _counted(_hashed(keyed, engine), _marks(keyed, engine))


def _suspects(keyed: ir.Table, engine: Engine) -> ir.Table:
    """The rows whose hash occurs more than once: all that repeat a key, and a few that collide."""
    counted, marks = _by_hash(keyed, engine), _marks(keyed, engine)
    return _hashed(keyed, engine).semi_join(counted.filter(counted.occurs > 1).select(*marks), marks)


def _counted(table: ir.Table, columns: list[str]) -> ir.Table:
    return table.aggregate(occurs=table.count(), by=columns)


def _totals(counted: ir.Table, engine: Engine) -> ir.Table:
    return engine.grouped(
        counted,
        {
            "present": counted.occurs.sum().fill_null(0),
            "once": counted.count(where=counted.occurs == 1).fill_null(0),  # of nothing, NULL in Spark
            "distinct": counted.count(),
        },
    )


def _corrected(hashed: Row, exact: Row) -> Row:
    """Hashes that occur once are keys that occur once; the rest was counted exactly."""
    return {
        "present": hashed["present"],
        "once": hashed["once"] + exact["once"],
        "distinct": hashed["once"] + exact["distinct"],
    }


def _repeated_values(subject: Subject, names: tuple[str, ...], *, all_null: bool = False) -> ir.Table:
    """The keys that occur more than once, as text."""
    keyed = _keyed(subject, names, all_null=all_null)
    rows = keyed if _is_narrow(keyed) else _suspects(keyed, subject.engine)
    keys, groups = _key_columns(keyed), subject.engine.group_columns
    counted = _counted(rows, [*groups, *keys])
    texts = [counted[key].cast(dt.string).fill_null("NULL") for key in keys]
    value = texts[0] if len(texts) == 1 else ibis.literal(", ").join(texts)
    return counted.filter(counted.occurs > 1).select(*groups, **{VALUE: value})


def _metric(subject: Subject, name: str) -> str:
    names = subject.rule.names
    prefix = f"Column.{names[0]}" if len(names) == 1 else f"Multicolumn.{','.join(names)}"
    return f"{prefix}.{name}" if names else f"Dataset.*.{name}"


@measures("Uniqueness", "IsUnique")
def uniqueness(subject: Subject) -> Measure:
    """Values that occur once, of the rows with a key; NULLs are ignored."""
    names = subject.rule.names
    metric = _metric(subject, "Uniqueness")
    return Measure(
        lambda row: judge(subject, metric, ratio(row["once"], row["present"])),
        queries=(occurrences(subject, names),),
        offenders=lambda: _repeated_values(subject, names),
        rows=lambda: _unique_rows(subject),
    )


@measures("UniqueValueRatio")
def unique_value_ratio(subject: Subject) -> Measure:
    """Values that occur once, of the distinct values that are not NULL."""
    metric = _metric(subject, "UniqueValueRatio")
    return Measure(
        lambda row: judge(subject, metric, ratio(row["once"], row["distinct"])),
        queries=(occurrences(subject, subject.rule.names),),
        rows=lambda: _unique_rows(subject),
    )


@measures("DistinctValuesCount")
def distinct_values_count(subject: Subject) -> Measure:
    """Distinct values; NULL counts as one."""
    metric = _metric(subject, "DistinctValuesCount")
    return Measure(
        lambda row: judge(subject, metric, number(row["distinct"] or 0)),
        queries=(occurrences(subject, subject.rule.names, all_null=True),),
    )


@measures("DuplicateRowCount")
def duplicate_row_count(subject: Subject) -> Measure:
    """Rows whose values (of the columns named, or of all) occur in another row as well."""
    names = subject.rule.names or subject.columns
    metric = _metric(subject, "DuplicateRowCount")
    return Measure(
        lambda row: judge(subject, metric, float((row["present"] or 0) - (row["once"] or 0))),
        queries=(occurrences(subject, names, all_null=True),) if names else (),
        offenders=lambda: _repeated_values(subject, names, all_null=True),
        rows=(lambda: times(subject, names) == 1) if names else None,
    )


@measures("IsPrimaryKey")
def is_primary_key(subject: Subject) -> Measure:
    """The key is unique and each of its columns complete."""
    names = subject.rule.names
    metric = _metric(subject, "Uniqueness")
    complete = {f"complete_{i}": subject.column(n).count(where=subject.kept) for i, n in enumerate(names)}

    def decide(row: Row) -> Finding:
        shares = [ratio(row[counted], row["rows"]) for counted in complete]
        extra = {f"Column.{n}.Completeness": share for n, share in zip(names, shares, strict=True)}
        finding = judge(subject, metric, ratio(row["once"], row["present"]), extra=extra)
        partial_columns = [n for n, share in zip(names, shares, strict=True) if share != 1.0]
        if not partial_columns or not row["rows"]:
            return finding
        reason = f"Columns of the key that contain NULL: {', '.join(partial_columns)}"
        return Finding(False, finding.metrics, "; ".join(filter(None, (finding.reason, reason))))

    return Measure(
        decide,
        {"rows": subject.rows, **complete},
        (occurrences(subject, names),),
        lambda: _repeated_values(subject, names),
        lambda: _key_rows(subject),
    )
