"""Rules that quarantine the rows that fail them (`on_fail: quarantine_rows`): what leaves, and what stays.

They are judged first, on all staged rows. Where one fails, the rows that fail it leave; the rest goes on to the
audit, in which every rule is judged on the rows that stay. There the rule must hold, or the partition is refused,
for then it was not those rows that made it fail, or none is left. A rule that could not be evaluated quarantines
nothing and refuses the partition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import ibis
import ibis.expr.datatypes as dt

from lake_pipeline import dqdl
from lake_pipeline.contracts import QualityRule
from lake_pipeline.datasets import Dataset
from lake_pipeline.dqdl.outcomes import FAILED
from lake_pipeline.dqdl.past import series
from lake_pipeline.dqdl.plan import leaves
from lake_pipeline.engines.casts import Expr

BY, IDENTITY = "_partition", ("_source", "_record")
REASON = dt.Struct(dict.fromkeys(("code", "column", "value", "message"), dt.string))


def visible(staged: Expr) -> Expr:
    """What rules see of staged rows, and the partition; files by partition may bring columns of their own."""
    return staged.select(*(c for c in staged.columns if not c.startswith("_") or c == BY))


def unchanged(table: Expr) -> Expr:
    """The table, computed whenever it is read."""
    return table


@dataclass(frozen=True)
class Sifted:
    """What the rules that quarantine rows made of staged partitions.

    staying: the staged rows without those that leave. rejected: the rows that leave, each once, with the columns
    `_partition`, `_source`, `_record` and `reasons` (as in the quarantine); None where none does. outcomes: of
    these rules on all rows, by partition and check. rows: how many leave, by partition; failing: how many fail
    a check, by partition and check.
    """

    staying: Expr
    rejected: Expr | None = None
    outcomes: Mapping[str, Mapping[str, dqdl.Outcome]] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    failing: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def series(self, partition: str) -> dict[str, float]:
        """What these rules measured of all rows: the history of their metrics is of what came in."""
        found: dict[str, float] = {}
        for outcome in self.outcomes.get(partition, {}).values():
            for leaf in leaves([outcome.rule]):
                found |= {series(leaf, name): value for name, value in outcome.metrics.items()}
        return found


def sift(
    dataset: Dataset,
    staged: Expr,
    partitions: Sequence[str],
    sources: Mapping[str, Expr],
    *,
    history: dqdl.Past | None = None,
    now: datetime | None = None,
    keep: Callable[[Expr], Expr] = unchanged,
) -> Sifted:
    """Tell the rows that leave from those that stay; without rules that quarantine rows, nothing is computed.

    keep: has a table computed once, for instance ``partial(engine.keep, backend)``.
    """
    checks = [check for check in dataset.contract.checks if check.quarantine_rows]
    if not checks or not partitions:
        return Sifted(staged)
    ruleset = dqdl.Ruleset.of(check.rule for check in checks)
    keys = sorted(partitions)
    found = dqdl.evaluate_by(
        ruleset, visible(staged), BY, keys=keys, sources=sources, history=history, now=now
    )
    outcomes = {key: {c.name: o for c, o in zip(checks, found[key].outcomes, strict=True)} for key in keys}
    failed = {c: [k for k in keys if outcomes[k][c.name].status == FAILED] for c in checks}
    failed = {check: groups for check, groups in failed.items() if groups}
    if not failed:
        return Sifted(staged, outcomes=outcomes)
    staged = staged.select(*(c for c in staged.columns if not c.startswith("_") or c in (BY, *IDENTITY)))
    wanted = {check.rule: groups for check, groups in failed.items()}
    rows = dqdl.failing_rows(wanted, staged, by=BY, lineage=IDENTITY, sources=sources, now=now)
    rejected = keep(explained(rows, list(failed)))
    counts = counted(rejected, list(failed))
    return Sifted(
        staying=staged.anti_join(rejected, [BY, *IDENTITY]) if counts else staged,
        rejected=rejected if counts else None,
        outcomes=outcomes,
        rows={key: row["rows"] for key, row in counts.items()},
        failing={key: {c.name: row[c.name] for c in failed} for key, row in counts.items()},
    )


def explained(rows: Expr, checks: Sequence[QualityRule]) -> Expr:
    """The failing rows with all their reasons."""
    reasons = [
        ibis.ifelse(
            rows[f"fails_{i}"],
            ibis.literal(
                {"code": "DATA_QUALITY_FAILURE", "column": c.name, "value": None, "message": str(c.rule)},
                REASON,
            ),
            ibis.null(REASON),
        )
        for i, c in enumerate(checks)
    ]
    listed = ibis.array(reasons).filter(lambda reason: reason.notnull())
    return rows.select(BY, *IDENTITY, reasons=listed)


def counted(rejected: Expr, checks: Sequence[QualityRule]) -> dict[str, dict[str, int]]:
    """By partition: the rows that leave, and those that fail each check."""
    names = rejected["reasons"].map(lambda reason: reason["column"])
    failing = {f"failing_{i}": names.contains(c.name).sum() for i, c in enumerate(checks)}
    found = rejected.aggregate(rows=rejected.count(), **failing, by=BY).to_pyarrow().to_pylist()
    return {
        row[BY]: {
            "rows": row["rows"],
            **{c.name: int(row[f"failing_{i}"] or 0) for i, c in enumerate(checks)},
        }
        for row in found
    }
