"""Publish or refuse: the only place from which rows become visible in curated.

Publishing asks the stored report of the audit, not its caller. The order of effects is data files,
Iceberg commit, quarantine, outcome; every step can be repeated, and passes over what is done.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa

from lake_pipeline.datasets.loading import digest
from lake_pipeline.engines.casts import Expr
from lake_pipeline.engines.staging import Staged, rows_of
from lake_pipeline.errors import Terminal
from lake_pipeline.flow import quarantine
from lake_pipeline.flow.audit import Verdict
from lake_pipeline.flow.context import Work
from lake_pipeline.flow.state import Balance, Manifest, Memory, Outcome, Receipt, State
from lake_pipeline.flow.validate import Validated, content_id, only, upload
from lake_pipeline.reasons import DATA_QUALITY, TRANSFORM, Reason, Stage
from lake_pipeline.storage.lake import dump, partition_folder
from lake_pipeline.storage.objects import ObjectMissing


class GateClosed(Terminal):
    """There is no stored verdict that lets the candidate pass."""


@dataclass(frozen=True)
class Candidate:
    """A validated partition on its way through the gate.

    published: the outcome whose rows are visible now, and `known` the objects those rows are from.
    """

    partition: str
    manifest: Manifest
    validated: Validated
    receipts: tuple[Receipt, ...]
    fingerprint: str
    previous: Outcome | None
    published: Outcome | None
    known: frozenset[str] = frozenset()

    @property
    def landing(self) -> dict[str, int]:
        """The objects whose rows count, and the position in which they landed."""
        validated = {r.id for r in self.validated.receipts}
        return {e.id: i for i, e in enumerate(self.manifest.sources) if e.id in validated}

    @property
    def files(self) -> list[str]:
        """The URIs of the validated data files."""
        return [f for r in self.receipts for f in r.validated_files]

    @property
    def rejects(self) -> list[str]:
        """The URIs of the quarantine's data files that validation made."""
        return [f for r in self.receipts for f in r.quarantine_files]

    def number(self) -> int:
        """The number of the newest outcome."""
        return self.previous.number if self.previous else 0


def store_report(
    work: Work,
    candidate: Candidate,
    inputs: str,
    verdicts: Iterable[Verdict],
    balance: Balance,
    metrics: Mapping[str, float],
) -> None:
    """Store what the audit found, and what publishing would make of it; from here on, the gate is decided."""
    found = list(verdicts)
    document = {
        "dataset": work.dataset.name,
        "partition": candidate.partition,
        "fingerprint": candidate.fingerprint,
        "inputs": inputs,
        "run_id": work.run_id,
        "at": work.at.isoformat(),
        "contract_version": work.dataset.contract.version,
        "manifest": candidate.manifest.number,
        "balance": asdict(balance),
        "rejects": candidate.rejects,
        "passed": not any(v.refuses for v in found),
        "checks": [
            {
                "name": v.name,
                "rule": v.rule,
                "severity": v.severity,
                "passed": v.passed,
                "reason": v.reason,
                "metrics": dict(v.metrics),
                "quarantined": v.quarantined,
            }
            for v in found
        ],
        "metrics": dict(metrics),
    }
    key = report_key(work, candidate.partition, candidate.fingerprint)
    work.lake.zone("dq-results").write(key, dump(document))


def stored_verdicts(work: Work, candidate: Candidate) -> tuple[Verdict, ...]:
    """What the audit of exactly this candidate found, as stored; nothing where it is not stored."""
    try:
        key = report_key(work, candidate.partition, candidate.fingerprint)
        checks = json.loads(work.lake.zone("dq-results").read(key))["checks"]
    except ObjectMissing:
        return ()
    return tuple(Verdict(**check) for check in checks)


def gate(work: Work, candidate: Candidate, inputs: str) -> None:
    """Raise `GateClosed` unless the stored report says that this very candidate passed."""
    what = f"{work.dataset.name} {candidate.partition}"
    try:
        key = report_key(work, candidate.partition, candidate.fingerprint)
        report = json.loads(work.lake.zone("dq-results").read(key))
        found = report["fingerprint"], report["inputs"], report["passed"]
    except ObjectMissing as e:
        raise GateClosed(f"{what}: there is no stored verdict; run it, so that it is audited.") from e
    except (ValueError, LookupError, TypeError) as e:
        raise GateClosed(f"{what}: the stored verdict cannot be read ({e}); run it with --force.") from e
    if found != (candidate.fingerprint, inputs, True):
        raise GateClosed(f"{what}: the stored verdict does not let it pass.")


