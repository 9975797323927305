"""Evaluate rulesets on tables: plan, run, decide; for one table or for every group of it at once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from lake_pipeline.dqdl.answers import Answers
from lake_pipeline.dqdl.attempt import Failure, attempt
from lake_pipeline.dqdl.composites import combined
from lake_pipeline.dqdl.files import File
from lake_pipeline.dqdl.guard import PRIMARY
from lake_pipeline.dqdl.measure import Row
from lake_pipeline.dqdl.nodes import Rule, Ruleset
from lake_pipeline.dqdl.outcomes import ERROR, FAILED, PASSED, Analysis, Evaluation, Outcome, RowBuilder
from lake_pipeline.dqdl.parser import parse
from lake_pipeline.dqdl.past import History, Past, Surroundings, depth, series
from lake_pipeline.dqdl.plan import Data, Step, plan
from lake_pipeline.dqdl.rows import row_results
from lake_pipeline.dqdl.samples import add_samples
from lake_pipeline.dqdl.subject import Engine, Group
from lake_pipeline.errors import UsageError, did_you_mean

# What Arrow, Polars and pandas have in common, and Polars' lazy frames.
TABULAR = ("__arrow_c_stream__", "__dataframe__", "collect_schema")


def evaluate(
    ruleset: Ruleset | str,
    table: Any,
    *,
    sources: Mapping[str, Any] | None = None,
    files: Sequence[File] | None = None,
    history: History | None = None,
    now: datetime | None = None,
) -> Evaluation:
    """The outcomes of a ruleset on a table (Ibis, Arrow, Polars or pandas).

    ``sources`` are the further tables that rules name, ``history`` earlier values of metrics by name with
    the newest first, ``now`` the time that ``now()`` means (default: the clock), ``files`` the files that
    the table was read from (:class:`~lake_pipeline.dqdl.files.FileInfo` or alike).

    >>> import pyarrow as pa
    >>> found = evaluate('Rules = [ IsComplete "id", RowCount > 5 ]', pa.table({"id": [1, 2]}))
    >>> [outcome.status for outcome in found.outcomes]
    ['Passed', 'Failed']
    """
    data = data_of(table, sources, Surroundings(history, files), now)
    return _evaluate(_ruleset(ruleset), data)[None]


def evaluate_by(
    ruleset: Ruleset | str,
    table: Any,
    by: str = "_partition",
    *,
    keys: Iterable[str],
    sources: Mapping[str, Any] | None = None,
    files: Sequence[File] | Mapping[str, Sequence[File]] | None = None,
    history: History | Past | None = None,
    now: datetime | None = None,
    known: Mapping[Hashable, Mapping[Group, Row]] | None = None,
) -> dict[str, Evaluation]:
    """One evaluation for each of ``keys``, the values of column ``by``; also for keys without rows.

    Equal to evaluating the rows of each key alone, without the column ``by``, at the cost of one scan.
    ``files`` may be those of each key. ``history`` may be a :class:`~lake_pipeline.dqdl.past.Past`, which is
    asked for the history of each key, and told what was measured of it, in the order of ``keys``. ``known``
    is what was counted of the same rows before (:func:`~lake_pipeline.dqdl.keys.once_each`).
    """
    around = Surroundings(history, files)
    data = replace(data_of(table, sources, around, now), known=known or {})
    if by not in data.table.columns:
        raise UsageError(f'There is no column "{by}" to group by.{did_you_mean(by, data.table.columns)}')
    grouped = data.table
    if not grouped[by].type().is_string():
        grouped = grouped.mutate(**{by: grouped[by].cast("string")})
    names = tuple(dict.fromkeys(keys))
    if len(names) == 1:  # grouping by one more column would double what uniqueness costs
        around.turn(names[0])
        alone = grouped.filter(grouped[by] == names[0]).drop(by)
        of_it: dict[Hashable, Mapping[Group, Row]] = {
            query: {None: rows.get(names[0], {})} for query, rows in data.known.items()
        }
        found = _evaluate(_ruleset(ruleset), replace(data, table=alone, known=of_it))
        around.judged(names[0], found[None].series)
        return {names[0]: found[None]}
    engine = replace(data.engine, by=by, keys=names)
    found = _evaluate(_ruleset(ruleset), replace(data, engine=engine, table=grouped))
    return {key: found[key] for key in engine.keys}


def _ruleset(ruleset: Ruleset | str) -> Ruleset:
    return parse(ruleset) if isinstance(ruleset, str) else ruleset


def data_of(
    table: Any,
    sources: Mapping[str, Any] | None,
    around: Surroundings,
    now: datetime | None,
) -> Data:
    """What rules are evaluated on: the tables on their engine, and the moment."""
    _check_names(sources or {})
    primary = as_table(table)
    tables = {name: as_table(source) for name, source in (sources or {}).items()}
    # a table that is compared with itself has to be two, or its columns cannot be told apart
    tables = {name: source.view() if source.equals(primary) else source for name, source in tables.items()}
    moment = now or datetime.now(UTC)
    if not isinstance(moment, datetime):
        raise UsageError(f"now is a datetime, such as datetime(2026, 3, 1, tzinfo=UTC), and not {moment!r}.")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return Data(Engine(_connection([primary, *tables.values()])), primary, tables, moment, around)


def _check_names(sources: Iterable[str]) -> None:
    """SQL takes names that differ only in upper and lower case for one."""
    known: dict[str, str] = {}
    for name in sources:
        other = known.setdefault(name.lower(), name)
        if other != name or name.lower() == PRIMARY:
            what = (
                f'"{other}" and "{name}" differ'
                if other != name
                else f'"{name}" differs from the table itself'
            )
            raise UsageError(f"Names of sources: {what} only in upper and lower case; rename one.")


def as_table(table: Any) -> ir.Table:
    """An Ibis table of what is one, or of Arrow, Polars or pandas; raises `UsageError` for anything else."""
    if isinstance(table, ir.Table):
        return table
    if not any(hasattr(table, name) for name in TABULAR):
        what = "no table" if table is None else f"no {type(table).__name__}"
        raise UsageError(f"Rules are evaluated on a table of Ibis, Arrow, Polars or pandas, and on {what}.")
    return ibis.memtable(table)


def _connection(tables: Sequence[ir.Table]) -> Any:
    """The backend of the tables; tables in memory are made known to it, so that SQL can name them."""
    stored = [table for table in tables if not _in_memory(table)]
    connection = ibis.get_backend(stored[0] if stored else tables[0])
    for table in tables:
        if _in_memory(table) and table.columns:
            connection.to_pyarrow(table.limit(0).count())  # no value leaves it, of whatever type
    return connection


def _in_memory(table: ir.Table) -> bool:
    return not table._find_backends()[0]  # noqa: SLF001 - Ibis has no public way to ask


def _evaluate(ruleset: Ruleset, data: Data) -> dict[Group, Evaluation]:
    planned = plan(ruleset.rules, data, ruleset.analyzers)
    answers = Answers(planned, data.engine, data.known)
    alone = {rule for rule in planned.steps if data.engine.by is not None and _needs_own_scan(rule)}
    outcomes: dict[Rule, dict[Group, Outcome]] = {rule: {} for rule in planned.steps}
    analyses: dict[Group, tuple[Analysis, ...]] = {}
    own: dict[Group, Data] = {}
    for group in data.engine.keys if data.engine.by is not None else (None,):
        own[group] = _of_group(data, group)
        for rule, step in planned.steps.items():
            judged = _by_itself(rule, own[group]) if rule in alone else _outcome(step, answers, group)
            outcomes[rule][group] = judged
        analyses[group] = tuple(_analysis(planned.analyses[a], answers, group) for a in ruleset.analyzers)
        if group is not None:  # what is measured of one is history of those after it
            data.around.judged(group, _series(outcomes, analyses, group))
    for rule, step in planned.steps.items():
        if rule not in alone:
            add_samples(outcomes[rule], step.measure, data.engine)
    found = {}
    for group, its in own.items():
        of_rules = {rule: by_group[group] for rule, by_group in outcomes.items()}
        whole = tuple(combined(rule, of_rules, its) for rule in ruleset.rules)
        rows = _row_builder(ruleset, its, whole)
        found[group] = Evaluation(whole, analyses[group], _series(outcomes, analyses, group), rows)
    return found


def _series(
    outcomes: Mapping[Rule, Mapping[Group, Outcome]],
    analyses: Mapping[Group, Sequence[Analysis]],
    group: Group,
) -> dict[str, float]:
    """What was measured of a group, as history names it."""
    measured = [(rule, by_group[group].metrics) for rule, by_group in outcomes.items()]
    measured += [(analysis.analyzer, analysis.metrics) for analysis in analyses[group]]
    return {series(rule, name): value for rule, metrics in measured for name, value in metrics.items()}


def _needs_own_scan(rule: Rule) -> bool:
    """Whether what is measured depends on a group's history, so that groups cannot share a scan."""
    return rule.type == "ColumnValues" and depth(rule.condition) > 0


