"""The sensor `lake_alerts`: tells what no run could tell by itself, and sends what is still waiting.

Each tick ends the runs whose process is gone, tells of runs that ended untold, of sensors and schedules
that fail, and of partitions that are due and not there, and sends what waits in the outbox. What was told
before is not told again, so a tick may be repeated, and a rewound cursor does no harm.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, TickStatus
from dagster_shared.error import SerializableErrorInfo

from lake_pipeline.arrivals.again import given_up
from lake_pipeline.components.telling import datasets_of, evaluation, partitions_of, run_info
from lake_pipeline.datasets import Dataset, load_all
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.errors import Terminal
from lake_pipeline.health import freshness, history, metrics, outbox, telling
from lake_pipeline.health.incidents import happened, open_incidents, recovered
from lake_pipeline.health.messages import Fault, Message, named
from lake_pipeline.health.outbox import Sink
from lake_pipeline.health.targets import Targets
from lake_pipeline.resources import Alerts, LakeResource
from lake_pipeline.resources.processes import PROCESS_TAG, is_gone
from lake_pipeline.storage import Lake

NAME = "lake_alerts"
MOST_RUNS = 100  # that one tick looks at
OVERLAP = timedelta(minutes=1)  # of one tick's look at runs with the next
LATE = timedelta(minutes=5)  # from when on alerting itself is late
METERED = timedelta(minutes=5)
UNTIL_OVER = "until over"  # in place of a run: each tick would count the same trouble again
GOING_ON = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
CANCELED = dg.DagsterRunStatus.CANCELED
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, CANCELED]
TOLD = [TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.FAILURE]


@dataclass(frozen=True)
class Round:
    """One tick: its instance, its lake, the datasets, the sinks, the time, and its log for warnings."""

    instance: dg.DagsterInstance
    lake: Lake
    datasets: dict[str, Dataset]
    sinks: list[Sink]
    at: datetime
    say: Callable[[str], None]

    def tell(self, message: Message) -> None:
        """Queue a message."""
        outbox.post(self.lake, self.sinks, [message], self.at)


@dg.sensor(
    name=NAME,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of runs, sensors and partitions that failed or are late, and sends what waits.",
)
def lake_alerts(context: dg.SensorEvaluationContext, lake: LakeResource, alerts: Alerts) -> dg.SensorResult:
    """One tick."""
    opened, say = lake.open(), context.log.warning
    datasets = load_all(opened.settings.dataset_folders)
    tick = Round(context.instance, opened, datasets, alerts.sinks(say), now(), say)
    cursor = json.loads(context.cursor or "{}")
    until = tell_runs(tick, cursor.get("runs"))
    location = context.repository_def
    if location is not None:
        sensors = {d.name for d in location.sensor_defs}
        tell_instigators(tick, sensors | {d.name for d in location.schedule_defs})
    tell_given_up(tick)
    missed = [evaluation(j) for d in datasets.values() for j in tell_due(tick, d)]
    tell_lateness(tick, cursor.get("ticked"))
    for name, error in telling.send(opened, tick.sinks, None, tick.at).items():
        if error:
            context.log.warning("%s did not take its messages; they wait: %s", name, error)
    metered = meter(tick, alerts.targets(), cursor.get("metered"))
    after = {"runs": until, "ticked": tick.at.isoformat(), "metered": metered}
    return dg.SensorResult(cursor=json.dumps(after), asset_events=missed)


def end_lost_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Have the runs of this machine fail whose process is gone, so that they can be run again; returns them."""
    going = instance.get_runs(dg.RunsFilter(statuses=GOING_ON))
    lost = [run for run in going if PROCESS_TAG in run.tags and is_gone(run.tags[PROCESS_TAG])]
    for run in lost:
        instance.report_run_failed(run, f"The run's process {run.tags[PROCESS_TAG]} is gone: it was killed.")
    return lost


def tell_runs(tick: Round, since: str | None) -> str:
    """Tell of runs that ended since then and told nothing; returns from when on the next tick is to look."""
    end_lost_runs(tick.instance)
    start = datetime.fromisoformat(since) if since else tick.at - timedelta(days=1)
    ended = dg.RunsFilter(statuses=ENDED, updated_after=start - OVERLAP)
    found = tick.instance.get_run_records(ended, MOST_RUNS, order_by="update_timestamp", ascending=True)
    for record in found:
        for dataset in datasets_of(tick.datasets, record.dagster_run):
            try:
                tell_untold(tick, dataset, record)
            except Terminal as e:  # a run of partitions that the dataset does not have any more
                tick.say(f"run {record.dagster_run.run_id} of {dataset.name} cannot be told: {e}")
    full = len(found) == MOST_RUNS
    last = max((r.update_timestamp.replace(tzinfo=UTC) for r in found), default=start)
    return (last + OVERLAP if full else max(last, start)).isoformat()


