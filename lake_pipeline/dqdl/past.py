"""Earlier evaluations, as rules look back at them: which values, how many, and where they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lake_pipeline.dqdl.anomalies import LONGEST
from lake_pipeline.dqdl.files import File
from lake_pipeline.dqdl.nodes import (
    AnyRule,
    Arithmetic,
    Call,
    Composite,
    Condition,
    Number,
    Operand,
    Parenthesis,
    Rule,
)

History = Mapping[str, Sequence[float]]
# Their metric depends on the condition; of other rules the condition only judges it.
OF_CONDITION = frozenset(("ColumnValues", "ColumnDataType", "FileFreshness", "FileSize", "FileMatch"))


class Past(Protocol):
    """Where the history of groups comes from, and where it grows: used in the order of the groups' keys."""

    def before(self, key: str) -> History:
        """Earlier values of metrics, the newest first, for a group that is about to be judged."""
        ...

    def judged(self, key: str, metrics: Mapping[str, float]) -> None:
        """Take note of what was measured of a group."""
        ...


def series(rule: Rule, metric: str) -> str:
    """The name of a metric's history: the metric, and what else of the rule decides about its value.

    >>> series(Rule("RowCount", where="a > 1"), "Dataset.*.RowCount")
    'Dataset.*.RowCount where "a > 1"'
    """
    parts = [metric]
    if rule.type == "CustomSql":
        parts.append(f'"{rule.names[0]}"')
    if rule.type in OF_CONDITION and rule.condition is not None:
        parts.append(str(rule.condition))
    if rule.where is not None:
        parts.append(f'where "{rule.where}"')
    return " ".join(parts)


def looks_back(rules: Iterable[AnyRule]) -> int:
    """How many earlier values the rules look at, at most; 0: they look at none.

    >>> from lake_pipeline.dqdl.parser import parse
    >>> looks_back(parse('Rules = [ RowCount > 0.9 * avg(last(10)), IsComplete "a" ]').rules)
    10
    """
    return max(map(_of_rule, rules), default=0)


def _of_rule(rule: AnyRule) -> int:
    if isinstance(rule, Composite):
        return looks_back(rule.rules)
    if rule.type == "DetectAnomalies":
        return LONGEST
    return max(depth(rule.condition), depth(rule.threshold))


def depth(condition: Condition | None) -> int:
    """How many earlier values a condition looks at."""
    return max(map(_of_operand, condition.operands), default=0) if condition is not None else 0


def _of_operand(operand: Operand) -> int:
    if isinstance(operand, Parenthesis):
        return _of_operand(operand.inner)
    if isinstance(operand, Arithmetic):
        return max(map(_of_operand, (operand.first, *(right for _, right in operand.rest))))
    if not isinstance(operand, Call):
        return 0
    if operand.name != "last":
        return max(map(_of_operand, operand.args), default=0)
    if not operand.args:
        return 1
    count = operand.args[0]
    return max(1, int(float(count.text))) if isinstance(count, Number) else LONGEST


@dataclass(frozen=True)
class Earlier(Mapping[str, Sequence[float]]):
    """A history of evaluations, the newest first: of a metric that none of them has, it is empty."""

    evaluations: Sequence[Mapping[str, float]]

    def __getitem__(self, name: str) -> Sequence[float]:
        return [metrics[name] for metrics in self.evaluations if name in metrics]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for metrics in self.evaluations for name in metrics))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Surroundings:
    """What rules know besides the rows: history and files, of all groups, or of the one being judged."""

    def __init__(
        self,
        history: History | Past | None = None,
        files: Sequence[File] | Mapping[str, Sequence[File]] | None = None,
    ) -> None:
        self._past = None if history is None or isinstance(history, Mapping) else history
        self._history = history if isinstance(history, Mapping) else None
        self._files_by_key = files if isinstance(files, Mapping) else None
        self.files = None if isinstance(files, Mapping) else files

    def turn(self, key: str) -> None:
        """Know what belongs to this group, from here on."""
        if self._past is not None:
            self._history = self._past.before(key)
        if self._files_by_key is not None:
            self.files = self._files_by_key.get(key)

    def fixed(self) -> Surroundings:
        """What is known now, whatever group is turned to later."""
        return Surroundings(self._history, self.files)

    def judged(self, key: str, metrics: Mapping[str, float]) -> None:
        """Tell the past what was measured of a group."""
        if self._past is not None:
            self._past.judged(key, metrics)

    def values(self, rule: Rule, metric: str) -> Sequence[float]:
        """Earlier values of a rule's metric, the newest first; by the metric's plain name where no other is known."""
        if self._history is None:
            return ()
        known = self._history.get(series(rule, metric))
        return self._history.get(metric, ()) if known is None else known
