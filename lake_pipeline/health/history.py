"""Run records: what each run did to each of its partitions, kept in ``ops/runs/<day>/<ds>/<run>.json``.

A record is written once, when a run has ended and everybody who has to be told is; a run without one was
killed, or is still going on. Metrics are computed from the records.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.curate import Curated
from lake_pipeline.flow.run import Result
from lake_pipeline.flow.state import DEFAULT_PROFILE, Outcome, document_of
from lake_pipeline.storage import Lake
from lake_pipeline.storage.lake import dump

READERS = 16


@dataclass(frozen=True)
class RunInfo:
    """A run, and what travels with it through every event and log line.

    replay_id: of the replay that it belongs to, or ``""``. threshold_profile: the limits its rules use.
    """

    run_id: str
    dataset: str
    started: datetime
    replay_id: str = ""
    threshold_profile: str = DEFAULT_PROFILE


@dataclass(frozen=True)
class PartitionRun:
    """What a run did to one partition.

    action: `flow.curate.Action`, or ``validated`` where the run went no further, or ``canceled``. files: landed files that
    were refused whole. checks: how many were evaluated. lag_seconds: from the landing of its newest object to
    its publication, for what was published now. reasons: why it was refused or failed. warnings: failed
    checks that refuse nothing.
    """

    partition: str
    action: str
    source: str = ""
    contract_version: str = ""
    landed: int = 0
    curated: int = 0
    quarantined: int = 0
    files: int = 0
    fresh: int = 0
    checks: int = 0
    lag_seconds: float | None = None
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def decided(self) -> bool:
        """Whether the run decided anything about the partition, or found it decided."""
        return self.action in ("published", "refused", "failed")

    @property
    def fine(self) -> bool:
        """Whether what landed is published."""
        return self.action in ("published", "unchanged")


@dataclass(frozen=True)
class RunRecord:
    """One run. error: why it ended before it could say what became of all its partitions.

    passing: whether that may be gone by itself, so that it is worth to try again.
    """

    run_id: str
    dataset: str
    started: str
    ended: str
    state: Literal["succeeded", "failed", "canceled"]
    partitions: tuple[PartitionRun, ...]
    error: str = ""
    replay_id: str = ""
    threshold_profile: str = DEFAULT_PROFILE
    passing: bool = False

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (datetime.fromisoformat(self.ended) - datetime.fromisoformat(self.started)).total_seconds()


def record_of(lake: Lake, dataset: Dataset, run: RunInfo, result: Result, ended: datetime) -> RunRecord:
    """The record of a run that came to its end."""
    found = tuple(partition_run(lake, dataset, result, p, ended) for p in result.partitions)
    found += tuple(broken(lake, dataset, p, why) for p, why in result.unready.items())
    fine = not result.problems() and not result.unready
    state: Literal["succeeded", "failed"] = "succeeded" if fine else "failed"
    return made(run, found, state, ended)


def broken(lake: Lake, dataset: Dataset, partition: str, error: str, action: str = "failed") -> PartitionRun:
    """A partition of which a run that broke could not say what became of it."""
    where = source(lake, dataset, partition)
    return PartitionRun(partition, action, where, dataset.contract.version, reasons=(error,))


def from_outcome(lake: Lake, dataset: Dataset, outcome: Outcome) -> PartitionRun:
    """What a run did to a partition, as far as its outcome says."""
    balance = outcome.balance
    return PartitionRun(
        outcome.partition,
        outcome.state,
        source(lake, dataset, outcome.partition),
        outcome.contract_version,
        balance.landed,
        balance.curated,
        balance.quarantined,
        reasons=outcome.reasons,
    )


def made(
    run: RunInfo,
    partitions: tuple[PartitionRun, ...],
    state: Literal["succeeded", "failed", "canceled"],
    ended: datetime,
    error: str = "",
    passing: bool = False,
) -> RunRecord:
    """A record."""
    return RunRecord(
        run.run_id,
        run.dataset,
        run.started.isoformat(),
        ended.isoformat(),
        state,
        partitions,
        error,
        run.replay_id,
        run.threshold_profile,
        passing,
    )


def partition_run(
    lake: Lake, dataset: Dataset, result: Result, partition: str, ended: datetime
) -> PartitionRun:
    """What a run did to one partition."""
    validated, curated = result.validated.get(partition), result.curated.get(partition)
    shared: dict[str, Any] = {
        "source": source(lake, dataset, partition),
        "contract_version": dataset.contract.version,
        "files": len([r for r in validated.fresh if r.reason]) if validated else 0,
        "fresh": len(validated.fresh) if validated else 0,
    }
    if curated is None:
        rows = (validated.rows, validated.quarantined) if validated else (0, 0)
        return PartitionRun(partition, "validated", landed=rows[0], quarantined=rows[1], **shared)
    balance, verdicts = curated.outcome.balance, curated.verdicts
    return PartitionRun(
        partition,
        curated.action,
        landed=balance.landed,
        curated=balance.curated,
        quarantined=balance.quarantined,
        checks=len(verdicts),
        lag_seconds=lag(result, curated, ended),
        reasons=() if curated.fine else curated.outcome.reasons,
        warnings=tuple(
            f"{v.rule}: {v.reason}" if v.reason else v.rule
            for v in verdicts
            if not v.passed and not v.refuses
        ),
        **shared,
    )


def lag(result: Result, curated: Curated, ended: datetime) -> float | None:
    """Seconds from the landing of the newest object to its publication; None where nothing was published."""
    sources = result.manifests[curated.partition].sources
    if curated.action != "published" or not sources:
        return None
    return max(0.0, (ended - max(datetime.fromisoformat(e.modified) for e in sources)).total_seconds())


def source(lake: Lake, dataset: Dataset, partition: str) -> str:
    """The folder in which a partition's files land, as a URI."""
    return lake.zone("raw").uri(dataset.template.fill(partition, "").rpartition("/")[0] + "/")


def key_of(dataset: str, run_id: str, started: datetime) -> str:
    """Where a run's record is kept in the zone ops."""
    return f"runs/{started.astimezone(UTC):%Y-%m-%d}/{dataset}/{run_id}.json"


def is_recorded(lake: Lake, run: RunInfo) -> bool:
    """Whether the run has a record: whoever has to be told of it is."""
    return lake.zone("ops").exists(key_of(run.dataset, run.run_id, run.started))


def write(lake: Lake, record: RunRecord) -> bool:
    """Keep a record; returns whether there was none. The first one of a run stays."""
    key = key_of(record.dataset, record.run_id, datetime.fromisoformat(record.started))
    return lake.zone("ops").create(key, dump(document_of(record)))


def records(lake: Lake, first: date, last: date, dataset: str = "") -> Iterator[RunRecord]:
    """The records of runs that started on these days (UTC), of one dataset or of all."""
    store = lake.zone("ops")
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    folders = [f"runs/{day}/{dataset}".rstrip("/") for day in days]
    keys = sorted(entry.key for folder in folders for entry in store.list(folder))
    with ThreadPoolExecutor(READERS) as pool:
        yield from (record_from(json.loads(body)) for body in pool.map(store.read, keys))


def record_from(document: Mapping[str, Any]) -> RunRecord:
    """A record from JSON."""
    partitions = tuple(
        PartitionRun(**{**p, "reasons": tuple(p["reasons"]), "warnings": tuple(p["warnings"])})
        for p in document["partitions"]
    )
    return RunRecord(**{**document, "partitions": partitions})