def _by_itself(rule: Rule, data: Data) -> Outcome:
    return _evaluate(Ruleset.of([rule]), data)[None].outcomes[0]


def _of_group(data: Data, group: Group) -> Data:
    """The data of one group, as if it were alone."""
    by = data.engine.by
    if by is None or group is None:
        return data
    data.around.turn(group)
    alone = data.table.filter(data.table[by] == group).drop(by)
    engine, around = Engine(data.engine.connection), data.around.fixed()
    return replace(data, engine=engine, table=alone, around=around, known={})


def _row_builder(ruleset: Ruleset, data: Data, outcomes: Sequence[Outcome]) -> RowBuilder:
    def build(skip_filtered: bool) -> ir.Table:
        return row_results(ruleset.rules, data, outcomes, skip_filtered=skip_filtered)

    return build


def _outcome(step: Step, answers: Answers, group: Group) -> Outcome:
    if step.measure is None:
        return Outcome(step.rule, ERROR, reason=step.error)
    measure = step.measure
    finding = attempt(lambda: measure.decide(answers.row(step, measure, group)))
    if isinstance(finding, Failure):
        return Outcome(step.rule, ERROR, reason=finding.reason)
    return Outcome(step.rule, PASSED if finding.passed else FAILED, finding.metrics, finding.reason)


def _analysis(step: Step, answers: Answers, group: Group) -> Analysis:
    outcome = _outcome(step, answers, group)
    reason = outcome.reason if outcome.status == ERROR or not outcome.metrics else None
    return Analysis(step.rule, outcome.metrics, reason)
