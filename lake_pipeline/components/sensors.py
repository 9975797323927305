"""What starts runs by itself: a sensor on the queue, a sensor on the listing, and the datasets' schedules.

They are thin: each opens the lake, has `arrivals` do a tick, and hands its requests to Dagster.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from lake_pipeline.arrivals.again import Busy
from lake_pipeline.arrivals.look import look
from lake_pipeline.arrivals.places import Places
from lake_pipeline.arrivals.requests import Request, lane_of
from lake_pipeline.arrivals.tick import MayStart, Message, Ticked, drain, keep_dead
from lake_pipeline.datasets import Dataset, load_all
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.flow.state import DEFAULT_PROFILE
from lake_pipeline.health.breaker import may_start
from lake_pipeline.resources import LakeResource
from lake_pipeline.resources.sqs import SqsQueue
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

QUEUE_SECONDS = 1  # the tick itself waits for messages
LISTING_SECONDS = 10
BACKSTOP_SECONDS = 300  # of the listing, where a queue brings the events
LANE_TAG = "lake/lane"
SOURCE_TAG, PROFILE_TAG = "lake/source_location", "lake/threshold_profile"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def job_name(dataset: Dataset) -> str:
    """The name of the job that runs all stages of a dataset."""
    return f"{dataset.name}_job"


def partition_tags(dataset: Dataset, keys: list[str]) -> dict[str, str]:
    """The tags that tell a run its partitions, and its lane where it is in one only."""
    lanes = {lane_of(dataset, key) for key in keys}
    lane = {LANE_TAG: lanes.pop()} if len(lanes) == 1 else {}
    if dataset.config.partitions.by == "none":
        return lane
    if len(keys) == 1:
        return {**lane, "dagster/partition": keys[0]}
    return {**lane, RANGE_START: keys[0], RANGE_END: keys[-1]}


def source_location(lake: Lake, dataset: Dataset) -> str:
    """The folder in which a dataset's files land, as a URI."""
    return lake.zone("raw").uri(dataset.template.prefix)


def run_request(lake: Lake, dataset: Dataset, request: Request) -> dg.RunRequest:
    """A request as Dagster takes it: what it is for travels in the run's tags."""
    tags = {
        **partition_tags(dataset, list(request.partitions)),
        "dataset": dataset.name,
        "lake/request": request.uri,
        "lake/source": request.source,
        SOURCE_TAG: source_location(lake, dataset),
        PROFILE_TAG: DEFAULT_PROFILE,
        **({"lake/late_seconds": str(request.late)} if request.late else {}),
    }
    return dg.RunRequest(run_key=request.key, job_name=job_name(dataset), tags=tags)


def may_start_of(lake: Lake) -> MayStart:
    """Which datasets may start automatic runs now: those whose circuit breaker lets them."""
    datasets = datasets_in(lake.settings.dataset_folders)
    return lambda name: may_start(lake, datasets[name], now())


def busy_of(instance: dg.DagsterInstance, datasets: Mapping[str, Dataset]) -> Busy:
    """The partitions of a dataset that are in a run that is queued or goes on; Dagster is asked once, if at all."""
    from lake_pipeline.components.going_on import partitions_going_on

    found: dict[str, dict[str, set[str]]] = {}

    def busy(name: str) -> set[str]:
        if not found:
            found["all"] = partitions_going_on(instance, datasets)
        return found["all"].get(name, set())

    return busy


@cache
def datasets_in(folders: tuple[Path, ...]) -> Mapping[str, Dataset]:
    """The datasets that the definitions were made of; they are read once, as these are."""
    return load_all(folders)


