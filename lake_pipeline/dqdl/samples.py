"""A few offending values, named in the reasons of the groups of rows that failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir

from lake_pipeline.dqdl.attempt import Failure, attempt
from lake_pipeline.dqdl.measure import VALUE, Measure
from lake_pipeline.dqdl.outcomes import FAILED, Outcome
from lake_pipeline.dqdl.subject import Engine, Group

SAMPLE = 3
LONGEST = 60


def add_samples(outcomes: dict[Group, Outcome], measure: Measure | None, engine: Engine) -> None:
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
        shown = ", ".join(map(_shown, values))
        outcomes[group] = replace(outcome, reason=f"{outcome.reason}; for example {shown}")


def _shown(value: Any) -> str:
    """A value as people write it, and not too much of it."""
    if value is None:
        return "NULL"
    text = str(value) if isinstance(value, date | time | Decimal) else repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


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