def publish(
    work: Work,
    memory: Memory,
    candidates: list[Candidate],
    staged: Staged,
    balances: Mapping[str, Balance],
    inputs: str,
) -> dict[str, Outcome]:
    """Publish candidates that passed, all in one commit; returns their outcomes."""
    if not candidates:
        return {}
    for candidate in candidates:
        gate(work, candidate, inputs)
    name = f"curated.{work.dataset.name}"
    partitions = [c.partition for c in candidates]
    files = {c.partition: upload_staged(work, c, staged) for c in candidates}
    add = {f for uris in files.values() for f in uris}
    drop = {f.uri for f in work.lake.tables.files(name, partitions)} - add
    rejected = {c.partition: {*c.rejects, *quarantine_losers(work, c, staged)} for c in candidates}
    snapshot = work.commit("curated", curated_schema(work, staged), drop, add)
    set_quarantine(work, rejected)
    done = {}
    for candidate in candidates:
        p = candidate.partition
        done[p] = memory.write_outcome(
            outcome(
                work,
                candidate,
                "published",
                inputs,
                balances[p],
                files=tuple(sorted(files[p])),
                quarantine_files=tuple(sorted(rejected[p])),
                snapshot=snapshot,
            )
        )
    return done


def adopt(
    work: Work, memory: Memory, outcomes: Mapping[str, Outcome], partitions: list[str]
) -> dict[str, Outcome]:
    """Finish the publishes of runs that were killed between the commit and the outcome; the newest outcomes.

    What is visible decides: its data files are named by their fingerprint, and the report of that
    fingerprint says what the publish was.
    """
    visible: dict[str, list[str]] = {}
    for file in work.lake.tables.files(f"curated.{work.dataset.name}", partitions):
        visible.setdefault(file.partition, []).append(file.uri)
    found = dict(outcomes)
    for partition, files in visible.items():
        newest = outcomes.get(partition)
        published = memory.published(partition, newest)
        if published and set(published.files) == set(files):
            continue
        fingerprint = files[0].rpartition("/")[2].rpartition("-")[0]
        report = json.loads(work.lake.zone("dq-results").read(report_key(work, partition, fingerprint)))
        losers = data_key(work, partition, f"keys-{fingerprint}")
        store = work.lake.zone("quarantine")
        rejected = [*report["rejects"], *([store.uri(losers)] if store.exists(losers) else [])]
        set_quarantine(work, {partition: rejected})
        facts = {
            k: report[k] for k in ("fingerprint", "inputs", "manifest", "run_id", "at", "contract_version")
        }
        found[partition] = memory.write_outcome(
            Outcome(
                dataset=work.dataset.name,
                partition=partition,
                state="published",
                balance=Balance(**report["balance"]),
                files=tuple(sorted(files)),
                quarantine_files=tuple(sorted(rejected)),
                number=newest.number if newest else 0,
                **facts,
            )
        )
    return found


def report_key(work: Work, partition: str, fingerprint: str) -> str:
    """Where the report of an audit is stored."""
    return f"{work.dataset.name}/{partition_folder(partition)}/{fingerprint}.json"


def data_key(work: Work, partition: str, name: str) -> str:
    """Where a data file of a partition is stored in its zone."""
    return f"{work.dataset.name}/data/{partition_folder(partition)}/{name}.parquet"


def refuse(
    work: Work,
    memory: Memory,
    candidate: Candidate,
    state: State,
    reasons: list[Reason],
    inputs: str,
) -> Outcome:
    """Move the batch to quarantine, with the reasons; what was published before stays as it is.

    The batch is the rows of the objects that are not visible in curated already, and their rejects; the
    rejects of those that are visible stay as they were published, too.
    """
    receipts = [r for r in candidate.validated.receipts if r.id not in candidate.known]
    stage: Stage = TRANSFORM if state == "failed" else DATA_QUALITY
    held, files = quarantine_batch(work, candidate, reasons, stage)
    mark = f"rejects-{candidate.fingerprint}"
    rejects = only(work, "quarantine", candidate.rejects, [r.id for r in receipts], mark)
    before = candidate.published.balance if candidate.published else Balance()
    balance = Balance(
        landed=before.landed + sum(r.rows for r in receipts),
        curated=before.curated,
        quarantined=before.quarantined + sum(r.quarantined for r in receipts) + held,
        deduplicated=before.deduplicated,
        filtered=before.filtered,
    )
    visible = candidate.published.quarantine_files if candidate.published else ()
    wanted = {*visible, *rejects, *files}
    set_quarantine(work, {candidate.partition: wanted})
    return memory.write_outcome(
        outcome(
            work,
            candidate,
            state,
            inputs,
            balance,
            files=candidate.published.files if candidate.published else (),
            quarantine_files=tuple(sorted(wanted)),
            reasons=tuple(r.message for r in reasons),
        )
    )