def requests_of(
    context: dg.SensorEvaluationContext | dg.ScheduleEvaluationContext,
    lake: Lake,
    datasets: Mapping[str, Dataset],
    ticked: Ticked,
) -> tuple[list[dg.RunRequest], str]:
    """The tick's run requests, and in a sentence what it did."""
    done = ticked.done
    parts = [f"{n} {what}" for what, n in sorted(done.events.items())]
    parts += [f"events lost: {n} ({name})" for name, n in sorted(done.lost.items())]
    parts += [f"dead letter {id_}: {reason}" for id_, reason in done.dead.items()]
    parts += [f"of no use, for now: {done.unusable}"] if done.unusable else []
    parts += [f"held: {', '.join(done.held)}"] if done.held else []
    gone = sorted({r.dataset for r in ticked.requests} - datasets.keys())
    parts += [f"asked for runs of datasets that are gone: {', '.join(gone)}"] if gone else []
    text = "; ".join([*parts, f"{len(ticked.requests)} runs asked for", f"{done.waiting} objects wait"])
    if parts or ticked.requests:
        context.log.info(text)
    known = [r for r in ticked.requests if r.dataset in datasets]
    return [run_request(lake, datasets[r.dataset], r) for r in known], text


def arrival_sensors(jobs: Iterable[Any], settings: Settings) -> dg.Definitions:
    """The two sensors; that on the queue runs where there is one, and the listing is then its backstop."""
    targets = list(jobs)
    running = dg.DefaultSensorStatus.RUNNING

    @dg.sensor(
        name="arrivals_queue",
        description="Starts runs for the files whose S3 events arrive in the queue LAKE_QUEUE_URL.",
        jobs=targets,
        minimum_interval_seconds=QUEUE_SECONDS,
        default_status=running if settings.queue_url else dg.DefaultSensorStatus.STOPPED,
    )
    def queue_sensor(context: dg.SensorEvaluationContext, lake: LakeResource, queue: SqsQueue) -> Any:
        opened = lake.open()
        at = opened.settings
        if not at.queue_url:
            return dg.SkipReason("LAKE_QUEUE_URL names no queue.")
        datasets = datasets_in(at.dataset_folders)

        def keep(message: Message, reason: str) -> None:
            keep_dead(opened, message, reason)

        drained = queue.open(at.queue_url, at.dlq_url, keep)
        places = Places.of(at, datasets)
        ticked = drain(opened, places, drained, context.cursor, now(), may_start_of(opened))
        return result(context, opened, datasets, ticked)

    @dg.sensor(
        name="arrivals_listing",
        description="Starts runs for files that are in the raw zone, by looking; beside a queue, for lost events.",
        jobs=targets,
        minimum_interval_seconds=BACKSTOP_SECONDS if settings.queue_url else LISTING_SECONDS,
        default_status=running,
    )
    def listing_sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> Any:
        opened = lake.open()
        datasets = datasets_in(opened.settings.dataset_folders)
        beside = bool(opened.settings.queue_url)
        cursor, allowed = context.cursor, may_start_of(opened)
        going = busy_of(context.instance, datasets)
        ticked = look(opened, datasets, cursor, now(), allowed, beside_queue=beside, busy=going)
        return result(context, opened, datasets, ticked)

    return dg.Definitions(sensors=[queue_sensor, listing_sensor] if targets else [])


def result(
    context: dg.SensorEvaluationContext, lake: Lake, datasets: Mapping[str, Dataset], ticked: Ticked
) -> dg.SensorResult:
    """What a tick hands to Dagster."""
    requests, text = requests_of(context, lake, datasets, ticked)
    reason = None if requests else text
    return dg.SensorResult(run_requests=requests, cursor=ticked.cursor, skip_reason=reason)


def dataset_schedule(dataset: Dataset, job: Any) -> dg.ScheduleDefinition:
    """Starts what has landed of a dataset at the times that its `arrivals.schedule` says."""
    name = dataset.name

    @dg.schedule(
        name=f"{name}_schedule",
        description=f"Starts what has landed of {name} and was not taken yet.",
        job=job,
        cron_schedule=dataset.config.arrivals.schedule,
        execution_timezone=dataset.config.partitions.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def schedule(context: dg.ScheduleEvaluationContext, lake: LakeResource) -> Any:
        opened, mine = lake.open(), {name: dataset}
        ticked = look(
            opened, mine, None, now(), may_start_of(opened), sensor=f"schedule-{name}", at_once=True
        )
        requests, text = requests_of(context, opened, mine, ticked)
        return requests or dg.SkipReason(text)

    return schedule
