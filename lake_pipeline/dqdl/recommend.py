"""Rules proposed from data, as Glue's recommendations are: what holds now, with some room.

Every proposed rule is evaluated on the data before it is proposed; one that does not pass is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from typing import Any

from lake_pipeline.dqdl.evaluate import as_table, evaluate
from lake_pipeline.dqdl.nodes import AnyRule, Ruleset
from lake_pipeline.dqdl.parser import parse
from lake_pipeline.dqdl.profile import MEANT, PATTERNS, ColumnProfile, profile
from lake_pipeline.dqdl.tokens import DQDLSyntaxError

ROOM = 0.05
MOSTLY = 0.95
LEAST_COMPLETE = 0.5


def recommend(table: Any) -> Ruleset:
    """A ruleset that the table (Ibis, Arrow, Polars or pandas) meets: counts, completeness, keys, ranges, sets.

    >>> import pyarrow as pa
    >>> print(recommend(pa.table({"id": [1, 2, 3]})))
    Rules = [
        RowCount between 0 and 7,
        ColumnCount = 1,
        IsComplete "id",
        IsUnique "id",
        ColumnValues "id" between 0 and 4
    ]
    """
    data = as_table(table)
    texts = [f"ColumnCount = {len(data.columns)}"]
    if data.columns:
        profiles = profile(data)
        rows = profiles[0].rows
        texts.insert(
            0, f"RowCount between {max(0, rows // 2 - 1)} and {2 * rows + 1}" if rows else "RowCount >= 0"
        )
        texts.extend(text for column in profiles for text in of_column(column))
    rules = [rule for text in texts if (rule := _parsed(text)) is not None]
    return Ruleset.of(o.rule for o in evaluate(Ruleset.of(rules), data).outcomes if o.passed)


def _parsed(text: str) -> AnyRule | None:
    """The rule, or None for a name or a value that the language cannot spell."""
    try:
        (rule,) = parse(f"Rules = [ {text} ]").rules
    except (DQDLSyntaxError, ValueError):
        return None
    return rule


def of_column(column: ColumnProfile) -> Iterator[str]:
    """The rules for one column."""
    if not column.rows or not column.values:
        return
    yield from _completeness(column)
    if "distinct" not in column.found:
        return
    yield from _uniqueness(column)
    if column.kind.is_string():
        yield from _text(column)
    elif column.kind.is_date() or column.kind.is_timestamp():
        yield from _dates(column)
    elif "least" in column.found:
        yield from _numbers(column)


def _completeness(column: ColumnProfile) -> Iterator[str]:
    share = column.values / column.rows
    if column.complete:
        yield f'IsComplete "{column.name}"'
    elif share >= LEAST_COMPLETE:
        yield f'Completeness "{column.name}" >= {max(0.0, math.floor((share - ROOM) * 100) / 100)}'


def _uniqueness(column: ColumnProfile) -> Iterator[str]:
    if column.kind.is_floating() or column.kind.is_boolean() or column.values < 2:
        return
    share = column.found["distinct"] / column.values
    if share == 1.0:
        yield f'IsUnique "{column.name}"'
    elif share >= MOSTLY:
        yield f'Uniqueness "{column.name}" >= {math.floor((2 * share - 1 - ROOM) * 100) / 100}'


def _present(column: ColumnProfile) -> str:
    """The clause that leaves NULLs to the rule of completeness."""
    name = column.name.replace("`", "``")
    return "" if column.complete else f' where "`{name}` IS NOT NULL"'


def _numbers(column: ColumnProfile) -> Iterator[str]:
    least, most = column.found["least"], column.found["most"]
    if column.found.get("odd") or not (math.isfinite(least) and math.isfinite(most)):
        return
    low, high = math.floor(least) - 1, math.ceil(most) + 1
    yield f'ColumnValues "{column.name}" between {low} and {high}{_present(column)}'


def _dates(column: ColumnProfile) -> Iterator[str]:
    least = column.found["least"]
    if isinstance(least, date):
        yield f'ColumnValues "{column.name}" >= "{least.isoformat()}"{_present(column)}'


def _text(column: ColumnProfile) -> Iterator[str]:
    found, where = column.found, _present(column)
    shortest, longest = found["shortest"], found["longest"]
    if shortest == longest:
        yield f'ColumnLength "{column.name}" = {longest}'
    else:
        yield f'ColumnLength "{column.name}" <= {longest}'
    meant = next((kind for kind in MEANT if found[f"meant {kind}"] == column.values), None)
    if meant is not None:
        yield f'ColumnDataType "{column.name}" = "{meant}"{where}'
    if column.listed:
        texts = ", ".join(f'"{_escaped(text)}"' for text in column.listed)
        yield f'ColumnValues "{column.name}" in [{texts}]{where}'
        return
    pattern = next((p for i, p in enumerate(PATTERNS) if found[f"pattern {i}"] == column.values), None)
    if pattern is not None:
        yield f'ColumnValues "{column.name}" matches "{pattern}"{where}'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
