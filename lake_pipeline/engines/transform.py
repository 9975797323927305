"""From validated rows to curated ones: the transform, deduplication, and the counts that must balance.

Every row that does not come out is counted where it is dropped: by the filter that dropped it, or as a
loser of its key; never as what is left of a subtraction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.schema as sch
from ibis.common.exceptions import IbisError
from sqlglot import exp

from lake_pipeline.contracts import Contract
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.config import Deduplicate
from lake_pipeline.datasets.transforms import (
    Default,
    Derive,
    Filter,
    Lower,
    Rename,
    Select,
    Step,
    Trim,
    Upper,
)
from lake_pipeline.dqdl import sql
from lake_pipeline.dqdl.keys import hash_of
from lake_pipeline.dqdl.subject import RuleError
from lake_pipeline.engines.casts import Expr
from lake_pipeline.engines.engine import Engine
from lake_pipeline.engines.rows import LINEAGE
from lake_pipeline.errors import LakeError, Terminal, did_you_mean

KEEP = "__keep"
VALUE = "__value"


class TransformError(Terminal):
    """The transform cannot be applied, or breaks the law: it may drop rows, and make none."""


@dataclass(frozen=True)
class Transformed:
    """The rows after a transform. dropped: tables (``_partition``, ``dropped``), one per filter."""

    table: Expr
    dropped: tuple[Expr, ...] = ()
    checked: bool = field(default=True)


def transform(validated: Expr, dataset: Dataset, connection: Any) -> Transformed:
    """Apply the dataset's transform and bring the columns into the contract's form and order."""
    if dataset.function:
        return _by_function(validated, dataset)
    table, dropped = validated, []
    for step in dataset.config.steps:
        if isinstance(step, Filter):
            table, count = _filter(table, step, connection)
            dropped.append(count)
        else:
            table = _apply(table, step, dataset.contract, connection)
    return Transformed(conform(table, dataset.contract), tuple(dropped))


def _by_function(validated: Expr, dataset: Dataset) -> Transformed:
    """A Python transform: what it dropped is found by the rows' lineage."""
    try:
        table = dataset.function(validated)
        missing = [n for n in LINEAGE if n not in table.columns]
        if missing:
            raise TransformError(
                f"The transform of {dataset.name} must keep the lineage columns; it dropped {missing}."
            )
        made = int(table.anti_join(validated, ["_source", "_record"]).count().execute())
        places = int(table.select("_source", "_record").distinct().count().execute())
        if (broken := made + int(table.count().execute()) - places) > 0:
            raise TransformError(
                f"The transform of {dataset.name} made {broken} rows that did not land. A transform may drop "
                "rows and add columns; explode or aggregate in a dataset of your own downstream."
            )
    except LakeError:
        raise
    except Exception as e:  # a user's function may raise anything
        raise TransformError(f"The transform of {dataset.name} failed: {type(e).__name__}: {e}") from e
    lost = validated.anti_join(table, ["_source", "_record"])
    return Transformed(
        conform(table, dataset.contract), (lost.group_by("_partition").aggregate(dropped=lost.count()),)
    )


def conform(table: Expr, contract: Contract) -> Expr:
    """The contract's columns in its types and order, and the lineage; further columns stay behind."""
    missing = [c.name for c in contract.columns if c.name not in table.columns]
    if missing:
        raise TransformError(
            f'After the transform there is no column "{missing[0]}", which the contract has.'
            f"{did_you_mean(missing[0], table.columns)}"
        )
    columns = [
        table[c.name] if table[c.name].type() == c.type.ibis else table[c.name].cast(c.type.ibis).name(c.name)
        for c in contract.columns
    ]
    return table.select(*columns, *(table[name] for name in LINEAGE))


def _apply(table: Expr, step: Step, contract: Contract, connection: Any) -> Expr:
    wanted = STEP_COLUMNS.get(type(step), lambda s: tuple(s.columns))(step)
    for name in wanted:
        if name not in table.columns:
            raise TransformError(
                f'{type(step).__name__.lower()}: there is no column "{name}".{did_you_mean(name, table.columns)}'
            )
    return APPLY[type(step)](table, step, contract, connection)


def _rename(table: Expr, step: Rename, _: Contract, __: Any) -> Expr:
    return table.rename(dict(step.columns))


def _derive(table: Expr, step: Derive, contract: Contract, connection: Any) -> Expr:
    for name, text in step.columns.items():
        kind = contract.column(name).type.ibis
        table = _computed(table, text, f"__{name}", kind, connection, f"derive: {name}")
        table = table.mutate(**{name: table[f"__{name}"]}).drop(f"__{name}")
    return table


def _filter(table: Expr, step: Filter, connection: Any) -> tuple[Expr, Expr]:
    flagged = _computed(table, step.condition, KEEP, dt.boolean, connection, "filter")
    keep = flagged[KEEP].fill_null(False)
    counts = flagged.group_by("_partition").aggregate(dropped=(~keep).sum())
    return flagged.filter(keep).drop(KEEP), counts


