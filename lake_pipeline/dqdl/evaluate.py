"""Evaluate rulesets on tables: plan, run, decide; for one table or for every group of it at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from lake_pipeline.dqdl.attempt import Failure, attempt
from lake_pipeline.dqdl.measure import VALUE, Measure, Row
from lake_pipeline.dqdl.nodes import AnyRule, Composite, Rule, Ruleset
from lake_pipeline.dqdl.parser import parse
from lake_pipeline.dqdl.plan import Data, Plan, Step, plan
from lake_pipeline.dqdl.subject import Engine, Group, History, RuleError
from lake_pipeline.errors import UsageError, did_you_mean

PASSED, FAILED, ERROR = "Passed", "Failed", "Error"
SAMPLE = 3


@dataclass(frozen=True)
class Outcome:
    """The verdict on one rule: ``Passed``, ``Failed`` or, where it could not be evaluated, ``Error``."""

    rule: AnyRule
    status: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the rule passed."""
        return self.status == PASSED


@dataclass(frozen=True)
class Evaluation:
    """The outcomes of a ruleset, in its order."""

    outcomes: tuple[Outcome, ...]

    @property
    def passed(self) -> bool:
        """True only when there is at least one outcome and every one passed."""
        return bool(self.outcomes) and all(outcome.passed for outcome in self.outcomes)


def evaluate(
    ruleset: Ruleset | str,
    table: Any,
    *,
    sources: Mapping[str, Any] | None = None,
    files: Sequence[Any] | None = None,
    history: History | None = None,
    now: datetime | None = None,
) -> Evaluation:
    """The outcomes of a ruleset on a table (Ibis, Arrow, Polars or pandas).

    ``sources`` are the further tables that rules name, ``history`` earlier values of metrics by name with
    the newest first, ``now`` the time that ``now()`` means (default: the clock). ``files`` is accepted for
    rules on files, which are not evaluated yet and have outcome ``Error``.
    """
    data = _data(table, sources, history, now)
    return _evaluate(_ruleset(ruleset), data)[None]


def evaluate_by(
    ruleset: Ruleset | str,
    table: Any,
    by: str = "_partition",
    *,
    keys: Iterable[str],
    sources: Mapping[str, Any] | None = None,
    history: History | None = None,
    now: datetime | None = None,
) -> dict[str, Evaluation]:
    """One evaluation for each of ``keys``, the values of column ``by``; also for keys without rows.

    Equal to evaluating the rows of each key alone, without the column ``by``, at the cost of one scan.
    """
    data = _data(table, sources, history, now)
    if by not in data.table.columns:
        raise UsageError(f'There is no column "{by}" to group by.{did_you_mean(by, data.table.columns)}')
    grouped = data.table
    if not grouped[by].type().is_string():
        grouped = grouped.mutate(**{by: grouped[by].cast("string")})
    names = tuple(dict.fromkeys(keys))
    if len(names) == 1:  # grouping by one more column would double what uniqueness costs
        alone = grouped.filter(grouped[by] == names[0]).drop(by)
        return {names[0]: _evaluate(_ruleset(ruleset), replace(data, table=alone))[None]}
    engine = replace(data.engine, by=by, keys=names)
    found = _evaluate(_ruleset(ruleset), replace(data, engine=engine, table=grouped))
    return {key: found[key] for key in engine.keys}


def _ruleset(ruleset: Ruleset | str) -> Ruleset:
    parsed = parse(ruleset) if isinstance(ruleset, str) else ruleset
    if not parsed.rules:
        raise UsageError("The ruleset has analyzers only: there is no rule to evaluate.")
    return parsed


