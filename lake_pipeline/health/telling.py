"""What happens when a run has ended: its breaker counts, incidents open or are over, events and alerts go out.

All of it may be repeated: a run that is told twice counts once. The run's record is written last, so a run
without one was not told yet; the alerts' sensor tells it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import UNPARTITIONED
from lake_pipeline.flow.inventory import landed_partitions
from lake_pipeline.flow.state import Memory, Outcome
from lake_pipeline.health import breaker, freshness, history, outbox
from lake_pipeline.health.events import events_of
from lake_pipeline.health.history import PartitionRun, RunInfo, RunRecord
from lake_pipeline.health.incidents import Tell, happened, open_incidents, recovered
from lake_pipeline.health.messages import (
    Fault,
    Message,
    last_published,
    named,
    not_updated,
    split_sample,
    unavailable,
)
from lake_pipeline.health.outbox import Sink
from lake_pipeline.storage import Lake


def tell_run(
    lake: Lake,
    dataset: Dataset,
    record: RunRecord,
    sinks: Sequence[Sink],
    late: Sequence[freshness.Judgement] = (),
) -> list[str]:
    """Tell what a run did; returns the keys of the queued messages, for `send`.

    late: judgements of what it published too late, and of which nobody has heard yet.
    """
    at = datetime.fromisoformat(record.ended)
    keys: list[str] = []

    def tell(message: Message) -> None:
        keys.extend(outbox.post(lake, sinks, [message], at))

    actions = [p.action for p in record.partitions]
    state = breaker.record(lake, dataset, record.run_id, actions, at)
    tell_breaker(lake, dataset, state, at, tell)
    tell_faults(lake, dataset, record, at, tell)
    tell_freshness(lake, dataset, late, at, tell)
    tell_recovered(lake, dataset, record, state, at, tell)
    keys += outbox.post(lake, sinks, events_of(record), at)
    history.write(lake, record)
    return keys


def tell_breaker(lake: Lake, dataset: Dataset, state: breaker.Breaker, at: datetime, tell: Tell) -> None:
    """An incident while the breaker is open; what is half-open is not over."""
    name = dataset.name
    if state.state == "open":
        fault = Fault(
            f"{name}: automatic runs stopped",
            f"{state.why}; files that land wait",
            fix=f"repair what fails, then: lake resume {name}",
            run_id=state.since,
        )
        happened(lake, "BREAKER_OPEN", name, {name: fault}, at, tell)


def tell_recovered(
    lake: Lake, dataset: Dataset, record: RunRecord, state: breaker.Breaker, at: datetime, tell: Tell
) -> None:
    """End the incidents of what is fine again: partitions, checks, the breaker."""
    found = record.partitions
    fine = [p.partition for p in found if p.fine]
    over: dict[str, list[str] | None] = {
        "PARTITION_REFUSED": fine,
        "RUN_FAILED": [p.partition for p in found if p.action not in ("failed", "canceled")],
        "SLA_MISSED": fine,
        "CHECK_FAILED": [p.partition for p in found if p.checks and not p.warnings],
    }
    if state.state == "closed":
        over["BREAKER_OPEN"] = None
    for incident in open_incidents(lake, dataset.name):
        if incident.kind in over:
            recovered(lake, incident.kind, dataset.name, over[incident.kind], at, tell)


def tell_faults(lake: Lake, dataset: Dataset, record: RunRecord, at: datetime, tell: Tell) -> None:
    """Incidents of refused partitions, failed runs and failed checks that refuse nothing."""
    last = newest_published(lake, dataset) if any(not p.fine for p in record.partitions) else ""
    refused = {p.partition: p for p in record.partitions if p.action in ("refused", "still refused")}
    failed = {p.partition: p for p in record.partitions if p.action == "failed"}
    happened(lake, "PARTITION_REFUSED", dataset.name, faults(dataset, record, refused, last), at, tell)
    happened(lake, "RUN_FAILED", dataset.name, faults(dataset, record, failed, last), at, tell)
    warned = {p.partition: p for p in record.partitions if p.warnings and p.decided}
    happened(lake, "CHECK_FAILED", dataset.name, warnings(dataset, record, warned), at, tell)


def faults(
    dataset: Dataset, record: RunRecord, partitions: Mapping[str, PartitionRun], last: str
) -> dict[str, Fault]:
    """The faults of partitions that were not published."""
    found = {}
    for name, p in partitions.items():
        reason, sample = split_sample("; ".join(p.reasons))
        visible = p.curated or name == last
        headline = not_updated(dataset.name, name) if visible else unavailable(dataset.name, name, "", last)
        found[name] = Fault(headline, reason, sample, fix_of(dataset, p), **of_run(record, p))
    return found


def warnings(dataset: Dataset, record: RunRecord, partitions: Mapping[str, PartitionRun]) -> dict[str, Fault]:
    """The faults of partitions that failed checks which refuse nothing."""
    found = {}
    for name, p in partitions.items():
        reason, sample = split_sample("; ".join(p.warnings))
        headline = f"{named(dataset.name, name)}: {len(p.warnings)} check(s) failed that refuse nothing"
        found[name] = Fault(headline, reason, sample, look(dataset), **of_run(record, p))
    return found


def of_run(record: RunRecord, p: PartitionRun) -> dict[str, str]:
    """What a fault says of the run that found it."""
    return {
        "run_id": record.run_id,
        "source": p.source,
        "threshold_profile": record.threshold_profile,
        "replay_id": record.replay_id,
    }


def fix_of(dataset: Dataset, p: PartitionRun) -> str:
    """The command that fixes a partition, and what to do before."""
    again = rerun(dataset, p.partition)
    if p.action == "failed":
        return again
    return f"send a corrected file or change the contract, then: {again}"


def rerun(dataset: Dataset, partition: str) -> str:
    """The command that runs a partition."""
    return f"lake run {dataset.name}" + (f" --partition {partition}" if partition != "all" else "")


def look(dataset: Dataset) -> str:
    """The command that shows a dataset's state."""
    return f"lake status {dataset.name}"


