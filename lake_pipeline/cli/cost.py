"""`lake cost`: what the job runs of AWS Glue cost, from their records in the lake."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from lake_pipeline.cli.common import Json, MaybeDataset, datasets_of, open_lake
from lake_pipeline.cli.output import View, show, table
from lake_pipeline.resources.glue.environment import glue_jobs
from lake_pipeline.resources.glue.ledger import Spent, spent, total

NAME = "cost"
COLUMNS = ("dataset", "job", "runs#", "seconds#", "DPU-hours#", "price#", "currency")
Daily = Annotated[bool, typer.Option("--daily", help="Each day (UTC) on which runs ended by itself.")]


def command(dataset: MaybeDataset = None, daily: Daily = False, as_json: Json = False) -> None:
    """Sum what Glue job runs cost, by dataset and job.

    Also of those that failed or were stopped, before discounts and taxes.
    """
    lake = open_lake()
    names = {d.name for d in datasets_of(lake, dataset)} if dataset else None
    found = spent(lake.zone("ops"), glue_jobs().prefix, daily=daily)
    costs = [c for c in found if names is None or c.dataset in names]
    sums = total(costs)

    def render(console: Console) -> None:
        if not costs:
            console.print("No Glue job has run for this lake; engine: duckdb and spark cost nothing here.")
            return
        columns = ("day", *COLUMNS) if daily else COLUMNS
        rows = [(c.day or "·", *row(c)) if daily else row(c) for c in [*costs, *sums]]
        console.print(table("", columns, rows))

    document = {"costs": [asdict(c) for c in costs], "total": [asdict(c) for c in sums]}
    raise typer.Exit(show(View(document, render), as_json))


def row(cost: Spent) -> tuple[object, ...]:
    """A line of the table, without its day."""
    return (
        cost.dataset or "all",
        cost.job,
        cost.runs,
        f"{cost.seconds:,.0f}",
        f"{cost.dpu_hours:.4f}",
        f"{cost.price:.4f}",
        cost.currency,
    )
