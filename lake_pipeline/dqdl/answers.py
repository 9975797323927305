"""The engine's answers to what a plan asks, each query run once.

An aggregate that breaks breaks the scan that it is in. Then the scan is halved, until it is alone: its rules are
errors, and the others share the few scans that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

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
        self._scanned: dict[str, Mapping[Group, Row] | Failure] = {}
        self._scan(list(planned.aggregates))

    def row(self, step: Step, measure: Measure, group: Group) -> Row:
        """What the rule's measure asked for, for one group; None for what has no rows."""
        scan = step.scan or {}
        row = {name: self._of(self._scanned[column], group).get(column) for name, column in scan.items()}
        for query in measure.queries:
            answer = self._once(query.key, lambda query=query: query.run(self._engine))  # type: ignore[misc]
            row.update({query.prefix + name: value for name, value in self._of(answer, group).items()})
        return Blank(row)

    def _scan(self, columns: Sequence[str]) -> None:
        """Measure these aggregates of the plan in as few scans as there can be."""
        if not columns:
            return
        wanted = {column: self._planned.aggregates[column] for column in columns}
        found = attempt(lambda: self._engine.rows(self._engine.grouped(self._planned.table, wanted)))
        if isinstance(found, Failure) and len(columns) > 1:
            middle = len(columns) // 2
            self._scan(columns[:middle])
            self._scan(columns[middle:])
        else:
            self._scanned |= dict.fromkeys(columns, found)

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