def newest_published(lake: Lake, dataset: Dataset, before: str = "") -> str:
    """The newest partition that is published, of those before another; ``""`` where there is none."""
    memory = Memory(lake, dataset)
    return max(
        (
            p
            for p, outcome in memory.outcomes().items()
            if (not before or p < before) and memory.published(p, outcome) is not None
        ),
        default="",
    )


def untold(
    lake: Lake,
    dataset: Dataset,
    run: RunInfo,
    partitions: Sequence[str],
    error: str,
    ended: datetime,
    *,
    state: Literal["failed", "canceled"] = "failed",
    passing: bool = False,
) -> RunRecord:
    """The record of a run that ended before it told anything: what its outcomes say, and `error` of the rest.

    What another run has published since is left out, and so is that in which nothing ever landed.
    """
    outcomes = Memory(lake, dataset).outcomes(partitions)
    present = {*outcomes, *(landed_partitions(lake, dataset) if error else ())}
    if not present & set(partitions):
        present.update(partitions)
    found = []
    for partition in partitions if error else outcomes:
        outcome = outcomes.get(partition)
        if outcome is not None and outcome.run_id == run.run_id:
            found.append(history.from_outcome(lake, dataset, outcome))
        elif error and partition in present and not published_since(outcome, run.started):
            found.append(history.broken(lake, dataset, partition, error, state))
    return history.made(run, tuple(found), state if error else "succeeded", ended, error, passing)


def published_since(outcome: Outcome | None, started: datetime) -> bool:
    """Whether a partition was published by a run that began later."""
    return (
        outcome is not None and outcome.state == "published" and datetime.fromisoformat(outcome.at) >= started
    )


def tell_freshness(
    lake: Lake, dataset: Dataset, judgements: Iterable[freshness.Judgement], at: datetime, tell: Tell
) -> None:
    """Incidents of partitions that were not there when they were due; those that came late are over at once."""
    missed = [j for j in judgements if not j.met]
    if not missed:
        return
    happened(
        lake, "SLA_MISSED", dataset.name, {j.partition: missing(lake, dataset, j) for j in missed}, at, tell
    )
    recovered(lake, "SLA_MISSED", dataset.name, [j.partition for j in missed if j.published], at, tell)


def missing(lake: Lake, dataset: Dataset, found: freshness.Judgement) -> Fault:
    """The fault of a partition that missed its due time, with what is known of the reason."""
    by = dataset.contract.sla.available_by
    headline = unavailable(
        dataset.name,
        found.partition,
        f"{by:%H:%M}" if by else "",
        newest_published(lake, dataset, before=found.partition),
    )
    if found.partition == UNPARTITIONED:
        last = freshness.publications(lake, dataset)[-1:]
        when = f"last published {last[0].isoformat()}" if last else last_published("")
        headline = f"{dataset.name} not published again by {found.due}; {when}"
    memory = Memory(lake, dataset)
    outcome = memory.outcomes([found.partition]).get(found.partition)
    if found.published:
        return Fault(headline, f"it was published at {found.published}", fix=look(dataset))
    if outcome is not None and outcome.reasons:
        reason, sample = split_sample("; ".join(outcome.reasons))
        return Fault(headline, f"{outcome.state}: {reason}", sample, rerun(dataset, found.partition))
    if memory.manifests([found.partition]):
        return Fault(headline, "it has landed and was not published", fix=rerun(dataset, found.partition))
    where = history.source(lake, dataset, found.partition)
    return Fault(headline, f"the lake has not taken in any file of {where}", fix=look(dataset))


def send(lake: Lake, sinks: Sequence[Sink], keys: Iterable[str] | None, at: datetime) -> dict[str, str]:
    """Deliver messages (None: all that wait); a sink that fails, or works again, is told to the others.

    Returns the last error of each sink that had something to send, ``""`` where there was none.
    """
    said = outbox.deliver(lake, sinks, keys)
    for name, error in said.items():
        others = [s for s in sinks if s.name != name]
        more: list[str] = []

        def tell(message: Message, to: list[Sink] = others, more: list[str] = more) -> None:
            more.extend(outbox.post(lake, to, [message], at))

        if error:
            fault = Fault(f"alerts cannot be sent to {name}", error, fix="lake alerts", run_id=name)
            happened(lake, "SINK_FAILED", f"sink.{name}", {f"sink.{name}": fault}, at, tell)
        else:
            recovered(lake, "SINK_FAILED", f"sink.{name}", None, at, tell)
        outbox.deliver(lake, others, more)
    return said
