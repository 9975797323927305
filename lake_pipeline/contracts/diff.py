"""What a new version of a contract changes, and for whom it breaks.

A change is breaking when data that kept the old version may fail the new one, or when a query
written for the old version may fail or mean something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lake_pipeline.contracts.datatypes import Decimal, Type
from lake_pipeline.contracts.model import Column, Contract

# Attributes of a column that say which values are allowed, as people read them.
CONSTRAINTS = (
    "unique",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "exclusive_minimum",
    "exclusive_maximum",
    "min_length",
    "max_length",
)
_UNSET = (None, (), False)


@dataclass(frozen=True)
class Change:
    """One difference between two versions; `column` is "" when it is about the whole contract."""

    kind: str
    column: str
    detail: str
    breaking: bool


def diff(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Everything of meaning that changed from `old` to `new`; empty exactly when their hashes are equal."""
    before = {column.name: column for column in old.columns}
    after = {column.name: column for column in new.columns}
    changes = [
        *(_removed(column) for name, column in before.items() if name not in after),
        *(_added(column) for name, column in after.items() if name not in before),
    ]
    for name in before.keys() & after.keys():
        changes += _column_changes(before[name], after[name])
    return (*sorted(changes, key=lambda change: (change.column, change.kind)), *_contract_changes(old, new))


def _removed(column: Column) -> Change:
    return Change("column_removed", column.name, f"was {column.type}", breaking=True)


def _added(column: Column) -> Change:
    detail = f"{column.type}, {'required' if column.required else 'optional'}"
    return Change("column_added", column.name, detail, breaking=column.required)


def _column_changes(old: Column, new: Column) -> Iterator[Change]:
    if old.type_meaning != new.type_meaning:
        detail = f"{old.type} → {new.type}"
        if str(old.type) == str(new.type):
            detail = f"constraints of fields inside {old.type} changed"
        yield Change("type_changed", old.name, detail, breaking=not _widens(old.type, new.type))
    if old.required != new.required:
        became = "required" if new.required else "optional"
        yield Change("required_changed", old.name, f"became {became}", breaking=True)
    for name in CONSTRAINTS:
        was, is_ = getattr(old, name), getattr(new, name)
        if was != is_:
            dropped = is_ in _UNSET
            yield Change("constraint_changed", old.name, f"{name}: {was!r} → {is_!r}", breaking=not dropped)


def _widens(old: Type, new: Type) -> bool:
    """Iceberg's own rule: a decimal may gain digits before the point; nothing else changes in place."""
    if not (isinstance(old, Decimal) and isinstance(new, Decimal)):
        return False
    return old.scale == new.scale and new.precision >= old.precision


def _contract_changes(old: Contract, new: Contract) -> Iterator[Change]:
    common = [column.name for column in old.columns if column.name in new.column_lines]
    if common != [column.name for column in new.columns if column.name in old.column_lines]:
        yield Change("columns_reordered", "", "the stored order of the columns changed", breaking=False)
    if old.primary_key != new.primary_key:
        detail = f"({', '.join(old.primary_key)}) → ({', '.join(new.primary_key)})"
        yield Change("primary_key_changed", "", detail, breaking=True)
    yield from _rule_changes(old, new)
    if old.drift != new.drift:
        was, is_ = vars(old.drift), vars(new.drift)
        detail = ", ".join(f"{key}: {was[key]} → {is_[key]}" for key in was if was[key] != is_[key])
        yield Change(
            "drift_changed", "", detail, breaking=any(is_[key] in ("refuse", "strict") for key in was)
        )


def _rule_changes(old: Contract, new: Contract) -> Iterator[Change]:
    before = {str(check.rule): check for check in old.checks}
    after = {str(check.rule): check for check in new.checks}
    for text, was in before.items():
        is_ = after.get(text)
        if is_ is None:
            yield Change("rule_removed", "", f"{text} ({was.severity})", breaking=False)
        elif is_.severity != was.severity:
            detail = f"{text}: {was.severity} → {is_.severity}"
            yield Change("severity_changed", "", detail, breaking=is_.severity == "error")
        elif is_.on_fail != was.on_fail:
            detail = f"{text}: {was.on_fail} → {is_.on_fail}"
            yield Change("on_fail_changed", "", detail, breaking=is_.on_fail == "refuse")
    for text, is_ in after.items():
        if text not in before:
            yield Change("rule_added", "", f"{text} ({is_.severity})", breaking=is_.severity == "error")
