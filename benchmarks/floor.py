"""The floor of `lake demo --year`: the same runs, planned partitions and events in Dagster, and no work.

`python -m benchmarks.floor HOME [DAYS]`: HOME is a folder with a dagster.yaml. Prints the number of events that
the steps logged and the seconds it all took.
"""

import sys
import time
import warnings
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

warnings.simplefilter("ignore")  # previews of Dagster that the project uses on purpose
start = time.perf_counter()
import dagster as dg  # noqa: E402

from lake_pipeline.cli.dagster_run import hushed  # noqa: E402
from lake_pipeline.components.sensors import RANGE_END, RANGE_START  # noqa: E402
from lake_pipeline.definitions import defs  # noqa: E402

FIRST = date(2013, 1, 1)
DAYS = {"flights": 365, "weather": 364}
REFERENCES = ("airlines", "airports", "planes")
MATERIALIZATION: dict[str, Any] = {
    "dagster/row_count": 1,
    "landed_rows": 1,
    "quarantined_rows": 0,
    "objects": 1,
    "bytes": 1,
}
CHECK: dict[str, Any] = {"rule": "IsComplete", "value": 1.0}


def without_work(assets: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The same assets and checks; the op only says that it made them."""

    @dg.multi_asset(
        name=f"floor_{assets.op.name}",
        specs=list(assets.specs),
        check_specs=list(assets.check_specs),
        partitions_def=assets.partitions_def,
        can_subset=True,
    )
    def run(context: dg.AssetExecutionContext) -> Iterator[Any]:
        if assets.partitions_def is None:
            for spec in assets.specs:
                yield dg.MaterializeResult(asset_key=spec.key, metadata=MATERIALIZATION)
            for check in assets.check_specs:
                yield dg.AssetCheckResult(
                    asset_key=check.asset_key, check_name=check.name, passed=True, metadata=CHECK
                )
            return
        for partition in context.partition_keys:
            for spec in assets.specs:
                context.log_event(
                    dg.AssetMaterialization(spec.key, partition=partition, metadata=MATERIALIZATION)
                )
            for check in assets.check_specs:
                context.log_event(
                    dg.AssetCheckEvaluation(
                        asset_key=check.asset_key,
                        check_name=check.name,
                        passed=True,
                        partition=partition,
                        metadata=CHECK,
                    )
                )

    return run


def main(home: str, most_days: int) -> None:
    """Log a year's events into the instance of `home`."""
    every = [assets for assets in defs().assets or [] if isinstance(assets, dg.AssetsDefinition)]
    real = {next(iter(assets.keys)).path[-1]: assets for assets in every}
    events = 0
    with dg.DagsterInstance.from_config(home) as instance:
        for name in (*REFERENCES, *DAYS):
            tags = range_tags(min(DAYS[name], most_days)) if name in DAYS else {}
            result = job_of(without_work(real[name])).execute_in_process(instance=instance, tags=tags)
            assert result.success
            events += len(result.all_events)
    print(f"{events} events")
    print(f"{time.perf_counter() - start:.2f}")


def job_of(assets: dg.AssetsDefinition) -> dg.JobDefinition:
    """The job that runs them, as `lake` makes it."""
    job = dg.define_asset_job("floor", selection=dg.AssetSelection.assets(*assets.keys))
    shared: dict[str, Any] = {"executor": dg.in_process_executor, "loggers": {"console": hushed}}
    return dg.Definitions(assets=[assets], jobs=[job], **shared).resolve_job_def("floor")


def range_tags(days: int) -> dict[str, str]:
    """The tags of a run over the first days of 2013."""
    last = FIRST + timedelta(days=days - 1)
    return {RANGE_START: str(FIRST), RANGE_END: str(last)}


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else max(DAYS.values()))
