"""`lake metrics`: how the lake has been doing, from what it has recorded."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from lake_pipeline.cli.common import Json, MaybeDataset, datasets_of, open_lake
from lake_pipeline.cli.output import View, show, table
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.health.metrics import DatasetMetrics, LakeMetrics, lake_lines, metrics

NAME = "metrics"
COLUMNS = (
    "dataset", "runs#", "failed runs#", "published#", "failed#", "median", "p95", "quality failures", "replays#",
    "lag", "SLA missed#", "breaker",
)  # fmt: skip
Days = Annotated[int, typer.Option("--days", min=1, max=366, help="How many days, today included (UTC).")]
Emf = Annotated[
    bool, typer.Option("--emf", help="As CloudWatch embedded metrics, a line for each dataset and the lake.")
]


def command(dataset: MaybeDataset = None, days: Days = 7, emf: Emf = False, as_json: Json = False) -> None:
    """Show success and failure by day, durations and lag. Quality failures, replays and freshness, too."""
    lake = open_lake()
    found = metrics(lake, datasets_of(lake, dataset), now(), days)

    def render(console: Console) -> None:
        if emf:
            for line in lake_lines(found):
                console.print(line, markup=False)
            return
        shown = [d for d in found.datasets if d.days or d.sla_met or d.sla_missed]
        if shown:
            console.print(table("", COLUMNS, [row(d) for d in shown]))
        else:
            console.print(f"No run since {found.since}.")
        console.print(of_lake(found))

    raise typer.Exit(show(View(found.as_dict(), render), as_json))


def row(d: DatasetMetrics) -> tuple[Any, ...]:
    """A dataset as a table row."""
    return (
        d.dataset,
        d.runs_succeeded,
        d.runs_failed,
        d.partitions_published,
        d.partitions_failed,
        seconds(d.run_seconds_median),
        seconds(d.run_seconds_p95),
        None if d.quality_failure_rate is None else f"{d.quality_failure_rate:.1%}",
        d.replays,
        seconds(d.freshness_lag_seconds_median),
        d.sla_missed,
        d.breaker,
    )


def seconds(value: float | None) -> str | None:
    """A duration for people: ``4.2 s``, ``3 min``, ``2.0 h``."""
    if value is None:
        return None
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def of_lake(found: LakeMetrics) -> str:
    """What belongs to no dataset, in a line."""
    return (
        f"events: {found.events:,} ({found.events_lost:,} lost), longest wait {seconds(found.queue_lag_seconds)}; "
        f"alerts waiting: {found.alerts_waiting:,}, the oldest for {seconds(found.alerts_lag_seconds)}"
    )
