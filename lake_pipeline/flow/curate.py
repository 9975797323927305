"""Curate: the validated rows of a partition become its candidate, are audited, and published or refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
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
from lake_pipeline.flow.publish import curated_schema, publish, refuse, store_report, stored_verdicts
from lake_pipeline.flow.settle import State, look, record, settle
from lake_pipeline.flow.state import Balance, Manifest, Memory, Outcome, once
from lake_pipeline.flow.validate import Validated, known_objects, not_overtaken
from lake_pipeline.reasons import Reason
from lake_pipeline.storage.lake import Overtaken

ZONES = ("curated", "quarantine")
VERSION = "1"  # of what curating means: a new one publishes everything again


class NotValidated(Terminal):
    """The partition has landed objects that were not validated."""


class AuditIncomplete(Terminal):
    """The audit did not answer for every check of the contract."""


class ValidatedTwice(Transient):
    """Two receipts count the same object, as versions of old could make them; the next validation keeps one."""


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


def curate(
    work: Work, partitions: Iterable[str], taken: Mapping[str, Manifest] | None = None
) -> dict[str, Curated]:
    """Publish or refuse each partition that has anything landed; what is decided already stays decided.

    taken: the inventory by which this very run has validated; else the newest one counts. Where the work is
    forced, all is staged and audited again; that opens no gate.
    """
    memory = Memory(work.lake, work.dataset)
    state = settle(work, memory, look(work, memory, partitions, ZONES))
    candidates = prepare(work, memory, state, taken)
    inputs = source_snapshots(work)
    settled = {c.partition: decided(work, c, inputs) for c in candidates}
    todo = [c for c in candidates if work.force or settled[c.partition] is None]
    done = process(work, memory, state, todo, inputs) if todo else {}
    found = {c.partition: done.get(c.partition) or settled[c.partition] for c in candidates}
    seen = state.seen["curated"].snapshot or 0
    return {
        p: c if p in done else replace(c, outcome=replace(c.outcome, snapshot=seen))
        for p, c in found.items()
        if c is not None
    }


def prepare(
    work: Work, memory: Memory, state: State, taken: Mapping[str, Manifest] | None = None
) -> list[Candidate]:
    """What is known of each partition; raises `NotValidated` where validation is due first.

    Raises `Overtaken` where this run has validated, and another one has changed since what that made.
    """
    partitions = list(state.seen["curated"].partitions)
    manifests = memory.manifests(partitions) if taken is None else taken
    rules = rules_hash(work)
    found = []
    for partition, manifest in manifests.items():
        not_overtaken(manifest, state)
        receipts = state.receipts.get(partition, ())
        known = known_objects(receipts, rules, manifest)
        waiting = [e.key for e in manifest.sources if e.status != "gone" and e.id not in known]
        if waiting and taken is not None:
            raise Overtaken(f"{work.dataset.name} {partition}: another run has validated it by other rules.")
        if waiting:
            raise NotValidated(
                f'{work.dataset.name} {partition}: "{waiting[0]}" is not validated under this contract. '
                f"Materialize validated/{work.dataset.name} first, or use `lake run {work.dataset.name}`."
            )
        mine = tuple(r for r in receipts if r.rules == rules)
        if len({o.id for r in mine for o in r.objects}) != sum(len(r.objects) for r in mine):
            raise ValidatedTwice(f"{work.dataset.name} {partition} was validated by two runs at once.")
        previous = state.outcomes.get(partition)
        published = memory.published(partition, previous)
        visible = memory.manifest(partition, published.manifest).sources if published else ()
        candidate = Candidate(
            partition,
            manifest,
            Validated(partition, tuple(known.values())),
            mine,
            fingerprint(work, manifest),
            previous,
            published,
            frozenset(e.id for e in visible),
        )
        once(f"{work.dataset.name} {partition}", candidate.files, candidate.rejects)
        found.append(candidate)
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


def process(
    work: Work, memory: Memory, state: State, todo: list[Candidate], inputs: str
) -> dict[str, Curated]:
    """Have all assessed together; what passes is published in one commit, and the rest quarantined."""
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
    outcomes = [
        judged(work, c, found[c.partition], balances[c.partition], verdicts.get(c.partition), inputs)
        for c in todo
    ]
    state = record(work, memory, state, {"curated": curated_schema(work)}, outcomes=outcomes)
    snapshot = state.seen["curated"].snapshot or 0
    return {
        o.partition: Curated(
            o.partition,
            "published" if o.state == "published" else "failed" if o.state == "failed" else "refused",
            replace(state.outcomes[o.partition], snapshot=snapshot),
            verdicts.get(o.partition, ()),
            ran,
        )
        for o in outcomes
    }


def judged(
    work: Work,
    candidate: Candidate,
    found: Assessment,
    balance: Balance,
    verdicts: tuple[Verdict, ...] | None,
    inputs: str,
) -> Outcome:
    """What is decided of an assessed candidate. verdicts: None where its transform failed."""
    if verdicts is None:
        return refuse(work, candidate, found, [Reason("TRANSFORM_FAILURE", found.failure)], inputs)
    if any(v.refuses for v in verdicts):
        by = refused_by(work, candidate, inputs)
        return refuse(work, candidate, found, failure_reasons(verdicts), by)
    return publish(work, candidate, found, balance, inputs)


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
