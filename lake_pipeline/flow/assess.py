"""Assess candidates: transform, deduplicate and stage their rows, and audit what is staged.

Nothing is published here. What would be is staged; what cannot be, is written to where the quarantine
has its data files, as yet without being part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import ibis

from lake_pipeline.engines.casts import Expr
from lake_pipeline.engines.parts import OutputFile
from lake_pipeline.engines.staging import Staged, stage
from lake_pipeline.engines.transform import TransformError
from lake_pipeline.flow.audit import Verdict, audit, failure_reasons
from lake_pipeline.flow.candidate import Candidate
from lake_pipeline.flow.context import Step, Work
from lake_pipeline.flow.held import (
    quarantine_batch,
    quarantine_losers,
    quarantine_sifted,
    validated_files,
)
from lake_pipeline.flow.history import MetricHistory
from lake_pipeline.flow.landed import landed_files
from lake_pipeline.flow.sift import Sifted, sift
from lake_pipeline.reasons import DATA_QUALITY, TRANSFORM, Reason


@dataclass(frozen=True)
class Request:
    """What is to be assessed. sources: the data files of the curated tables that rules compare with."""

    candidates: tuple[Candidate, ...]
    sources: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Assessment:
    """What was found of one partition.

    files: its staged rows. filtered, duplicates: the rows that did not get there. verdicts: of the schema
    and the rules. rejected: data files for the quarantine, of the rows that lost their key or, where it is
    refused, of the `held` rows of the batch. failure: why the transform failed. sifted: the rows that left because
    they fail a rule that quarantines rows. metrics: what was measured, by the names of history.
    """

    partition: str
    files: tuple[OutputFile, ...] = ()
    filtered: int = 0
    duplicates: int = 0
    verdicts: tuple[Verdict, ...] = ()
    rejected: tuple[str, ...] = ()
    held: int = 0
    failure: str = ""
    sifted: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether it cannot be published."""
        return bool(self.failure) or any(v.refuses for v in self.verdicts)


@dataclass(frozen=True)
class Assessed:
    """The assessments, in the order of the request."""

    assessments: tuple[Assessment, ...]


def assess(work: Work, request: Request) -> Assessed:
    """Assess all candidates together; where a transform fails, each alone."""
    todo = list(request.candidates)
    try:
        staged = stage_all(work, todo)
    except TransformError as e:
        if len(todo) > 1:
            alone = [assess(work, Request((c,), request.sources)) for c in todo]
            return Assessed(tuple(a for found in alone for a in found.assessments))
        held, files = quarantine_batch(work, todo[0], [Reason("TRANSFORM_FAILURE", str(e))], TRANSFORM)
        return Assessed((Assessment(todo[0].partition, rejected=tuple(files), held=held, failure=str(e)),))
    backend = work.engine.ibis()
    partitions = [c.partition for c in todo]
    sources = source_tables(work, backend, request.sources)
    history, raw = history_of(work, todo), work.lake.zone("raw")
    with work.engine.translated():  # a lost cluster is no verdict
        rows, keep = staged_rows(work, backend, staged), partial(work.engine.keep, backend)
        sifted = sift(work.dataset, rows, partitions, sources, history=history, now=work.at, keep=keep)
        staged = restaged(work, backend, staged, sifted, todo)
        verdicts = audit(
            work.dataset,
            staged_rows(work, backend, staged),
            partitions,
            sources,
            history=history,
            files={c.partition: landed_files(c.manifest, c.validated.receipts, raw) for c in todo},
            now=work.at,
            sifted=sifted,
            single=None if sifted.rows else single_key(work, staged),
        )
    return Assessed(
        tuple(
            one(work, c, staged, sifted, verdicts[c.partition], history.measured(c.partition)) for c in todo
        )
    )


STEP = Step("curate", assess, Request, Assessed)


def single_key(work: Work, staged: Staged) -> tuple[str, Mapping[str, int]] | None:
    """What deduplication has found out about the uniqueness of a column, which is costly to find out twice.

    It looked at the rows on their way into the staged files. Were there more in the files, the balance would tell.
    """
    rule = work.dataset.config.deduplicate
    if rule is None or len(rule.key) != 1 or not staged.single:
        return None
    floating = work.dataset.contract.column(
        rule.key[0]
    ).type.ibis.is_floating()  # NaN is a value here, and none there
    return None if floating else (rule.key[0], staged.single)


def history_of(work: Work, todo: list[Candidate]) -> MetricHistory:
    """What the candidates' rules look back at: the audits of the lake that rules compare with."""
    if work.reference:
        return MetricHistory(work.reference, work.dataset)
    return MetricHistory(work.lake, work.dataset, max(c.manifest.number for c in todo))


def restaged(work: Work, backend: Any, staged: Staged, sifted: Sifted, todo: list[Candidate]) -> Staged:
    """The staged partitions; those that rows leave are written anew, without them."""
    if not sifted.rows:
        return staged
    left = sorted(sifted.rows)
    rest = sifted.staying.filter(sifted.staying["_partition"].isin(left))
    landing = {id_: position for c in todo for id_, position in c.landing.items()}
    files = work.engine.copy(backend, rest, "curated", left, {"_source": landing})
    untouched = [f for f in staged.files if f.partition not in sifted.rows]
    return replace(staged, files=(*untouched, *files))


def one(
    work: Work,
    candidate: Candidate,
    staged: Staged,
    sifted: Sifted,
    verdicts: tuple[Verdict, ...],
    metrics: Mapping[str, float],
) -> Assessment:
    """A candidate's assessment, with what is rejected of it written."""
    p, held = candidate.partition, 0
    if any(v.refuses for v in verdicts):
        held, rejected = quarantine_batch(work, candidate, failure_reasons(verdicts), DATA_QUALITY)
    else:
        rejected = quarantine_losers(work, candidate, staged) + quarantine_sifted(work, candidate, sifted)
    return Assessment(
        partition=p,
        files=tuple(f for f in staged.files if f.partition == p),
        filtered=staged.filtered.get(p, 0),
        duplicates=staged.duplicates.get(p, 0),
        verdicts=verdicts,
        rejected=tuple(rejected),
        held=held,
        sifted=sifted.rows.get(p, 0),
        metrics=metrics,
    )


def stage_all(work: Work, todo: list[Candidate]) -> Staged:
    """The staged candidates; nothing for candidates without valid rows."""
    files = [file for c in todo for file in validated_files(work, c)]
    if not files:
        return Staged((), {}, {})
    landing = {id_: position for c in todo for id_, position in c.landing.items()}
    return stage(work.engine, work.dataset, files, landing, [c.partition for c in todo])


def staged_rows(work: Work, backend: Any, staged: Staged) -> Expr:
    """The staged files as one table; an empty one of the contract's columns where there are none."""
    if staged.files:
        table = work.engine.table(backend, [f.path for f in staged.files])
        partitions = {f.partition for f in staged.files}  # one that all rows have is not read with each
        return table.mutate(_partition=ibis.literal(partitions.pop())) if len(partitions) == 1 else table
    lineage = {"_partition": "string", "_source": "string", "_record": "int64"}
    return ibis.memtable([], schema={**dict(work.dataset.contract.schema().items()), **lineage})


def source_tables(work: Work, backend: Any, sources: Mapping[str, tuple[str, ...]]) -> dict[str, Expr]:
    """The curated tables that rules compare with."""
    store = (work.reference or work.lake).zone("curated")
    return {
        name: work.engine.table(backend, [work.engine.reach(store, uri) for uri in uris])
        for name, uris in sources.items()
    }
