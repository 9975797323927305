"""Run partitions through Dagster, in this process: events, checks and history are in its UI afterwards."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import dagster as dg

from lake_pipeline.components.definitions import dataset_definitions
from lake_pipeline.components.sensors import (
    LANE_TAG,
    PROFILE_TAG,
    SOURCE_TAG,
    job_name,
    partition_tags,
    source_location,
)
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import UNPARTITIONED, runs_of
from lake_pipeline.flow.state import DEFAULT_PROFILE, Memory, Outcome
from lake_pipeline.health import logs
from lake_pipeline.health.targets import Targets
from lake_pipeline.machine import MB, default_memory, memory_limit
from lake_pipeline.resources import resources
from lake_pipeline.resources.processes import PROCESS_TAG, process_name
from lake_pipeline.storage import Lake

FIRST = """# Dagster's instance for this lake. Production runs keep their events in Postgres.
telemetry:
  enabled: false
nux:
  enabled: false
"""
LANES = f"""{FIRST}# Sensors wait for messages, so each has a thread of its own.
sensors:
  use_threads: true
  num_workers: 4
# Of the runs that arrivals start, those of one lane follow each other, so that no two work on one partition.
run_queue:
  dequeue_interval_seconds: 1
  tag_concurrency_limits:
    - key: {LANE_TAG}
      value:
        applyLimitPerUniqueValue: true
      limit: 1
"""
LAUNCHER = """# Runs begin at once: their processes have the libraries loaded. Elsewhere than on one machine, leave this out.
run_launcher:
  module: lake_pipeline.resources.launcher
  class: WarmLauncher
"""
EARLIER = (FIRST, LANES, LANES + LAUNCHER)  # what earlier versions wrote
REPOSITORY = "__repository__@lake_pipeline.definitions"  # by which the UI finds the runs of a job
MOST_RUNS = 10  # Dagster's default
RUN_BESIDES = 500 * MB  # of a run, besides its engine
Action = Literal["published", "unchanged", "refused", "still refused", "failed"]


@dataclass(frozen=True)
class Ran:
    """What a run did to one partition. outcome: the newest; None where the run failed before there was one."""

    dataset: str
    partition: str
    action: Action
    outcome: Outcome | None
    run_id: str
    error: str = ""

    @property
    def fine(self) -> bool:
        """Whether the partition is published."""
        return self.action in ("published", "unchanged")


def dagster_home(lake: Lake) -> Path:
    """Dagster's home: ``DAGSTER_HOME``, or a folder in the lake's own; made at first use."""
    home = Path(os.environ.get("DAGSTER_HOME") or lake.settings.home / "dagster")
    home.mkdir(parents=True, exist_ok=True)
    path = home / "dagster.yaml"
    if not path.exists() or path.read_text(encoding="utf-8") in EARLIER:
        path.write_text(instance_yaml(), encoding="utf-8")
    return home


def instance_yaml() -> str:
    """Dagster's instance on this machine."""
    most = f"  # What this machine has memory for.\n  max_concurrent_runs: {concurrent_runs()}\n"
    return LANES.replace("  tag_concurrency_limits:", f"{most}  tag_concurrency_limits:") + LAUNCHER


