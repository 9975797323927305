"""What an evaluation says: an outcome for each rule, metrics, and the verdict on each row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import ibis.expr.types as ir

from lake_pipeline.dqdl.nodes import AnyRule, Rule
from lake_pipeline.errors import UsageError

PASSED, FAILED, ERROR = "Passed", "Failed", "Error"


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
class Analysis:
    """What an analyzer measured; ``reason`` says why there is nothing."""

    analyzer: Rule
    metrics: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None


RowBuilder = Callable[[bool], ir.Table]


@dataclass(frozen=True)
class Evaluation:
    """The outcomes of a ruleset, in its order, and what its analyzers measured.

    ``series`` is what to keep as history: the metrics of rules and analyzers by names that no two rules
    share (see :func:`lake_pipeline.dqdl.past.series`).
    """

    outcomes: tuple[Outcome, ...]
    analyses: tuple[Analysis, ...] = ()
    series: Mapping[str, float] = field(default_factory=dict)
    build_rows: RowBuilder | None = field(default=None, compare=False, repr=False)

    @property
    def passed(self) -> bool:
        """True only when there is at least one outcome and every one passed."""
        return bool(self.outcomes) and all(outcome.passed for outcome in self.outcomes)

    @property
    def metrics(self) -> dict[str, float]:
        """All metrics of rules and analyzers by name."""
        found: dict[str, float] = {}
        for metrics in (*(o.metrics for o in self.outcomes), *(a.metrics for a in self.analyses)):
            found.update(metrics)
        return found

    def rows(self, *, skip_filtered: bool = False) -> ir.Table:
        """The table with ``DataQualityRulesPass``, ``…Fail``, ``…Skip`` and ``DataQualityEvaluationResult``.

        A rule without row-level results is skipped; one that could not be evaluated fails every row. A row
        that a rule's ``where`` leaves out passes the rule, or with ``skip_filtered`` is skipped by it.
        """
        if self.build_rows is None:
            raise UsageError("This evaluation was made without its table: it has no rows.")
        return self.build_rows(skip_filtered)
