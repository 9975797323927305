"""Curate: the validated rows of a partition become its candidate, are audited, and published or refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import ibis

from lake_pipeline.datasets.loading import dataset_folders, digest
from lake_pipeline.dqdl import FileInfo
from lake_pipeline.engines.casts import Expr
from lake_pipeline.engines.staging import Staged, stage
from lake_pipeline.engines.transform import TransformError
from lake_pipeline.errors import Terminal, Transient
from lake_pipeline.flow.audit import Verdict, audit, failure_reasons, named_sources
from lake_pipeline.flow.context import Work
from lake_pipeline.flow.history import MetricHistory
from lake_pipeline.flow.landed import landed_files
from lake_pipeline.flow.publish import (
    Candidate,
    adopt,
    local_files,
    publish,
    refuse,
    store_report,
    stored_verdicts,
)
from lake_pipeline.flow.state import Balance, Manifest, Memory, Outcome
from lake_pipeline.flow.validate import Validated, known_objects, rules_hash
from lake_pipeline.reasons import Reason

VERSION = "1"  # of what curating means: a new one publishes everything again


class NotValidated(Terminal):
    """The partition has landed objects that were not validated."""


class ValidatedTwice(Transient):
    """Two runs at once validated the same object; the next validation keeps the rows of one."""


Action = Literal["published", "refused", "failed", "unchanged", "still refused"]


@dataclass(frozen=True)
class Curated:
    """What curating a partition did. outcome: its newest; verdicts: of the audit, when there was one."""

    partition: str
    action: Action
    outcome: Outcome
    verdicts: tuple[Verdict, ...] = ()

    @property
    def fine(self) -> bool:
        """Whether what was asked for is published."""
        return self.action in ("published", "unchanged")


def curate(work: Work, partitions: Iterable[str], force: bool = False) -> dict[str, Curated]:
    """Publish or refuse each partition that has anything landed; what is decided already stays decided.

    `force` stages and audits again; it opens no gate.
    """
    memory = Memory(work.lake, work.dataset)
    candidates = prepare(work, memory, list(partitions))
    inputs = source_snapshots(work)
    settled = {c.partition: decided(work, c, inputs) for c in candidates}
    todo = [c for c in candidates if force or settled[c.partition] is None]
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
    if previous.state == "refused" and previous.inputs == inputs:
        return Curated(candidate.partition, "still refused", previous, stored_verdicts(work, candidate))
    return None


def process(work: Work, memory: Memory, todo: list[Candidate], inputs: str) -> dict[str, Curated]:
    """Stage and audit together; publish what passes in one commit, and quarantine the rest."""
    backend = work.engine.ibis()
    try:
        staged = stage_all(work, todo)
    except TransformError as e:
        if len(todo) > 1:
            return {p: c for one in todo for p, c in process(work, memory, [one], inputs).items()}
        reasons = [Reason("TRANSFORM_FAILURE", str(e))]
        outcome = refuse(work, memory, todo[0], "failed", reasons, inputs)
        return {todo[0].partition: Curated(todo[0].partition, "failed", outcome)}
    balances = {c.partition: balance_of(work, c, staged) for c in todo}
    history = history_of(work, todo)
    verdicts = audit(
        work.dataset,
        staged_rows(work, backend, staged),
        balances,
        source_tables(work, backend),
        history=history,
        files={c.partition: landed(work, c) for c in todo},
        now=work.at,
    )
    for candidate in todo:
        p = candidate.partition
        store_report(work, candidate, inputs, verdicts[p], balances[p], history.measured(p))
    passing = [c for c in todo if not any(v.refuses for v in verdicts[c.partition])]
    outcomes = publish(work, memory, passing, staged, balances, inputs)
    done = {p: Curated(p, "published", outcome, verdicts[p]) for p, outcome in outcomes.items()}
    for candidate in todo:
        p = candidate.partition
        if p not in done:
            reasons = failure_reasons(verdicts[p])
            outcome = refuse(work, memory, candidate, "refused", reasons, inputs)
            done[p] = Curated(p, "refused", outcome, verdicts[p])
    return done


def stage_all(work: Work, todo: list[Candidate]) -> Staged:
    """The staged candidates; nothing for candidates without valid rows."""
    paths = [path for c in todo for path in local_files(work, c)]
    if not paths:
        return Staged((), {}, {})
    landing = {id_: position for c in todo for id_, position in c.landing.items()}
    partitions = [c.partition for c in todo]
    return stage(work.engine, work.dataset, paths, landing, work.folder / "staged", partitions)


def staged_rows(work: Work, backend: Any, staged: Staged) -> Expr:
    """The staged files as one table; an empty one of the contract's columns where there are none."""
    if staged.files:
        return work.engine.table(backend, [f.path for f in staged.files])
    lineage = {"_partition": "string", "_source": "string", "_record": "int64"}
    return ibis.memtable([], schema={**dict(work.dataset.contract.schema().items()), **lineage})


def history_of(work: Work, todo: list[Candidate]) -> MetricHistory:
    """What the candidates' rules look back at: the audits of the lake that rules compare with."""
    if work.reference:
        return MetricHistory(work.reference, work.dataset)
    return MetricHistory(work.lake, work.dataset, max(c.manifest.number for c in todo))


def landed(work: Work, candidate: Candidate) -> tuple[FileInfo, ...]:
    """The candidate's landed files, as rules on files see them."""
    return landed_files(candidate.manifest, candidate.validated.receipts, work.lake.zone("raw"))


def source_tables(work: Work, backend: Any) -> dict[str, Expr]:
    """The curated tables that rules compare with; those that have nothing published are absent."""
    lake = work.reference or work.lake
    store = lake.zone("curated")
    tables = {}
    for name in source_names(work):
        files = lake.tables.files(f"curated.{name}")
        paths = [store.fetch(store.key(f.uri), work.folder / "fetched") for f in files]
        if paths:
            tables[name] = work.engine.table(backend, paths)
    return tables


def balance_of(work: Work, candidate: Candidate, staged: Staged) -> Balance:
    """Where the candidate's rows would be, were it published; each number from its own place."""
    p = candidate.partition
    lost = staged.duplicates.get(p, 0)
    rule = work.dataset.config.deduplicate
    kept_aside = lost if rule and rule.losers == "quarantine" else 0
    return Balance(
        landed=candidate.validated.rows,
        curated=staged.rows(p),
        quarantined=candidate.validated.quarantined + kept_aside,
        deduplicated=lost - kept_aside,
        filtered=staged.filtered.get(p, 0),
    )