def tell_untold(tick: Round, dataset: Dataset, record: dg.RunRecord) -> None:
    """Tell of one run, unless it told everything by itself."""
    run = record.dagster_run
    info = run_info(tick.instance, run, dataset)
    if history.is_recorded(tick.lake, info):
        return
    ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else tick.at
    partitions = partitions_of(run, dataset)
    if run.status == CANCELED:  # by a person, who knows: it is recorded, and is nobody's incident
        error = "the run was canceled; lake rerun --failed runs its partitions"
        tick.say(f"{dataset.name} {', '.join(partitions[:10])}: {error} ({run.run_id})")
        found = telling.untold(tick.lake, dataset, info, partitions, error, ended, state="canceled")
    else:
        error = "" if run.status == dg.DagsterRunStatus.SUCCESS else failure_of(tick.instance, run)
        found = telling.untold(tick.lake, dataset, info, partitions, error, ended, passing=True)
    telling.tell_run(tick.lake, dataset, found, tick.sinks)


def failure_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Why a run failed, in the words of Dagster's event log."""
    events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    said = [e.dagster_event.message or "" for e in events if e.dagster_event]
    return said[-1] if said and said[-1] else "the run failed"


def tell_instigators(tick: Round, names: Iterable[str]) -> None:
    """Tell of sensors and schedules of this code location whose newest tick failed, and of those that work again."""
    known, broken = set(names), {i.subject for i in open_incidents(tick.lake) if i.kind == "SENSOR_FAILED"}
    for state in tick.instance.all_instigator_state():
        subject = f"sensor.{state.instigator_name}"
        if state.instigator_name not in known or state.instigator_name == NAME:
            continue
        newest = newest_tick(tick.instance, state)
        if newest is None:
            continue
        if newest.status == TickStatus.FAILURE:
            reason = words_of(newest.error) if newest.error else "the tick failed"
            fix = f"look at {state.instigator_name} in Dagster, under Automation"
            headline = f"{state.instigator_name} fails: nothing starts or is told by it"
            fault = Fault(headline, reason, fix=fix, run_id=UNTIL_OVER)
            happened(tick.lake, "SENSOR_FAILED", subject, {subject: fault}, tick.at, tick.tell)
        elif subject in broken:
            recovered(tick.lake, "SENSOR_FAILED", subject, None, tick.at, tick.tell)


def words_of(error: SerializableErrorInfo) -> str:
    """What failed first, of an error and its causes."""
    while error.cause:
        error = error.cause
    return error.message.strip()


def newest_tick(instance: dg.DagsterInstance, state: InstigatorState) -> Any:
    """The newest tick that ended."""
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1, statuses=TOLD)
    return ticks[0] if ticks else None


def tell_due(tick: Round, dataset: Dataset) -> list[freshness.Judgement]:
    """Judge what is due of a dataset; returns what was missed."""
    missed = [j for j in freshness.judge(tick.lake, dataset, tick.at) if not j.met]
    telling.tell_freshness(tick.lake, dataset, missed, tick.at, tick.tell)
    return missed


def tell_given_up(tick: Round) -> None:
    """Tell of partitions that are not asked for any more although no run came to an outcome, and of their end."""
    found = given_up(tick.lake)
    for incident in open_incidents(tick.lake):
        if incident.kind == "GIVEN_UP":
            over = incident.faults.keys() - {*found.get(incident.subject, [])}
            recovered(tick.lake, "GIVEN_UP", incident.subject, over, tick.at, tick.tell)
    for dataset in tick.datasets.values():
        reason = f"its run and {dataset.config.arrivals.attempts} more that started for it broke off"
        faults = {
            partition: Fault(
                f"{named(dataset.name, partition)} is not run again by itself",
                reason,
                fix=telling.rerun(dataset, partition),
                run_id=UNTIL_OVER,
            )
            for partition in found.get(dataset.name, [])
        }
        happened(tick.lake, "GIVEN_UP", dataset.name, faults, tick.at, tick.tell)


def tell_lateness(tick: Round, ticked: str | None) -> None:
    """Tell that alerting itself is late: messages that wait long, or a long time without a tick."""
    reasons = [
        f"{w.messages} message(s) wait for {w.sink} since {w.oldest}: {w.error or 'not tried yet'}"
        for w in outbox.waiting(tick.lake)
        if tick.at - datetime.fromisoformat(w.oldest) > LATE
    ]
    if ticked and tick.at - datetime.fromisoformat(ticked) > LATE:
        reasons.append(f"{NAME} did not run from {ticked} to {tick.at.isoformat()}")
    if reasons:
        fault = Fault("alerts are late", "; ".join(reasons), fix="lake alerts", run_id=UNTIL_OVER)
        happened(tick.lake, "ALERTING_LATE", "alerting", {"alerting": fault}, tick.at, tick.tell)
    else:
        recovered(tick.lake, "ALERTING_LATE", "alerting", None, tick.at, tick.tell)


def meter(tick: Round, targets: Targets, metered: str | None) -> str | None:
    """Write the lake's metrics to the log now and then, where they are read from there; returns when last."""
    if targets.metrics != "emf" or (metered and tick.at - datetime.fromisoformat(metered) < METERED):
        return metered
    for line in metrics.lake_lines(metrics.metrics(tick.lake, tick.datasets.values(), tick.at, days=1)):
        print(line, flush=True)  # noqa: T201  (CloudWatch reads metrics from the standard output)
    return tick.at.isoformat()
