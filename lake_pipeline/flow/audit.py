"""The audit of staged partitions: schema, data quality rules, balance. What it cannot judge fails.

All partitions are audited in shared scans; each gets verdicts of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lake_pipeline import dqdl
from lake_pipeline.contracts import Contract, QualityRule
from lake_pipeline.datasets import Dataset
from lake_pipeline.dqdl.keys import once_each
from lake_pipeline.dqdl.outcomes import ERROR
from lake_pipeline.engines.casts import Expr
from lake_pipeline.flow.sift import Sifted, visible
from lake_pipeline.flow.state import Balance
from lake_pipeline.reasons import Reason

SCHEMA, BALANCE = "schema", "balance"
QUARANTINED = "QuarantinedRows"


@dataclass(frozen=True)
class Verdict:
    """One check of one partition. severity: ``error`` refuses the partition, ``warning`` warns.

    quarantined: the rows that left because they fail it, where the rest keeps it: that warns, and refuses nothing.
    """

    name: str
    passed: bool
    severity: str
    rule: str
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    quarantined: int = 0

    @property
    def refuses(self) -> bool:
        """Whether the partition cannot be published."""
        return not self.passed and self.level == "error"

    @property
    def level(self) -> str:
        """What failing means here: the severity, but of a check whose failing rows left, ``warning``."""
        return "warning" if self.quarantined else self.severity


def check_names(contract: Contract) -> list[tuple[str, str, str]]:
    """(name, severity, rule) of every check of a dataset, as Dagster is told before anything runs."""
    rules = [(c.name, c.severity, str(c.rule)) for c in contract.checks]
    return [*rules, (SCHEMA, "error", SCHEMA_TEXT), (BALANCE, "error", BALANCE_TEXT)]


SCHEMA_TEXT = "types, required values, constraints and keys are the contract's"
BALANCE_TEXT = "landed = curated + quarantined + deduplicated + filtered"


def audit(
    dataset: Dataset,
    staged: Expr,
    partitions: Sequence[str],
    sources: Mapping[str, Expr],
    *,
    history: dqdl.Past | None = None,
    files: Mapping[str, Sequence[dqdl.File]] | None = None,
    now: datetime | None = None,
    sifted: Sifted | None = None,
    single: tuple[str, Mapping[str, int]] | None = None,
) -> dict[str, tuple[Verdict, ...]]:
    """The verdicts of each partition on the staged rows, in the order of `check_names`, without the balance.

    history: what rules look back at; it is told what is measured of each partition. files: the landed files of
    each partition. now: the run's time. sifted: what the rules that quarantine rows found; `staged` is then the
    rows that stay. single: a column that was found to have no value twice, and by partition its rows with a value.
    """
    # pandera is slow to import, and most runs change nothing
    from lake_pipeline.flow.schema import schema_faults

    partitions = sorted(partitions)
    contract = dataset.contract
    implied = implied_rules(contract)
    rules = [c.rule for c in contract.checks]
    found: Mapping[str, Any] = {}
    if rules or implied or contract.analyzers:
        ruleset = dqdl.Ruleset((*rules, *implied), contract.analyzers)
        past = AfterSifting(history, sifted) if history is not None and sifted is not None else history
        found = dqdl.evaluate_by(
            ruleset,
            visible(staged),
            keys=partitions,
            sources=sources,
            files=files,
            history=past,
            now=now,
            known=once_each(*single) if single else None,
        )
    broken = schema_faults(contract, staged, partitions)
    verdicts = {}
    for partition in partitions:
        outcomes = found[partition].outcomes if found else ()
        ruled = [
            verdict_of(check, outcome, partition, sifted)
            for check, outcome in zip(contract.checks, outcomes[: len(rules)], strict=True)
        ]
        keys = [f"{o.rule}: {o.reason}" for o in outcomes[len(rules) :] if not o.passed]
        faults = [*broken[partition], *keys]
        schema = Verdict(SCHEMA, not faults, "error", SCHEMA_TEXT, "; ".join(faults))
        verdicts[partition] = (*ruled, schema)
    return verdicts


def verdict_of(check: QualityRule, outcome: dqdl.Outcome, partition: str, sifted: Sifted | None) -> Verdict:
    """The verdict of a rule on a partition; of one that quarantines rows, with what it found before they left.

    It warns where rows left and the rest keeps it, and refuses where the rest does not.
    """
    name, rule = check.name, str(check.rule)
    before = sifted.outcomes.get(partition, {}).get(name) if sifted is not None else None
    if before is None:
        return Verdict(name, outcome.passed, check.severity, rule, outcome.reason or "", outcome.metrics)
    rows = sifted.failing.get(partition, {}).get(name, 0) if sifted is not None else 0
    metrics = {**before.metrics, QUARANTINED: float(rows)}
    if before.status == ERROR or not outcome.passed:
        reason = (before if before.status == ERROR else outcome).reason or ""
        return Verdict(name, False, check.severity, rule, reason, metrics)
    if before.passed:
        return Verdict(name, True, check.severity, rule, "", metrics)
    reason = f"{rows} row{'s' * (rows != 1)} quarantined: {before.reason or ''}"
    return Verdict(name, False, check.severity, rule, reason, metrics, rows)


class AfterSifting:
    """A history to which rules that quarantine rows give what they measured before rows left."""

    def __init__(self, history: dqdl.Past, sifted: Sifted) -> None:
        self._history, self._sifted = history, sifted

    def before(self, key: str) -> dqdl.History:
        """What the history has."""
        return self._history.before(key)

    def judged(self, key: str, metrics: Mapping[str, float]) -> None:
        """Tell the history."""
        self._history.judged(key, {**metrics, **self._sifted.series(key)})


def balance_verdict(balance: Balance) -> Verdict:
    """The law as a check."""
    counts = {name: float(value) for name, value in vars(balance).items()}
    return Verdict(
        BALANCE, balance.holds, "error", BALANCE_TEXT, "" if balance.holds else str(balance), counts
    )


def implied_rules(contract: Contract) -> list[Any]:
    """The keys that the contract promises, as rules, where no rule of its own says so."""
    own = {str(c.rule) for c in contract.checks}
    texts = []
    if contract.primary_key:
        texts.append("IsPrimaryKey " + " ".join(f'"{name}"' for name in contract.primary_key))
    texts.extend(f'IsUnique "{c.name}"' for c in contract.columns if c.unique)
    return [dqdl.parse(f"Rules = [ {text} ]").rules[0] for text in texts if text not in own]


def failure_reasons(verdicts: Iterable[Verdict]) -> list[Reason]:
    """The reasons with which a refused partition's rows are quarantined."""
    return [
        Reason("DATA_QUALITY_FAILURE", f"{v.rule}: {v.reason}" if v.reason else v.rule, column=v.name)
        for v in verdicts
        if v.refuses
    ]


def named_sources(dataset: Dataset, known: Iterable[str]) -> list[str]:
    """The other datasets that the dataset's rules name."""
    text = "\n".join(str(c.rule) for c in dataset.contract.checks)
    return [name for name in known if name != dataset.name and _mentions(text, name)]


def _mentions(text: str, name: str) -> bool:
    import re

    return re.search(rf'(?<![\w.]){re.escape(name)}(?=["\.\s]|$)', text) is not None
