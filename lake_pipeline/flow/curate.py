"""Curate: the validated rows of a partition become its candidate, are audited, and published or refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lake_pipeline.datasets.loading import dataset_folders, digest
from lake_pipeline.errors import Terminal, Transient
from lake_pipeline.flow import assess
from lake_pipeline.flow.assess import Assessment
from lake_pipeline.flow.audit import Verdict, balance_verdict, check_names, failure_reasons, named_sources
from lake_pipeline.flow.batches import rules_hash
from lake_pipeline.flow.candidate import Candidate
from lake_pipeline.flow.choice import Ran, Size
from lake_pipeline.flow.context import Work
from lake_pipeline.flow.publish import adopt, publish, refuse, store_report, stored_verdicts
from lake_pipeline.flow.state import Balance, Manifest, Memory, Outcome
from lake_pipeline.flow.validate import Validated, known_objects
from lake_pipeline.reasons import Reason

VERSION = "1"  # of what curating means: a new one publishes everything again


class NotValidated(Terminal):
    """The partition has landed objects that were not validated."""


class AuditIncomplete(Terminal):
    """The audit did not answer for every check of the contract."""


class ValidatedTwice(Transient):
    """Two runs at once validated the same object; the next validation keeps the rows of one."""


Action = Literal["published", "refused", "failed", "unchanged", "still refused"]


@dataclass(frozen=True)
class Curated:
    """What curating a partition did.

    outcome: its newest; verdicts: of the audit, when there was one; ran: what staged and audited it.
    """

    partition: str
    action: Action
    outcome: Outcome
    verdicts: tuple[Verdict, ...] = ()
    ran: Ran | None = None

    @property
    def fine(self) -> bool:
        """Whether what was asked for is published."""
        return self.action in ("published", "unchanged")


def curate(work: Work, partitions: Iterable[str]) -> dict[str, Curated]:
    """Publish or refuse each partition that has anything landed; what is decided already stays decided.

    Where the work is forced, all is staged and audited again; that opens no gate.
    """
    memory = Memory(work.lake, work.dataset)
    candidates = prepare(work, memory, list(partitions))
    inputs = source_snapshots(work)
    settled = {c.partition: decided(work, c, inputs) for c in candidates}
    todo = [c for c in candidates if work.force or settled[c.partition] is None]
    done = process(work, memory, todo, inputs) if todo else {}
    return {c.partition: done.get(c.partition) or settled[c.partition] for c in candidates}  # type: ignore[misc]


def prepare(work: Work, memory: Memory, partitions: list[str]) -> list[Candidate]:
    """What is known of each partition; raises `NotValidated` where validation is due first."""
    manifests = memory.manifests(partitions)
    receipts = memory.receipts(partitions)
    outcomes = adopt(work, memory, memory.outcomes(partitions), partitions)
    rules = rules_hash(work)
    found = []
    for partition, manifest in manifests.items():
        known = known_objects(receipts.get(partition, []), rules, manifest)
        waiting = [e.key for e in manifest.sources if e.status != "gone" and e.id not in known]
        if waiting:
            raise NotValidated(
                f'{work.dataset.name} {partition}: "{waiting[0]}" is not validated under this contract. '
                f"Materialize validated/{work.dataset.name} first, or use `lake run {work.dataset.name}`."
            )
        mine = tuple(r for r in receipts.get(partition, []) if r.rules == rules)
        if len({o.id for r in mine for o in r.objects}) != sum(len(r.objects) for r in mine):
            raise ValidatedTwice(f"{work.dataset.name} {partition} was validated by two runs at once.")
        previous = outcomes.get(partition)
        published = memory.published(partition, previous)
        visible = memory.manifest(partition, published.manifest).sources if published else ()
        found.append(
            Candidate(
                partition,
                manifest,
                Validated(partition, tuple(known.values())),
                mine,
                fingerprint(work, manifest),
                previous,
                published,
                frozenset(e.id for e in visible),
            )
        )
    return found


def fingerprint(work: Work, manifest: Manifest) -> str:
    """What a publish is made of: the manifest, the contract, the transform, the code."""
    return digest(VERSION, manifest.hash, rules_hash(work), work.dataset.transform_hash)[:16]


def source_names(work: Work) -> list[str]:
    """The other datasets that the rules compare with."""
    return named_sources(work.dataset, dataset_folders(work.lake.settings.dataset_folders))


def refused_by(work: Work, candidate: Candidate, inputs: str) -> str:
    """What a refused partition was judged by besides its own rows: tables that rules name, and the history.

    When either changes, it is judged again. The history is read for refused partitions only.
    """
    mark = assess.history_of(work, [candidate]).mark(candidate.partition)
    return f"{inputs}/{mark}" if mark else inputs


def source_snapshots(work: Work) -> str:
    """The state of the tables that the rules compare with."""
    names, tables = source_names(work), (work.reference or work.lake).tables
    return digest([(n, tables.snapshot(f"curated.{n}")) for n in names])[:16] if names else ""


def decided(work: Work, candidate: Candidate, inputs: str) -> Curated | None:
    """The stored outcome, with the stored verdicts, where they are about exactly this candidate."""
    previous = candidate.previous
    if previous is None or previous.fingerprint != candidate.fingerprint:
        return None
    if previous.state == "published":
        return Curated(candidate.partition, "unchanged", previous, stored_verdicts(work, candidate))
    if previous.state == "refused" and previous.inputs == refused_by(work, candidate, inputs):
        return Curated(candidate.partition, "still refused", previous, stored_verdicts(work, candidate))
    return None


def process(work: Work, memory: Memory, todo: list[Candidate], inputs: str) -> dict[str, Curated]:
    """Have all assessed together; publish what passes in one commit, and quarantine the rest."""
    size = Size.of(e for c in todo for e in c.manifest.sources if e.id in c.landing)
    answer, ran = work.do(assess.STEP, assess.Request(tuple(todo), source_files(work)), size)
    found = {a.partition: a for a in answer.assessments}
    balances = {c.partition: balance_of(work, c, found[c.partition]) for c in todo}
    verdicts = {p: audited(work, a, balances[p]) for p, a in found.items() if not a.failure}
    for candidate in todo:
        p = candidate.partition
        if p in verdicts:
            metrics, rejected = found[p].metrics, found[p].rejected
            store_report(
                work, candidate, inputs, verdicts[p], balances[p], rejected=rejected, metrics=metrics
            )
    passing = [
        c for c in todo if c.partition in verdicts and not any(v.refuses for v in verdicts[c.partition])
    ]
    outcomes = publish(work, memory, passing, found, balances, inputs)
    done = {p: Curated(p, "published", outcome, verdicts[p], ran) for p, outcome in outcomes.items()}
    for candidate in todo:
        p = candidate.partition
        if p in done:
            continue
        if found[p].failure:
            reasons = [Reason("TRANSFORM_FAILURE", found[p].failure)]
            outcome = refuse(work, memory, candidate, found[p], reasons, inputs)
            done[p] = Curated(p, "failed", outcome, (), ran)
        else:
            reasons = failure_reasons(verdicts[p])
            outcome = refuse(work, memory, candidate, found[p], reasons, refused_by(work, candidate, inputs))
            done[p] = Curated(p, "refused", outcome, verdicts[p], ran)
    return done


def audited(work: Work, assessment: Assessment, balance: Balance) -> tuple[Verdict, ...]:
    """The verdicts of the audit, looked at here: all of the contract's, none of them anybody else's."""
    verdicts = (*assessment.verdicts, balance_verdict(balance))
    expected = [(name, severity) for name, severity, _ in check_names(work.dataset.contract)]
    if [(v.name, v.severity) for v in verdicts] != expected:
        raise AuditIncomplete(
            f"{work.dataset.name} {assessment.partition}: the audit answered {len(verdicts)} checks, and not the "
            f"{len(expected)} of the contract; nothing is published. Run it again with the same version everywhere."
        )
    return verdicts


def source_files(work: Work) -> dict[str, tuple[str, ...]]:
    """The data files of the curated tables that rules compare with; those with nothing published are absent."""
    tables = (work.reference or work.lake).tables
    found = {name: tuple(f.uri for f in tables.files(f"curated.{name}")) for name in source_names(work)}
    return {name: uris for name, uris in found.items() if uris}


def balance_of(work: Work, candidate: Candidate, assessment: Assessment) -> Balance:
    """Where the candidate's rows would be, were it published; each number from its own place."""
    lost = assessment.duplicates
    rule = work.dataset.config.deduplicate
    kept_aside = lost if rule and rule.losers == "quarantine" else 0
    return Balance(
        landed=candidate.validated.rows,
        curated=sum(f.rows for f in assessment.files),
        quarantined=candidate.validated.quarantined + kept_aside + assessment.sifted,
        deduplicated=lost - kept_aside,
        filtered=assessment.filtered,
    )
