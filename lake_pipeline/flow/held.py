"""Validated rows that go to the quarantine after all: a refused batch, or those that lost their key."""

from __future__ import annotations

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa

from lake_pipeline.datasets.loading import digest
from lake_pipeline.engines.casts import Expr
from lake_pipeline.engines.staging import Staged, rows_of
from lake_pipeline.flow.candidate import Candidate
from lake_pipeline.flow.context import Work
from lake_pipeline.flow.files import place_all
from lake_pipeline.flow.sift import Sifted
from lake_pipeline.formats.packs import Text
from lake_pipeline.reasons import DATA_QUALITY, TRANSFORM, Reason, Stage
from lake_pipeline.storage.lake import partition_folder

IDENTITY = ["_source", "_record"]


def quarantine_losers(work: Work, candidate: Candidate, staged: Staged) -> list[str]:
    """The rows that lost their deduplication key, where the dataset quarantines them."""
    rule = work.dataset.config.deduplicate
    if staged.losers is None or rule is None or rule.losers == "drop":
        return []
    lost = staged.losers.filter(staged.losers["_partition"] == candidate.partition)
    key = ", ".join(rule.key)
    reason = Reason("DUPLICATE_KEY", f"Another row of the partition has the same key ({key}) and was kept.")
    return quarantine_rows(work, candidate, [reason], TRANSFORM, f"keys-{candidate.fingerprint}", lost)[1]


def quarantine_sifted(work: Work, candidate: Candidate, sifted: Sifted) -> list[str]:
    """The rows that left because they fail a rule that quarantines rows."""
    if sifted.rejected is None or candidate.partition not in sifted.rows:
        return []
    left = sifted.rejected.filter(sifted.rejected["_partition"] == candidate.partition)
    return quarantine_rows(work, candidate, None, DATA_QUALITY, f"rows-{candidate.fingerprint}", left)[1]


def quarantine_batch(
    work: Work, candidate: Candidate, reasons: list[Reason], stage: Stage
) -> tuple[int, list[str]]:
    """The candidate's validated rows that are not published already, as quarantine rows: (rows, files)."""
    name = f"batch-{candidate.fingerprint}-{digest([r.as_dict() for r in reasons])[:8]}"
    return quarantine_rows(work, candidate, reasons, stage, name, None)


def quarantine_rows(
    work: Work, candidate: Candidate, reasons: list[Reason] | None, stage: Stage, name: str, only: Expr | None
) -> tuple[int, list[str]]:
    """Write validated rows of a candidate to the quarantine: (rows, URIs).

    only: the rows (by lineage), with a column `reasons` where they have reasons of their own.
    """
    files = validated_files(work, candidate)
    if not files:
        return 0, []
    backend = work.engine.ibis()
    rows = rows_of(work.engine, backend, files, sorted(candidate.known) if only is None else [])
    if only is not None:
        rows = rows.semi_join(only, IDENTITY)
        if reasons is None:
            rows = rows.inner_join(only.select(*IDENTITY, _reasons=only["reasons"]), IDENTITY)
    places = work.engine.arrow(backend, objects(candidate))
    entries = as_entries(work, rows, places, reasons, stage)
    made = work.engine.copy(backend, entries, "quarantine", [candidate.partition], {})
    stem = f"{work.dataset.name}/data/{partition_folder(candidate.partition)}/{name}"
    count = sum(f.rows for f in made)
    return count, place_all(work, "quarantine", stem, made)


def validated_files(work: Work, candidate: Candidate) -> list[Text]:
    """The candidate's validated data files, as the engine reads them."""
    store = work.lake.zone("validated")
    return [work.engine.reach(store, uri) for uri in candidate.files]


def objects(candidate: Candidate) -> pa.Table:
    """The candidate's objects: their ids, URIs and versions."""
    versions = {e.id: e.version or e.etag for e in candidate.manifest.sources}
    receipts = candidate.validated.receipts
    return pa.table(
        {
            "_source": [r.id for r in receipts],
            "source_uri": [r.uri for r in receipts],
            "source_version": [versions.get(r.id, "") for r in receipts],
        }
    )


def as_entries(work: Work, rows: Expr, places: Expr, reasons: list[Reason] | None, stage: Stage) -> Expr:
    """Validated rows in the quarantine's form; the raw text is the row as JSON."""
    joined = rows.left_join(places, "_source")
    data = {n: joined[n] for n in rows.columns if not n.startswith("_")}
    kind = dt.Array(dt.Struct(dict.fromkeys(("code", "column", "value", "message"), dt.string)))
    version, run_id, at = work.context
    columns = {
        "_partition": joined["_partition"],
        "kind": ibis.literal("row"),
        "stage": ibis.literal(stage),
        "reasons": joined["_reasons"]
        if reasons is None
        else ibis.literal([r.as_dict() for r in reasons], kind),
        "source_uri": joined["source_uri"],
        "source_version": joined["source_version"],
        "_source": joined["_source"],
        "_record": joined["_record"],
        "line": ibis.null("int64"),
        "raw": work.engine.dialect.to_json(ibis.struct(data)),
        "rows": ibis.literal(1, "int64"),
        "contract_version": ibis.literal(version),
        "run_id": ibis.literal(run_id),
        "first_seen": ibis.literal(at, dt.Timestamp("UTC", 6)),
        "last_seen": ibis.literal(at, dt.Timestamp("UTC", 6)),
    }
    return joined.select(**columns)