def outcome(
    work: Work, candidate: Candidate, state: State, inputs: str, balance: Balance, **more: Any
) -> Outcome:
    """The outcome of an attempt."""
    return Outcome(
        dataset=work.dataset.name,
        partition=candidate.partition,
        state=state,
        fingerprint=candidate.fingerprint,
        inputs=inputs,
        manifest=candidate.manifest.number,
        run_id=work.run_id,
        at=work.at.isoformat(),
        contract_version=work.dataset.contract.version,
        balance=balance,
        number=candidate.number(),
        **more,
    )


def upload_staged(work: Work, candidate: Candidate, staged: Staged) -> list[str]:
    """Put a candidate's data files under names that follow from its fingerprint, and their content."""
    paths = sorted(f.path for f in staged.files if f.partition == candidate.partition)
    names = (f"{candidate.fingerprint}-{content_id(path)}" for path in paths)
    keys = (data_key(work, candidate.partition, name) for name in names)
    return [upload(work, "curated", key, path) for key, path in zip(keys, paths, strict=True)]


def curated_schema(work: Work, staged: Staged) -> pa.Schema:
    """The columns of the curated table: the contract's, and the lineage."""
    fields = work.dataset.contract.schema().to_pyarrow()
    lineage = [("_partition", pa.string()), ("_source", pa.string()), ("_record", pa.int64())]
    return pa.schema([*fields, *lineage])


def set_quarantine(work: Work, wanted: Mapping[str, Iterable[str]]) -> None:
    """Make the quarantine of each partition consist of exactly these data files."""
    name = f"quarantine.{work.dataset.name}"
    add = {f for files in wanted.values() for f in files}
    drop = {f.uri for f in work.lake.tables.files(name, wanted)} - add
    if add or drop:
        work.commit("quarantine", quarantine.SCHEMA, drop, add)


def quarantine_losers(work: Work, candidate: Candidate, staged: Staged) -> list[str]:
    """The rows that lost their deduplication key, where the dataset quarantines them."""
    rule = work.dataset.config.deduplicate
    if staged.losers is None or rule is None or rule.losers == "drop":
        return []
    lost = staged.losers.filter(staged.losers["_partition"] == candidate.partition)
    key = ", ".join(rule.key)
    reason = Reason("DUPLICATE_KEY", f"Another row of the partition has the same key ({key}) and was kept.")
    return quarantine_rows(work, candidate, [reason], TRANSFORM, f"keys-{candidate.fingerprint}", lost)[1]


def quarantine_batch(
    work: Work, candidate: Candidate, reasons: list[Reason], stage: Stage
) -> tuple[int, list[str]]:
    """The candidate's validated rows that are not published already, as quarantine rows: (rows, files)."""
    name = f"batch-{candidate.fingerprint}-{digest([r.as_dict() for r in reasons])[:8]}"
    return quarantine_rows(work, candidate, reasons, stage, name, None)


def quarantine_rows(
    work: Work, candidate: Candidate, reasons: list[Reason], stage: Stage, name: str, only: Expr | None
) -> tuple[int, list[str]]:
    """Write validated rows of a candidate to the quarantine: (rows, URIs)."""
    paths = local_files(work, candidate)
    if not paths:
        return 0, []
    backend = work.engine.ibis()
    rows = rows_of(work.engine, backend, paths, sorted(candidate.known) if only is None else [])
    if only is not None:
        rows = rows.semi_join(only, ["_source", "_record"])
    places = work.engine.arrow(backend, objects(candidate))
    entries = as_entries(work, rows, places, reasons, stage)
    path = work.folder / f"{name}.parquet"
    count = work.engine.copy_one(backend, entries, path)
    if not count:
        return 0, []
    return count, [upload(work, "quarantine", data_key(work, candidate.partition, name), path)]


def local_files(work: Work, candidate: Candidate) -> list[Path]:
    """The candidate's validated data files, on this machine."""
    store = work.lake.zone("validated")
    return [store.fetch(store.key(uri), work.folder / "fetched") for uri in candidate.files]


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


def as_entries(work: Work, rows: Expr, places: Expr, reasons: list[Reason], stage: Stage) -> Expr:
    """Validated rows in the quarantine's form; the raw text is the row as JSON."""
    joined = rows.left_join(places, "_source")
    data = {n: joined[n] for n in rows.columns if not n.startswith("_")}
    kind = dt.Array(dt.Struct(dict.fromkeys(("code", "column", "value", "message"), dt.string)))
    version, run_id, at = work.context
    columns = {
        "_partition": joined["_partition"],
        "kind": ibis.literal("row"),
        "stage": ibis.literal(stage),
        "reasons": ibis.literal([r.as_dict() for r in reasons], kind),
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
