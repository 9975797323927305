"""What a dataset's op does about telling: who the run is, how it ended, and whether that was in time.

Telling never fails a run: what could not be told now is told by the sensor `lake_alerts`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._loggers import colored_console_logger

from lake_pipeline.components.sensors import PROFILE_TAG, RANGE_END, RANGE_START, SOURCE_TAG, source_location
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.config import Retries
from lake_pipeline.datasets.partitioning import UNPARTITIONED, keys_between, now
from lake_pipeline.flow.run import Result
from lake_pipeline.flow.state import DEFAULT_PROFILE
from lake_pipeline.health import freshness, history, logs, metrics, telling
from lake_pipeline.health.history import RunInfo, RunRecord
from lake_pipeline.health.targets import Targets
from lake_pipeline.resources import Alerts
from lake_pipeline.resources.processes import PROCESS_TAG, process_name
from lake_pipeline.storage import Lake

FRESHNESS = "freshness"
REPLAY_TAG = "lake/replay_id"
PARTITION_TAG = "dagster/partition"


def begin(
    context: dg.AssetExecutionContext, lake: Lake, dataset: Dataset, partitions: Sequence[str]
) -> dict[str, str]:
    """Where a run begins: its metadata, which every log line has from now on, and the run's tags, too.

    Its process is in a tag as well: by that a run that was killed is missed.
    """
    run = context.run
    logs.install(Targets.from_env())
    about = {
        "run_id": run.run_id,
        "dataset": dataset.name,
        "partition": partitions[0] if len(partitions) == 1 else f"{partitions[0]}..{partitions[-1]}",
        "source": source_location(lake, dataset),
        "threshold_profile": run.tags.get(PROFILE_TAG, DEFAULT_PROFILE),
        "replay_id": run.tags.get(REPLAY_TAG, ""),
    }
    logs.begin(**about)
    told = {
        "dataset": dataset.name,
        SOURCE_TAG: about["source"],
        PROFILE_TAG: about["threshold_profile"],
        PROCESS_TAG: process_name(),
    }
    if not told.items() <= run.tags.items():
        context.instance.add_run_tags(run.run_id, told)
    return about


def end(
    context: dg.AssetExecutionContext, lake: Lake, dataset: Dataset, alerts: Alerts, result: Result
) -> None:
    """Where a run has done its work: tell what became of each partition, and judge whether it was in time."""
    run = run_info(context.instance, context.run, dataset)
    at = now()
    try:
        published = [p for p, c in result.curated.items() if c.fine]
        judgements = freshness.on_publish(lake, dataset, published, at)
        for judgement in judgements:
            context.log_event(evaluation(judgement))
        if freshness_checks(dataset):
            for partition in set(published) - {j.partition for j in judgements}:
                context.log_event(not_judged(lake, dataset, partition, at))
        late = [j for j in judgements if not j.met and j.judged == at.isoformat()]
        tell(context.log, lake, dataset, alerts, history.record_of(lake, dataset, run, result, at), late)
    except Exception as e:  # noqa: BLE001  (the run did its work: nothing that telling does may fail it)
        context.log.warning("%s: this run is told later, by lake_alerts: %r", dataset.name, e)


@dg.failure_hook(name="tell_failure", required_resource_keys={"lake", "alerts"})
def tell_failure(context: dg.HookContext) -> None:
    """Tell of a run that broke before it could say what became of its partitions."""
    from lake_pipeline.datasets import pick

    lake: Lake = context.resources.lake.open()
    run = context.instance.get_run_by_id(context.run_id)
    assert run is not None
    dataset = pick(context.op.name, lake.settings.dataset_folders)
    info = run_info(context.instance, run, dataset)
    if history.is_recorded(lake, info):
        return
    error = description(context.op_exception)
    passing = not isinstance(context.op_exception, dg.Failure)
    record = telling.untold(lake, dataset, info, partitions_of(run, dataset), error, now(), passing=passing)
    tell(context.log, lake, dataset, context.resources.alerts, record)


def description(error: BaseException | None) -> str:
    """Why a step failed, in the words of what failed."""
    if isinstance(error, dg.Failure):
        return str(error.description)
    cause = error.__cause__ if isinstance(error, dg.RetryRequested) and error.__cause__ else error
    return f"{type(cause).__name__}: {cause}" if cause else "the step failed"


def tell(
    log: Any,
    lake: Lake,
    dataset: Dataset,
    alerts: Alerts,
    record: RunRecord,
    late: Sequence[freshness.Judgement] = (),
) -> None:
    """Tell of a run, and write its metrics to the log where they are read from there."""
    sinks = alerts.sinks(log.warning)
    keys = telling.tell_run(lake, dataset, record, sinks, late)
    for name, error in telling.send(lake, sinks, keys, now()).items():
        if error:
            log.warning("%s did not take its messages; they wait and are sent again: %s", name, error)
    if alerts.targets().metrics == "emf":
        for line in metrics.run_lines(record):
            print(line, flush=True)  # noqa: T201  (CloudWatch reads metrics from the standard output)


def run_info(instance: dg.DagsterInstance, run: dg.DagsterRun, dataset: Dataset) -> RunInfo:
    """Who a run is; when it started is Dagster's to say."""
    record = instance.get_run_record_by_id(run.run_id)
    started = record and record.start_time
    when = datetime.fromtimestamp(started, UTC) if started else now()
    tags = run.tags
    return RunInfo(
        run.run_id, dataset.name, when, tags.get(REPLAY_TAG, ""), tags.get(PROFILE_TAG, DEFAULT_PROFILE)
    )


