"""From rules to what is asked of the engine: one shared scan, and few queries besides."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import ibis.expr.types as ir
from sqlglot import exp

import lake_pipeline.dqdl.aggregates
import lake_pipeline.dqdl.custom
import lake_pipeline.dqdl.file_rules
import lake_pipeline.dqdl.matching
import lake_pipeline.dqdl.numbers
import lake_pipeline.dqdl.shares  # noqa: F401 (these modules register their measures)
from lake_pipeline.dqdl import sql
from lake_pipeline.dqdl.analyzers import analyzer
from lake_pipeline.dqdl.attempt import Failure, attempt
from lake_pipeline.dqdl.clock import at
from lake_pipeline.dqdl.measure import MEASURES, Measure, Row
from lake_pipeline.dqdl.nodes import AnyRule, Composite, Rule
from lake_pipeline.dqdl.past import Surroundings
from lake_pipeline.dqdl.subject import Engine, Group, RuleError, Subject

# Names of the types of a condition, and of NULL, in DuckDB and in Spark.
TRUTH = ("boolean", '"null"', "null", "void")


@dataclass(frozen=True)
class Step:
    """A rule with its measure, or with the reason why it has none.

    ``scan``: its columns of the scan; ``kept``: whether its ``where`` holds.
    """

    rule: Rule
    measure: Measure | None = None
    scan: Mapping[str, str] | None = None
    error: str | None = None
    kept: ir.BooleanValue | None = None


@dataclass(frozen=True)
class Plan:
    """Every distinct rule's and analyzer's step, and the aggregates of the one scan that they share."""

    table: ir.Table
    steps: Mapping[Rule, Step]
    analyses: Mapping[Rule, Step]
    aggregates: Mapping[str, ir.Scalar]


@dataclass(frozen=True)
class Data:
    """What the rules are evaluated on. known: answers to queries, by their keys, that need not be asked."""

    engine: Engine
    table: ir.Table
    sources: Mapping[str, ir.Table]
    now: datetime
    around: Surroundings = field(default_factory=Surroundings)
    hidden: tuple[str, ...] = ()
    known: Mapping[Hashable, Mapping[Group, Row]] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that rules see: all but the group's, and those that are hidden from them."""
        return tuple(name for name in self.table.columns if name not in (self.engine.by, *self.hidden))


def leaves(rules: Iterable[AnyRule]) -> Iterator[Rule]:
    """The simple rules, those inside composites too."""
    for rule in rules:
        if isinstance(rule, Composite):
            yield from leaves(rule.rules)
        else:
            yield rule


def plan(rules: Sequence[AnyRule], data: Data, analyzers: Sequence[Rule] = ()) -> Plan:
    """Plan all rules; one that cannot be planned gets an error and leaves the others alone."""
    distinct = list(dict.fromkeys(leaves(rules)))
    table, kept, broken = _with_where(distinct, data)
    scan = _Scan()

    def step(rule: Rule, build: Callable[[Subject], Measure]) -> Step:
        if rule.where in broken:
            return Step(rule, error=broken[rule.where])
        where = None if rule.where is None else table[kept[rule.where]]
        subject = Subject(
            rule,
            data.engine,
            table,
            data.columns,
            where,
            data.sources,
            data.now,
            data.around,
        )
        measure = attempt(partial(build, subject))
        if isinstance(measure, Failure):
            return Step(rule, error=measure.reason)
        return Step(rule, measure, scan.add(measure.scan), kept=where)

    steps = {rule: step(rule, _measure) for rule in distinct}
    analyses = {rule: step(rule, analyzer) for rule in dict.fromkeys(analyzers)}
    return Plan(table, steps, analyses, scan.aggregates)


class _Scan:
    """The aggregates of the shared scan, each distinct one once."""

    def __init__(self) -> None:
        self.aggregates: dict[str, ir.Scalar] = {}
        self._names: dict[Any, str] = {}

    def add(self, wanted: Mapping[str, ir.Scalar]) -> dict[str, str]:
        """Take aggregates into the scan; their columns there by the names wanted."""
        columns = {}
        for name, expression in wanted.items():
            columns[name] = self._names.setdefault(expression.op(), f"__m{len(self._names)}")
            self.aggregates[columns[name]] = expression
        return columns


def _measure(subject: Subject) -> Measure:
    build = MEASURES.get(subject.rule.type)
    if build is None:
        raise RuleError(f"{subject.rule.type} is an analyzer and no rule")
    return build(subject)


def _with_where(
    rules: Iterable[Rule], data: Data
) -> tuple[ir.Table, Mapping[str, str], Mapping[str | None, str]]:
    """The table with a boolean column per distinct ``where``; their names; and those that are broken."""
    found: dict[str, exp.Expr] = {}
    broken: dict[str | None, str] = {}
    for text in dict.fromkeys(rule.where for rule in rules if rule.where is not None):
        parsed = attempt(partial(_where, text, data))
        if isinstance(parsed, Failure):
            broken[text] = f'where clause is invalid: "{text}": {parsed.reason}'
        else:
            found[text] = parsed
    names = {text: f"__where_{i}" for i, text in enumerate(found)}
    if not names:
        return data.table, {}, broken
    predicates = {names[text]: parsed for text, parsed in found.items()}
    return sql.with_predicates(data.engine.connection, data.table, predicates), names, broken


def _where(text: str, data: Data) -> exp.Expr:
    """The predicate of a ``where``, if the engine understands it on this table and it is one."""
    parsed = at(sql.predicate(text), data.now)
    if any(column.name == data.engine.by for column in parsed.find_all(exp.Column)):
        raise RuleError(f'Column "{data.engine.by}" does not exist.')
    kind = sql.type_of(data.engine.connection, data.table, parsed)
    if kind not in TRUTH:
        raise RuleError(f"it is of type {kind}, and neither true nor false")
    return parsed
