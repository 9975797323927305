"""A dataset's Dagster definitions: four assets in one op, their checks, and a job.

One op, because the four zones are one unit of work: its stages share a scratch folder and an engine, and
every selection of them can be run. It logs what happened to each partition by itself, so that in a run
over many partitions each succeeds or fails alone: a refused partition is not materialized, and the op
raises at the end, so that "backfill failed partitions" picks exactly those.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import dagster as dg
from dagster import AssetCheckSeverity

from lake_pipeline.components import events, telling
from lake_pipeline.components.sensors import dataset_schedule, job_name
from lake_pipeline.datasets import Dataset, clocks
from lake_pipeline.datasets.loading import dataset_folders
from lake_pipeline.datasets.partitioning import UNPARTITIONED
from lake_pipeline.errors import LakeError, Transient
from lake_pipeline.flow.audit import check_names, named_sources
from lake_pipeline.flow.away import Away
from lake_pipeline.flow.context import Engines, tell
from lake_pipeline.flow.run import STAGES, Result, run_stages
from lake_pipeline.resources import Alerts, GlueJobs, LakeResource, SparkSessions
from lake_pipeline.resources.steps import GlueSteps
from lake_pipeline.settings import Settings
from lake_pipeline.storage.failures import is_passing

CODE_VERSION = "1"
PARTITIONS_PER_RUN = 400
WHAT = {
    "raw": "What producers landed, frozen in an input manifest.",
    "validated": "Typed rows that keep the contract, with their lineage.",
    "quarantine": "Every rejected row and file, with all its reasons.",
    "curated": "Transformed, deduplicated, audited: what consumers query.",
}


def partitions_definition(dataset: Dataset) -> dg.PartitionsDefinition | None:
    """The dataset's partitions as Dagster's."""
    spec = dataset.config.partitions
    if spec.by == "none":
        return None
    ahead: dict[str, Any] = {} if spec.end else {"end_offset": 1}
    if spec.by == "hourly":
        year = datetime.fromisoformat(spec.start).year
        return dg.HourlyPartitionsDefinition(
            start_date=f"{spec.start}-00:00",
            end_date=f"{spec.end}-00:00" if spec.end else None,
            timezone=clocks.dagsters_zone(spec.timezone, year),
            exclusions=clocks.shown_again(spec.timezone, year) or None,
            **ahead,
        )
    make: dict[str, Any] = {"monthly": dg.MonthlyPartitionsDefinition, "daily": dg.DailyPartitionsDefinition}
    return make[spec.by](  # type: ignore[no-any-return]
        start_date=spec.start, end_date=spec.end or None, timezone=spec.timezone, **ahead
    )


def key(zone: str, name: str) -> dg.AssetKey:
    """The key of a zone's asset."""
    return dg.AssetKey([zone, name])


def kinds(dataset: Dataset, zone: str) -> set[str]:
    """What Dagster shows a zone's asset to be made of."""
    if zone == "raw":
        return {"file"}
    engine = dataset.config.engine
    above = {engine} if engine != "auto" else {"duckdb", dataset.config.auto.above}
    return {"iceberg", *(above if zone != "quarantine" else ())}


def specs(dataset: Dataset) -> list[dg.AssetSpec]:
    """The four assets."""
    name = dataset.name
    known = dataset_folders(Settings.from_env().dataset_folders)
    sources = [key("curated", n) for n in named_sources(dataset, known)]
    deps = {
        "raw": [],
        "validated": [key("raw", name)],
        "quarantine": [key("raw", name)],
        "curated": [key("validated", name), *sources],
    }
    return [
        dg.AssetSpec(
            key(zone, name),
            deps=deps[zone],
            description=f"{dataset.contract.description}\n\n{WHAT[zone]}".strip(),
            group_name=name,
            owners=list(dataset.contract.owners),
            kinds=kinds(dataset, zone),
            code_version=CODE_VERSION,
            skippable=True,
            metadata=events.definition_metadata(dataset, zone),
        )
        for zone in STAGES
    ]


def check_specs(dataset: Dataset) -> list[dg.AssetCheckSpec]:
    """One check per DQ rule, the schema, the balance, and freshness; those of severity error block."""
    partitions = partitions_definition(dataset)
    found = [
        dg.AssetCheckSpec(
            name,
            asset=key("curated", dataset.name),
            description=rule,
            blocking=severity == "error",
            partitions_def=partitions,
        )
        for name, severity, rule in check_names(dataset.contract)
    ]
    return [*found, *telling.freshness_checks(dataset)]