def _data(
    table: Any, sources: Mapping[str, Any] | None, history: History | None, now: datetime | None
) -> Data:
    tables = {name: _as_table(source) for name, source in (sources or {}).items()}
    primary = _as_table(table)
    moment = now or datetime.now(UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return Data(Engine(_connection([primary, *tables.values()])), primary, tables, moment, history)


def _as_table(table: Any) -> ir.Table:
    return table if isinstance(table, ir.Table) else ibis.memtable(table)


def _connection(tables: Sequence[ir.Table]) -> Any:
    """The backend of the tables; tables in memory are made known to it, so that SQL can name them."""
    stored = [table for table in tables if not _in_memory(table)]
    connection = ibis.get_backend(stored[0] if stored else tables[0])
    for table in tables:
        if _in_memory(table) and table.columns:
            connection.to_pyarrow(table.limit(0))
    return connection


def _in_memory(table: ir.Table) -> bool:
    return not table._find_backends()[0]  # noqa: SLF001 - Ibis has no public way to ask


def _evaluate(ruleset: Ruleset, data: Data) -> dict[Group, Evaluation]:
    planned = plan(ruleset.rules, data)
    answers = _Answers(planned, data.engine)
    groups: tuple[Group, ...] = data.engine.keys if data.engine.by is not None else (None,)
    outcomes = {
        rule: {group: _outcome(step, answers, group) for group in groups}
        for rule, step in planned.steps.items()
    }
    for rule, step in planned.steps.items():
        _add_samples(outcomes[rule], step.measure, data.engine)
    return {
        group: Evaluation(tuple(_combined(rule, outcomes, group) for rule in ruleset.rules))
        for group in groups
    }


class _Answers:
    """The engine's answers, each query run once. A query that fails is an error of its rules only."""

    def __init__(self, planned: Plan, engine: Engine) -> None:
        self._planned = planned
        self._engine = engine
        self._found: dict[Hashable, Mapping[Group, Row] | Failure] = {}
        self._scan = self._once("scan", lambda: self._aggregate(planned.aggregates))

    def row(self, step: Step, measure: Measure, group: Group) -> Row:
        """What the rule's measure asked for, for one group; None for what has no rows."""
        scanned = self._of(self._scanned(step, measure), group)
        row = {name: scanned.get(column) for name, column in (step.scan or {}).items()}
        for query in measure.queries:
            answer = self._once(query.key, lambda query=query: query.run(self._engine))  # type: ignore[misc]
            row.update(_Blank(self._of(answer, group)))
        return _Blank(row)

    def _scanned(self, step: Step, measure: Measure) -> Mapping[Group, Row] | Failure:
        """The shared scan; when that failed, the rule's own part of it."""
        if not isinstance(self._scan, Failure):
            return self._scan
        own = {column: measure.scan[name] for name, column in (step.scan or {}).items()}
        return self._once(("scan", *own), lambda: self._aggregate(own))

    def _aggregate(self, aggregates: Mapping[str, ir.Scalar]) -> Mapping[Group, Row]:
        if not aggregates:
            return {}
        return self._engine.rows(self._engine.grouped(self._planned.table, aggregates))

    def _once(self, key: Hashable, run: Callable[[], Mapping[Group, Row]]) -> Mapping[Group, Row] | Failure:
        if key not in self._found:
            self._found[key] = attempt(run)
        return self._found[key]

    @staticmethod
    def _of(answer: Mapping[Group, Row] | Failure, group: Group) -> Row:
        if isinstance(answer, Failure):
            raise RuleError(answer.reason)
        return answer.get(group, {})


class _Blank(dict[str, Any]):
    """A row in which what was not measured is None."""

    def __missing__(self, key: str) -> None:
        return None


def _outcome(step: Step, answers: _Answers, group: Group) -> Outcome:
    if step.measure is None:
        return Outcome(step.rule, ERROR, reason=step.error)
    measure = step.measure
    finding = attempt(lambda: measure.decide(answers.row(step, measure, group)))
    if isinstance(finding, Failure):
        return Outcome(step.rule, ERROR, reason=finding.reason)
    return Outcome(step.rule, PASSED if finding.passed else FAILED, finding.metrics, finding.reason)


def _add_samples(outcomes: dict[Group, Outcome], measure: Measure | None, engine: Engine) -> None:
    """Name a few offending values in the reasons of the groups that failed."""
    failed = [group for group, outcome in outcomes.items() if outcome.status == FAILED and outcome.metrics]
    if measure is None or measure.offenders is None or not failed:
        return
    offenders = measure.offenders
    samples = attempt(lambda: _samples(offenders(), failed, engine))
    if isinstance(samples, Failure):  # the verdict stands without a sample
        return
    for group, values in samples.items():
        outcome = outcomes[group]
        shown = ", ".join("NULL" if value is None else repr(value) for value in values)
        outcomes[group] = replace(outcome, reason=f"{outcome.reason}; for example {shown}")


def _samples(offenders: ir.Table, failed: Sequence[Group], engine: Engine) -> dict[Group, list[Any]]:
    if engine.by is None:
        first = offenders.distinct().order_by(VALUE).limit(SAMPLE)
        rows = engine.connection.to_pyarrow(first).to_pylist()
        return {None: [row[VALUE] for row in rows]} if rows else {}
    those = offenders.filter(offenders[engine.by].isin([g for g in failed if g is not None])).distinct()
    ranked = those.mutate(_rank=ibis.row_number().over(group_by=engine.by, order_by=VALUE))
    found: dict[Group, list[Any]] = {}
    for row in engine.connection.to_pyarrow(ranked.filter(ranked["_rank"] < SAMPLE)).to_pylist():
        found.setdefault(row[engine.by], []).append(row[VALUE])
    return found


def _combined(rule: AnyRule, outcomes: Mapping[Rule, Mapping[Group, Outcome]], group: Group) -> Outcome:
    """The outcome of a rule; of a composite, from the overall outcomes of its parts.

    A part that could not be evaluated makes the whole an error, even beside a part that passed.
    """
    if not isinstance(rule, Composite):
        return replace(outcomes[rule][group], rule=rule)
    parts = [_combined(part, outcomes, group) for part in rule.rules]
    metrics = {name: value for part in parts for name, value in part.metrics.items()}
    reasons = "; ".join(f"{part.rule}: {part.reason}" for part in parts if part.reason)
    if any(part.status == ERROR for part in parts):
        return Outcome(rule, ERROR, metrics, reasons)
    joined = all if rule.op == "AND" else any
    if joined(part.passed for part in parts):
        return Outcome(rule, PASSED, metrics)
    return Outcome(rule, FAILED, metrics, reasons)
