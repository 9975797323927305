"""What a run says to other programs: one event for each thing that became of a partition.

=================================================  ====================================================
``ValidationPassed`` ``ValidationFailed``           files were validated; one of them was refused whole
``TransformSucceeded`` ``TransformFailed``          the valid rows were transformed, or could not be
``DQPassed`` ``DQFailed``                           the checks let the partition pass, or refused it
``Quarantined``                                    rows or files of it are in quarantine
``Published``                                      readers see it
``ReplayStarted`` ``ReplayCompleted``               partitions are run again on purpose
=================================================  ====================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from lake_pipeline.health.history import PartitionRun, RunRecord
from lake_pipeline.health.messages import Message

NAMES = (
    "ValidationPassed", "ValidationFailed", "TransformSucceeded", "TransformFailed", "DQPassed", "DQFailed",
    "Quarantined", "Published", "ReplayStarted", "ReplayCompleted",
)  # fmt: skip
TRANSFORMED = {
    "published": "TransformSucceeded",
    "refused": "TransformSucceeded",
    "failed": "TransformFailed",
}
JUDGED = {"published": "DQPassed", "refused": "DQFailed"}


def events_of(record: RunRecord) -> list[Message]:
    """The events of a run, in the order in which things happened; none for what was decided before."""
    return [event(record, name, p) for p in record.partitions for name in names_of(record, p)]


def names_of(record: RunRecord, partition: PartitionRun) -> Iterator[str]:
    """The names of a partition's events."""
    if partition.fresh:
        yield "ValidationFailed" if partition.files else "ValidationPassed"
    if record.error and partition.action == "failed":
        return  # the run broke before it came to anything
    if partition.action in TRANSFORMED:
        yield TRANSFORMED[partition.action]
    if partition.action in JUDGED:
        yield JUDGED[partition.action]
    if partition.quarantined and (partition.decided or partition.fresh):
        yield "Quarantined"
    if partition.action == "published":
        yield "Published"


def event(record: RunRecord, name: str, partition: PartitionRun) -> Message:
    """One event: its metadata is the run's, its numbers are the partition's."""
    detail = {
        **metadata(record, partition),
        "landed_rows": partition.landed,
        "curated_rows": partition.curated,
        "quarantined_rows": partition.quarantined,
        "refused_files": partition.files,
        "reasons": list(partition.reasons),
        "warnings": list(partition.warnings),
    }
    return made(f"{record.run_id}/{name}/{partition.partition}", name, detail, record.ended)


def metadata(record: RunRecord, partition: PartitionRun) -> Mapping[str, Any]:
    """What travels with every event of a run."""
    return {
        "run_id": record.run_id,
        "dataset": record.dataset,
        "partition": partition.partition,
        "source": partition.source,
        "contract_version": partition.contract_version,
        "threshold_profile": record.threshold_profile,
        "replay_id": record.replay_id,
    }


def replay_event(
    name: str, replay_id: str, dataset: str, partitions: Sequence[str], at: datetime, **more: Any
) -> Message:
    """``ReplayStarted`` or ``ReplayCompleted`` of one dataset's partitions."""
    detail = {"dataset": dataset, "partitions": list(partitions), "replay_id": replay_id, **more}
    return made(f"{replay_id}/{name}/{dataset}", name, detail, at.isoformat())


def made(id_: str, name: str, detail: Mapping[str, Any], at: str) -> Message:
    """An event as a message."""
    where = f"{detail['dataset']} {detail.get('partition', '')}".strip()
    return Message(id_, "event", name, f"{name} {where}", "", at, detail)