def dataset_definitions(dataset: Dataset) -> dg.Definitions:
    """Everything Dagster is to know of a dataset."""
    retries = dataset.config.retries

    @dg.multi_asset(
        name=dataset.name,
        specs=specs(dataset),
        check_specs=check_specs(dataset),
        partitions_def=partitions_definition(dataset),
        backfill_policy=dg.BackfillPolicy.multi_run(PARTITIONS_PER_RUN),
        can_subset=True,
        op_tags={"dataset": dataset.name},
        hooks={telling.tell_failure},
    )
    def run(
        context: dg.AssetExecutionContext,
        lake: LakeResource,
        spark: SparkSessions,
        glue: GlueJobs,
        alerts: Alerts,
    ) -> Iterator[Any]:
        partitioned = context.has_partition_key or context.has_partition_key_range
        keys = list(context.partition_keys) if partitioned else [UNPARTITIONED]
        zones = [z for z in STAGES if key(z, dataset.name) in context.selected_asset_keys]
        force = context.run.tags.get("lake/force") == "true"
        try:
            about = telling.begin(context, lake.open(), dataset, keys)
            engines = Engines(spark.engine, Away(GlueSteps(glue, context.log)))
            result = run_stages(
                lake.open(),
                dataset,
                keys,
                zones,
                context.run.run_id,
                force,
                say=context.log.info,
                engines=engines,
                about=about,
            )
        except Transient as e:
            if e.repeats is not None and context.retry_number >= e.repeats:
                raise dg.Failure(str(e), allow_retries=False) from e
            raise telling.repetition(retries, context.retry_number) from e
        except LakeError as e:
            raise dg.Failure(str(e), allow_retries=False) from e
        except Exception as e:  # what is not known to be transient is not to be repeated
            if is_passing(e):
                raise telling.repetition(retries, context.retry_number) from e
            raise dg.Failure(f"{type(e).__name__}: {e}", allow_retries=False) from e
        yield from report(context, dataset, result, zones, about)
        telling.end(context, lake.open(), dataset, alerts, result)
        problems = result.problems()
        if problems or result.unready:
            text = events.failure_text(dataset, problems, result.unready)
            raise dg.Failure(text, allow_retries=False)

    job = dg.define_asset_job(
        job_name(dataset), selection=dg.AssetSelection.groups(dataset.name), tags={"dataset": dataset.name}
    )
    schedules = [dataset_schedule(dataset, job)] if dataset.config.arrivals.schedule else []
    return dg.Definitions(assets=[run], jobs=[job], schedules=schedules)


def report(
    context: dg.AssetExecutionContext,
    dataset: Dataset,
    result: Result,
    zones: list[str],
    about: Mapping[str, str],
) -> Iterator[Any]:
    """The events of each partition: materializations, and check evaluations with their numbers."""
    partitioned, of_run = dataset.config.partitions.by != "none", events.run_metadata(about)
    for done, partition in enumerate(result.partitions):
        tell("recording", done, len(result.partitions))
        label = partition if partitioned else None
        for zone in zones:
            metadata = events.materialization_metadata(dataset, result, zone, partition)
            if metadata is None:
                continue
            metadata = {**metadata, **of_run}
            if zone == "raw":
                metadata = {**metadata, **events.arrival_metadata(context.run.tags)}
            if partitioned:
                context.log_event(
                    dg.AssetMaterialization(key(zone, dataset.name), partition=label, metadata=metadata)
                )
            else:
                yield dg.MaterializeResult(asset_key=key(zone, dataset.name), metadata=metadata)
        for verdict in result.verdicts(partition):
            evaluation = {
                "asset_key": key("curated", dataset.name),
                "check_name": verdict.name,
                "passed": verdict.passed,
                "severity": SEVERITY[verdict.level],
                "description": verdict.reason or None,
                "metadata": {**events.verdict_metadata(verdict), **of_run},
            }
            if partitioned:
                context.log_event(dg.AssetCheckEvaluation(partition=label, **evaluation))  # type: ignore[arg-type]
            else:
                yield dg.AssetCheckResult(**evaluation)  # type: ignore[arg-type]


SEVERITY = {"error": AssetCheckSeverity.ERROR, "warning": AssetCheckSeverity.WARN}
