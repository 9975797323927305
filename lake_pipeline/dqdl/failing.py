"""The rows that fail rules, of many groups in one pass: what a table looks like without them is easy to say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

import ibis
import ibis.expr.types as ir

from lake_pipeline.dqdl.evaluate import data_of
from lake_pipeline.dqdl.nodes import AnyRule
from lake_pipeline.dqdl.past import Surroundings
from lake_pipeline.dqdl.plan import Data, leaves
from lake_pipeline.dqdl.rows import mark, row_level
from lake_pipeline.dqdl.subject import Engine
from lake_pipeline.errors import UsageError


def failing_rows(
    wanted: Mapping[AnyRule, Collection[str]],
    table: Any,
    *,
    by: str,
    lineage: Sequence[str],
    sources: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> ir.Table:
    """The rows that fail a rule, each once: columns ``by``, ``lineage`` and ``fails_0``, ``fails_1``, … in their order.

    ``wanted`` are the rules, and the groups (values of ``by``) whose rows are asked for. The columns
    ``lineage`` identify a row; rules see neither them nor ``by``.
    """
    for rule in wanted:
        if not row_level(rule):
            raise UsageError(f"{rule} judges no single row.")
    keys = tuple(sorted({key for groups in wanted.values() for key in groups}))
    whole = data_of(table, sources, Surroundings(), now)
    rows = whole.table.filter(whole.table[by].isin(keys))
    data = replace(whole, engine=replace(whole.engine, by=by, keys=keys), table=rows, hidden=tuple(lineage))
    shared = [rule for rule in wanted if not _of_whole_groups(rule)]
    marked = mark(shared, data)
    names = {rule: f"fails_{i}" for i, rule in enumerate(wanted)}
    fails = {
        names[rule]: marked.table[by].isin([*wanted[rule]]) & ~_passes(marked.value(rule)) for rule in shared
    }
    found = marked.table.select(by, *lineage, **fails)
    for rule in wanted:
        if rule not in shared:
            found = _joined(found, names[rule], _group_by_group(rule, wanted[rule], data), [by, *lineage])
    found = found.select(by, *lineage, *names.values())
    return found.filter(reduce(or_, [found[name] for name in names.values()]))


def _passes(value: ir.BooleanValue | None) -> ir.BooleanValue:
    """What says nothing of a row does not fail it."""
    return ibis.literal(True) if value is None else value.fill_null(True)


def _of_whole_groups(rule: AnyRule) -> bool:
    """Whether a rule's SQL reads all rows of a group, so that groups cannot share the pass."""
    return any(leaf.type == "CustomSql" for leaf in leaves([rule]))


def _group_by_group(rule: AnyRule, keys: Collection[str], data: Data) -> ir.Table:
    """The identities of the rows that fail a rule, each group being judged alone."""
    by = str(data.engine.by)
    parts = []
    for key in keys:
        alone = data.table.filter(data.table[by] == key)
        own = replace(data, engine=Engine(data.engine.connection), table=alone, hidden=(by, *data.hidden))
        marked = mark([rule], own)
        failed = marked.table.filter(~_passes(marked.value(rule)))
        parts.append(failed.select(by, *data.hidden))
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _joined(found: ir.Table, name: str, failed: ir.Table, identity: Sequence[str]) -> ir.Table:
    """The table with a column that says which of its rows are among the failed."""
    known = failed.select(**{f"__{i}": failed[c] for i, c in enumerate(identity)}).mutate(__failed=True)
    joined = found.left_join(known, [found[c] == known[f"__{i}"] for i, c in enumerate(identity)])
    return joined.select(*found.columns, **{name: joined["__failed"].fill_null(False)})
