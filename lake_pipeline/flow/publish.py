"""Publish or refuse: the only place from which rows become visible in curated.

Publishing asks the stored report of the audit, not its caller. What comes of it is an outcome, whose data files
are in place; `settle.record` appends it to its log, and has the tables follow.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from lake_pipeline.errors import Terminal, Transient
from lake_pipeline.flow.assess import Assessment
from lake_pipeline.flow.audit import Verdict
from lake_pipeline.flow.candidate import Candidate
from lake_pipeline.flow.context import Work
from lake_pipeline.flow.files import only, place_all
from lake_pipeline.flow.held import quarantine_batch
from lake_pipeline.flow.state import Balance, Outcome, State
from lake_pipeline.reasons import DATA_QUALITY, TRANSFORM, Reason, Stage
from lake_pipeline.storage.lake import dump, partition_folder
from lake_pipeline.storage.objects import ObjectMissing


class GateClosed(Terminal):
    """There is no stored verdict that lets the candidate pass."""


class AuditedBeside(Transient):
    """The stored verdict is that of another run."""


def store_report(
    work: Work,
    candidate: Candidate,
    inputs: str,
    verdicts: Iterable[Verdict],
    balance: Balance,
    *,
    rejected: Iterable[str],
    metrics: Mapping[str, float],
) -> None:
    """Store what the audit found, and what publishing would make of it; from here on, the gate is decided.

    rejected: the data files of rows that are rejected by publishing it, besides those of validation. metrics: what
    was measured, by the names of history.
    """
    found = list(verdicts)
    document = {
        "dataset": work.dataset.name,
        "partition": candidate.partition,
        "fingerprint": candidate.fingerprint,
        "inputs": inputs,
        "run_id": work.run_id,
        **work.tags,
        "at": work.at.isoformat(),
        "contract_version": work.dataset.contract.version,
        "manifest": candidate.manifest.number,
        "balance": asdict(balance),
        "rejects": [*candidate.rejects, *rejected],
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
    if report["run_id"] != work.run_id:
        raise AuditedBeside(
            f"{what} is being audited by another run, {report['run_id']}, too; repeat this one."
        )
    if found != (candidate.fingerprint, inputs, True):
        raise GateClosed(f"{what}: the stored verdict does not let it pass.")


def publish(
    work: Work,
    candidate: Candidate,
    found: Assessment,
    balance: Balance,
    inputs: str,
) -> Outcome:
    """The outcome that publishes a candidate that passed; its data files are in place."""
    gate(work, candidate, inputs)
    return outcome(
        work,
        candidate,
        "published",
        inputs,
        balance,
        files=tuple(place_staged(work, candidate, found)),
        quarantine_files=tuple(sorted({*candidate.rejects, *found.rejected})),
    )


def report_key(work: Work, partition: str, fingerprint: str) -> str:
    """Where the report of an audit is stored."""
    return f"{work.dataset.name}/{partition_folder(partition)}/{fingerprint}.json"


def refuse(
    work: Work,
    candidate: Candidate,
    found: Assessment,
    reasons: list[Reason],
    inputs: str,
) -> Outcome:
    """The outcome that moves the batch to quarantine, with the reasons; what was published before stays as it is.

    The batch is the rows of the objects that are not visible in curated already, and their rejects; the
    rejects of those that are visible stay as they were published, too.
    """
    receipts = [r for r in candidate.validated.receipts if r.id not in candidate.known]
    state: State = "failed" if found.failure else "refused"
    stage: Stage = TRANSFORM if found.failure else DATA_QUALITY
    held, files = found.held, [*found.rejected]
    if not found.refused:  # the assessment would have let it pass
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
    return outcome(
        work,
        candidate,
        state,
        inputs,
        balance,
        files=candidate.published.files if candidate.published else (),
        quarantine_files=tuple(sorted({*visible, *rejects, *files})),
        reasons=tuple(r.message for r in reasons),
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
        receipts=tuple(r.number for r in candidate.receipts),
        **work.tags,
        number=candidate.number(),
        **more,
    )


def place_staged(work: Work, candidate: Candidate, found: Assessment) -> list[str]:
    """Put a candidate's data files under names that follow from its fingerprint, and their content."""
    folder = f"{work.dataset.name}/data/{partition_folder(candidate.partition)}"
    return place_all(work, "curated", f"{folder}/{candidate.fingerprint}", found.files)


def curated_schema(work: Work) -> pa.Schema:
    """The columns of the curated table: the contract's, and the lineage."""
    fields = work.dataset.contract.schema().to_pyarrow()
    lineage = [("_partition", pa.string()), ("_source", pa.string()), ("_record", pa.int64())]
    return pa.schema([*fields, *lineage])
