"""What a file's columns are against the contract's, and whether the dataset's policy bears it.

Pure: names and types in, events out. A text file (CSV, JSON Lines read as text) has names only; a
Parquet file has types too, and they are compared down into objects and arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import ibis
import ibis.expr.datatypes as dt

from lake_pipeline.contracts.datatypes import (
    Array,
    Boolean,
    Date,
    Decimal,
    Integer,
    Number,
    Object,
    String,
    Timestamp,
    Type,
)
from lake_pipeline.contracts.model import RESERVED_PREFIX, Column, Contract, DriftPolicy
from lake_pipeline.errors import did_you_mean

Kind = Literal[
    "column_added",
    "column_missing",
    "required_column_missing",
    "column_duplicated",
    "column_case_changed",
    "columns_reordered",
    "type_changed",
    "nested_changed",
]
Observed: TypeAlias = Sequence[str] | Mapping[str, dt.DataType | str | None] | ibis.Schema

# Contract type -> the source types that hold nothing which it could not hold: no drift.
CARRIERS: dict[type, tuple[type[dt.DataType], ...]] = {
    String: (dt.String,),
    Integer: (dt.SignedInteger, dt.UInt8, dt.UInt16, dt.UInt32),
    Number: (dt.Floating, dt.Integer),
    Decimal: (dt.Decimal,),
    Boolean: (dt.Boolean,),
    Date: (dt.Date,),
    Timestamp: (dt.Timestamp,),
    Object: (dt.Struct,),
    Array: (dt.Array,),
}
# Types of which the source itself says nothing: an all-NULL column, schemaless JSON, an unknown type.
SAYS_NOTHING = (dt.Null, dt.JSON, dt.Unknown)
NESTED = (dt.Struct, dt.Array, dt.Map)
MOST_ADDED = 1000  # a file with more columns that nobody declared has data where names should be


@dataclass(frozen=True)
class DriftEvent:
    """One difference between a file and the contract; `column` is "" when it is about all of them.

    `breaking` means that the policy refuses the file. Fields are named by path: `address.zip`, `tags[]`.
    """

    kind: Kind
    column: str
    detail: str
    breaking: bool


def classify(contract: Contract, observed: Observed, *, ordered: bool = True) -> tuple[DriftEvent, ...]:
    """Every difference between the columns of a file and the contract; empty when there is none.

    `observed` is the header, or a mapping of column to ibis type (or its name; None where the format
    knows none). `ordered=False` is for formats whose columns have no order, such as JSON.
    """
    names = tuple(observed.names) if isinstance(observed, ibis.Schema) else tuple(observed)
    types = _types(observed)
    known = {column.name: column for column in contract.columns}
    events = [*_duplicated(names), *_missing(contract, names), *_added(contract, names)]
    if ordered:
        events += _reordered(contract, names)
    for name in dict.fromkeys(names):
        observed_type = types.get(name)
        if name in known and observed_type is not None:
            events += _compare(name, known[name].type, observed_type, contract.drift)
    return tuple(events)


def _types(observed: Observed) -> dict[str, dt.DataType]:
    if not isinstance(observed, Mapping):  # an ibis.Schema is a Mapping too
        return {}
    return {name: dt.dtype(given) for name, given in observed.items() if given is not None}


def _duplicated(names: tuple[str, ...]) -> Iterator[DriftEvent]:
    times = Counter(name.casefold() for name in names)
    for name in dict.fromkeys(names):
        if times[name.casefold()] > 1:
            many = f"{times[name.casefold()]} times in the file, but for its case"
            detail = f'"{name}" stands {many}; which one is meant is open.'
            yield DriftEvent("column_duplicated", name, detail, breaking=True)


def _missing(contract: Contract, names: tuple[str, ...]) -> Iterator[DriftEvent]:
    for column in contract.columns:
        if column.name in names:
            continue
        if column.required:
            detail = f'Required column "{column.name}" is not in the file.{did_you_mean(column.name, names)}'
            yield DriftEvent("required_column_missing", column.name, detail, breaking=True)
        else:
            detail = f'Optional column "{column.name}" is not in the file.{did_you_mean(column.name, names)}'
            breaking = contract.drift.missing_optional == "refuse"
            yield DriftEvent("column_missing", column.name, detail, breaking)


def _added(contract: Contract, names: tuple[str, ...]) -> Iterator[DriftEvent]:
    known = {column.name: column.name.casefold() for column in contract.columns}
    folded = {fold: name for name, fold in known.items()}
    added = [name for name in dict.fromkeys(names) if name not in known]
    if len(added) > MOST_ADDED:
        detail = f"{len(added)} columns are not in the contract, for example {shown(added[0])}; at most {MOST_ADDED} may be."
        yield DriftEvent("column_added", "", detail, breaking=True)
        return
    for name in added:
        meant = folded.get(name.casefold())
        if meant is not None:
            detail = f'Column "{name}" is "{meant}" in the contract; is it meant, whose case differs?'
            yield DriftEvent("column_case_changed", name, detail, breaking=True)
            continue
        detail = f'Column "{shown(name)}" is not in the contract.{did_you_mean(name, known)}'
        why = _unusable(name, contract.drift)
        yield DriftEvent("column_added", name, detail + why, bool(why) or contract.drift.additive == "refuse")


def shown(name: str) -> str:
    """A column's name for a message: its beginning, where it is long."""
    return name if len(name) <= 100 else f"{name[:100]}…"