def concurrent_runs() -> int:
    """How many runs at once this machine has memory for, at most Dagster's own ten."""
    limit = memory_limit()
    return MOST_RUNS if limit is None else max(1, min(MOST_RUNS, limit // (default_memory() + RUN_BESIDES)))


@contextmanager
def instance_of(lake: Lake) -> Iterator[dg.DagsterInstance]:
    """The lake's Dagster instance."""
    os.environ["DAGSTER_HOME"] = str(dagster_home(lake))
    with dg.DagsterInstance.get() as instance:
        yield instance


def run_partitions(
    lake: Lake,
    dataset: Dataset,
    partitions: list[str],
    force: bool = False,
    tags: Mapping[str, str] | None = None,
) -> list[Ran]:
    """Run partitions, adjoining ones in one Dagster run with these further tags; returns what became of each."""
    memory = Memory(lake, dataset)
    before = memory.outcomes(partitions)
    runs: dict[str, tuple[str, str, bool]] = {}
    with instance_of(lake) as instance, quiet():
        job = job_of(dataset)
        for keys in runs_of(dataset.config.partitions, partitions):
            result = job.execute_in_process(
                run_config={"loggers": {"console": {}}},
                instance=instance,
                tags={**tags_of(lake, dataset, keys, force), **(tags or {})},
                raise_on_error=False,
            )
            error = error_of(result)
            done = set(keys) if result.success else materialized(instance, dataset, result.run_id)
            runs.update({k: (result.run_id, error, k in done) for k in keys})
    after = memory.outcomes(partitions)
    return [ran(dataset, p, before.get(p), after.get(p), *runs[p]) for p in partitions]


def job_of(dataset: Dataset) -> dg.JobDefinition:
    """The dataset's job, as the code location has it."""
    shared = dg.Definitions(
        resources=resources(), executor=dg.in_process_executor, loggers={"console": hushed}
    )
    return dg.Definitions.merge(dataset_definitions(dataset), shared).resolve_job_def(job_name(dataset))


@dg.logger
def hushed(_: dg.InitLoggerContext) -> logging.Logger:
    """The terminal shows progress, and Dagster's event log keeps the events; ``LAKE_LOG=json`` asks for lines."""
    targets = Targets.from_env()
    logs.install(targets)
    logger = logging.getLogger("lake_pipeline.run" if targets.log == "json" else "hushed.lake_pipeline")
    logger.addHandler(logging.NullHandler())
    logger.propagate = targets.log == "json"
    return logger


def tags_of(lake: Lake, dataset: Dataset, keys: list[str], force: bool) -> dict[str, str]:
    """The tags that tell a run its partitions."""
    tags = {".dagster/repository": REPOSITORY, PROCESS_TAG: process_name(), "dataset": dataset.name}
    tags |= {SOURCE_TAG: source_location(lake, dataset), PROFILE_TAG: DEFAULT_PROFILE}
    tags |= {"lake/force": "true"} if force else {}
    return {**tags, **partition_tags(dataset, keys)}


def materialized(instance: dg.DagsterInstance, dataset: Dataset, run_id: str) -> set[str]:
    """The partitions of curated that a run found, or made, as they should be, though it failed."""
    logs = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    events = [e.dagster_event for e in logs if e.dagster_event]
    curated = dg.AssetKey(["curated", dataset.name])
    return {e.partition or UNPARTITIONED for e in events if e.asset_key == curated}


def ran(
    dataset: Dataset,
    partition: str,
    before: Outcome | None,
    after: Outcome | None,
    run_id: str,
    error: str,
    done: bool,
) -> Ran:
    """What a run did, by the outcomes before and after it."""
    new = after is not None and (before is None or after.number != before.number)
    if after is None or (after.state == "published" and not done):
        nothing = f"nothing has landed; land files with: lake land {dataset.name} FILE"
        return Ran(dataset.name, partition, "failed", after, run_id, error or nothing)
    if after.state == "published":
        return Ran(dataset.name, partition, "published" if new else "unchanged", after, run_id)
    if after.state == "refused":
        return Ran(dataset.name, partition, "refused" if new else "still refused", after, run_id)
    return Ran(dataset.name, partition, "failed", after, run_id, error)


def error_of(result: dg.ExecuteInProcessResult) -> str:
    """Why a run failed, in the words of the step."""
    if result.success:
        return ""
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data and data.user_failure_data.description:
                return str(data.user_failure_data.description)
            error = data.error.cause or data.error if data.error else None  # not how often, but why
            return str(error.message if error else "the step failed").strip()
    return "the run failed"


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings that Dagster gives of its own new features; the versions are pinned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield
