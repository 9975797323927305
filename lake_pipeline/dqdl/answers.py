"""The engine's answers to what a plan asks, each query run once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import ibis.expr.types as ir

from lake_pipeline.dqdl.attempt import Failure, attempt
from lake_pipeline.dqdl.measure import Measure, Row
from lake_pipeline.dqdl.plan import Plan, Step
from lake_pipeline.dqdl.subject import Engine, Group, RuleError


class Answers:
    """Runs the shared scan and the rules' own queries. One that fails is an error of its rules only."""

    def __init__(self, planned: Plan, engine: Engine, known: Mapping[Hashable, Mapping[Group, Row]]) -> None:
        self._planned = planned
        self._engine = engine
        self._found: dict[Hashable, Mapping[Group, Row] | Failure] = {**known}
        self._scan = self._once("scan", lambda: self._aggregate(planned.aggregates))

    def row(self, step: Step, measure: Measure, group: Group) -> Row:
        """What the rule's measure asked for, for one group; None for what has no rows."""
        scanned = self._of(self._scanned(step, measure), group)
        row = {name: scanned.get(column) for name, column in (step.scan or {}).items()}
        for query in measure.queries:
            answer = self._once(query.key, lambda query=query: query.run(self._engine))  # type: ignore[misc]
            row.update({query.prefix + name: value for name, value in self._of(answer, group).items()})
        return Blank(row)

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


class Blank(dict[str, Any]):
    """A row in which what was not measured is None."""

    def __missing__(self, key: str) -> None:
        return None