def partitions_of(run: dg.DagsterRun, dataset: Dataset) -> list[str]:
    """The partitions of a run, from its tags."""
    if dataset.config.partitions.by == "none":
        return [UNPARTITIONED]
    if RANGE_START in run.tags:
        return keys_between(dataset.config.partitions, run.tags[RANGE_START], run.tags[RANGE_END])
    return [run.tags[PARTITION_TAG]] if PARTITION_TAG in run.tags else []


def datasets_of(datasets: Mapping[str, Dataset], run: dg.DagsterRun) -> Iterator[Dataset]:
    """The datasets that a run is about."""
    names = {run.tags.get("dataset", "")}
    names |= {key.path[-1] for key in run.asset_selection or () if len(key.path) == 2}
    yield from (datasets[name] for name in sorted(names) if name in datasets)


def freshness_checks(dataset: Dataset) -> list[dg.AssetCheckSpec]:
    """The check `freshness` of a dataset whose partitions are due at some time; it refuses nothing."""
    from lake_pipeline.components.definitions import key, partitions_definition

    sla, partitions = dataset.contract.sla, partitions_definition(dataset)
    asset = key("curated", dataset.name)
    if partitions is None:
        if sla.frequency is None:
            return []
        text = f"published again {sla.frequency[0]:g} {sla.frequency[1]}(s) after the last time"
        return [dg.AssetCheckSpec(FRESHNESS, asset=asset, description=text)]
    if sla.available_by is None:
        return []
    text = f"published by {sla.available_by:%H:%M} {sla.timezone} of the day after the partition"
    return [dg.AssetCheckSpec(FRESHNESS, asset=asset, description=text, partitions_def=partitions)]


def evaluation(found: freshness.Judgement) -> dg.AssetCheckEvaluation:
    """A judgement as Dagster shows it; late seconds are a number, so that Dagster plots them."""
    due = datetime.fromisoformat(found.due)
    seen = datetime.fromisoformat(found.published or found.judged)
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(["curated", found.dataset]),
        check_name=FRESHNESS,
        passed=found.met,
        severity=dg.AssetCheckSeverity.WARN,
        partition=None if found.partition == UNPARTITIONED else found.partition,
        description=None if found.met else f"not available by {found.due}",
        metadata={
            "due": found.due,
            "published": found.published or "not yet",
            "late_seconds": max(0.0, (seen - due).total_seconds()),
        },
    )


def not_judged(lake: Lake, dataset: Dataset, partition: str, at: datetime) -> dg.AssetCheckEvaluation:
    """What Dagster shows of what was not due just now: it would show a check without an answer as failed."""
    if partition == UNPARTITIONED:
        return evaluation(freshness.until_next(lake, dataset, at))
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(["curated", dataset.name]),
        check_name=FRESHNESS,
        passed=True,
        severity=dg.AssetCheckSeverity.WARN,
        partition=partition,
        description="Nothing was promised: it was due before the promise began to count.",
    )


def repetition(retries: Retries, number: int) -> dg.RetryRequested:
    """What asks Dagster to repeat the step after a wait of the dataset's own rate; number: of the repeat, from 0.

    A retry policy of Dagster's knows no other rate than 2, and would repeat a step that somebody interrupts.
    """
    return dg.RetryRequested(retries.attempts, wait_of(retries, number, random.random()))  # noqa: S311  (jitter)


def wait_of(retries: Retries, number: int, chance: float) -> float:
    """Seconds before a repeat: grows by the rate, give or take the first wait by chance (0 to 1).

    >>> [wait_of(Retries(first_seconds=10, rate=3), n, 0.5) for n in range(3)]
    [10.0, 30.0, 90.0]
    """
    return max(0.0, retries.first_seconds * retries.rate**number + (2 * chance - 1) * retries.first_seconds)


@dg.logger(colored_console_logger.config_schema, description="Text, or JSON lines with LAKE_LOG=json.")  # type: ignore[untyped-decorator]
def lake_logger(context: dg.InitLoggerContext) -> Any:
    """The log of runs: Dagster's coloured text, or with ``LAKE_LOG=json`` one JSON object a line."""
    import logging

    targets = Targets.from_env()
    if targets.log != "json":
        return colored_console_logger.logger_fn(context)
    logs.install(targets)
    logger = logging.getLogger("lake_pipeline.run")
    logger.setLevel(context.logger_config["log_level"])
    return logger