def _unusable(name: str, policy: DriftPolicy) -> str:
    """Why a file with an undeclared column of that name cannot be read; empty where it can."""
    if not name.strip() or "\0" in name:
        return " It cannot be read: a name must have a character that is seen, and no NUL."
    if policy.additive == "keep" and name.startswith(RESERVED_PREFIX):
        return " It cannot be kept: names that begin with _ belong to the lake's lineage columns."
    return ""


def _reordered(contract: Contract, names: tuple[str, ...]) -> Iterator[DriftEvent]:
    expected = [column.name for column in contract.columns if column.name in names]
    seen = [name for name in dict.fromkeys(names) if name in expected]
    if seen == expected:
        return
    first = next(index for index, pair in enumerate(zip(expected, seen, strict=True)) if len(set(pair)) > 1)
    detail = (
        f'Columns stand in another order, from "{seen[first]}" on, where "{expected[first]}" was expected.'
    )
    yield DriftEvent("columns_reordered", "", detail, contract.drift.reordered == "refuse")


def _compare(path: str, wanted: Type, seen: dt.DataType, policy: DriftPolicy) -> Iterator[DriftEvent]:
    """The differences of one value's type, down to its last field."""
    if isinstance(seen, SAYS_NOTHING):
        return
    if isinstance(wanted, Object) and isinstance(seen, dt.Struct):
        yield from _compare_fields(path, wanted, seen, policy)
    elif isinstance(wanted, Array) and isinstance(seen, dt.Array):
        yield from _compare(f"{path}[]", wanted.item, seen.value_type, policy)
    elif isinstance(wanted, Object | Array) or isinstance(seen, NESTED):
        detail = f'"{path}" is {seen} in the file and {wanted} in the contract; neither becomes the other.'
        yield DriftEvent("nested_changed", path, detail, breaking=True)
    elif not _holds(wanted, seen):
        detail = f'"{path}" is {seen} in the file and {wanted} in the contract.'
        yield DriftEvent("type_changed", path, detail, policy.types == "strict")


def _holds(wanted: Type, seen: dt.DataType) -> bool:
    if isinstance(wanted, Decimal) and isinstance(seen, dt.Decimal):
        scale, precision = seen.scale or 0, seen.precision or 38
        return scale <= wanted.scale and precision - scale <= wanted.precision - wanted.scale
    return isinstance(seen, CARRIERS[type(wanted)])


def _compare_fields(path: str, wanted: Object, seen: dt.Struct, policy: DriftPolicy) -> Iterator[DriftEvent]:
    refuse = policy.nested == "refuse"
    known = {field.name: field for field in wanted.fields}
    for field in wanted.fields:
        if field.name not in seen.names:
            yield _missing_field(path, field, seen.names, refuse)
    for name, seen_type in seen.items():
        if name not in known:
            detail = f'Field "{path}.{name}" is not in the contract.{did_you_mean(name, known)}'
            yield DriftEvent("nested_changed", f"{path}.{name}", detail, refuse)
        else:
            yield from _compare(f"{path}.{name}", known[name].type, seen_type, policy)


def _missing_field(path: str, field: Column, names: Sequence[str], refuse: bool) -> DriftEvent:
    kind = "Required" if field.required else "Optional"
    detail = f'{kind} field "{path}.{field.name}" is not in the file.{did_you_mean(field.name, names)}'
    return DriftEvent("nested_changed", f"{path}.{field.name}", detail, refuse or field.required)