def _computed(table: Expr, text: str, name: str, kind: dt.DataType, connection: Any, where: str) -> Expr:
    """The table with one more column, an SQL expression (Spark SQL, translated for the engine)."""
    try:
        value = exp.cast(sql.predicate(text), exp.DataType.build(_spark_type(kind), dialect="spark"))
        rendered = sql.render(value, connection, {sql.PRIMARY: table})
        column = f"{rendered} AS {sql.quoted(name, connection)}"
        schema = {**dict(table.schema().items()), name: kind}
        select = f"SELECT *, {column} FROM {sql.quoted(sql.PRIMARY, connection)}"
        return sql.over(connection, {sql.PRIMARY: table}, select, sch.Schema(schema))
    except (RuleError, IbisError) as e:
        raise TransformError(f"{where}: {text}: {e}") from e


def _spark_type(kind: dt.DataType) -> str:
    from ibis.backends.sql.datatypes import PySparkType

    return str(PySparkType.to_string(kind))


def _text(function: str) -> Any:
    """A function of SQL on columns, so that it means what it means in `derive`."""

    def apply(table: Expr, step: Upper, _: Contract, connection: Any) -> Expr:
        for name in step.columns:
            text = f"{function}({sql_name(name)})"
            table = _computed(table, text, f"__{name}", dt.string, connection, f"{function}: {name}")
            table = table.mutate(**{name: table[f"__{name}"]}).drop(f"__{name}")
        return table

    return apply


def sql_name(name: str) -> str:
    """A column's name in Spark SQL."""
    return exp.to_identifier(name, quoted=True).sql(dialect=sql.SPARK)


def _stripped(table: Expr, step: Trim, _: Contract, __: Any) -> Expr:
    return table.mutate(**{name: table[name].strip() for name in step.columns})


def _default(table: Expr, step: Default, _: Contract, __: Any) -> Expr:
    return table.mutate(
        **{n: table[n].fill_null(ibis.literal(v).cast(table[n].type())) for n, v in step.columns.items()}
    )


def _select(table: Expr, step: Select, _: Contract, __: Any) -> Expr:
    return table.select(*step.columns, *LINEAGE)


APPLY: Mapping[type, Any] = {
    Rename: _rename,
    Derive: _derive,
    Upper: _text("upper"),
    Lower: _text("lower"),
    Trim: _stripped,
    Default: _default,
    Select: _select,
}
STEP_COLUMNS: Mapping[type, Any] = {
    Rename: lambda s: tuple(s.columns.values()),
    Derive: lambda s: (),
}


@dataclass(frozen=True)
class Losers:
    """What deduplication drops.

    rows: (``_partition``, ``_source``, ``_record``) of those that lose to another with their key; None if there are
    none. single: where there are none, by partition the rows that have a key, each its own.
    """

    rows: Expr | None = None
    single: Mapping[str, int] = field(default_factory=dict)


def losers(
    engine: Engine,
    backend: Any,
    table: Expr,
    rule: Deduplicate,
    landing_order: Expr,
    partitions: Sequence[str],
) -> Losers:
    """What deduplication drops of the rows of some partitions.

    Keys are first compared by hash: only rows whose hash occurs twice are ranked, so that data without
    duplicates costs one grouping of 8-byte values. A key with a NULL in it equals no other.
    `landing_order` has ``_source`` and ``_landed``, the position in which objects landed.
    """
    by = [] if len(partitions) == 1 else ["_partition"]
    columns = [hash_of(table[name], backend.name).name(f"__h{i}") for i, name in enumerate(rule.key)]
    present = reduce(lambda a, b: a & b, [table[name].notnull() for name in rule.key])
    names = [*by, *(f"__h{i}" for i in range(len(rule.key)))]
    hashed = table.filter(present).select("_partition", *columns).select(*names)
    found = engine.repeats(hashed, by)
    if not any(counts.twice for counts in found):
        return Losers(single={counts.group or partitions[0]: counts.keys for counts in found})
    keys = hashed.group_by(names).aggregate(__n=hashed.count())
    twice = keys.filter(keys["__n"] > 1)
    rows = table.filter(present).select(*dict.fromkeys([*rule.key, *rule.order_by, *LINEAGE]))
    rows = rows.mutate(**{f"__h{i}": hash_of(rows[name], backend.name) for i, name in enumerate(rule.key)})
    candidates = rows.semi_join(twice, names).left_join(landing_order, "_source")
    order = [candidates[name] for name in rule.order_by]
    order += [candidates["_landed"], candidates["_record"]]
    window = ibis.window(
        group_by=["_partition", *rule.key],
        order_by=[ibis.desc(o) if rule.keep == "last" else ibis.asc(o) for o in order],
    )
    ranked = candidates.mutate(__rank=ibis.row_number().over(window))
    return Losers(ranked.filter(ranked["__rank"] > 0).select(*LINEAGE))
