"""`lake compact`: the many small data files of published partitions become few."""

from __future__ import annotations

import logging
from typing import Annotated

import typer
from rich.console import Console

from lake_pipeline.cli.common import DatasetName, Json, Partition, dataset_of, open_lake
from lake_pipeline.cli.output import View, show, table
from lake_pipeline.datasets.partitioning import check_key
from lake_pipeline.flow.away import Away
from lake_pipeline.flow.compact import SMALL, compact
from lake_pipeline.flow.context import Engines, working
from lake_pipeline.flow.state import Memory
from lake_pipeline.resources import SparkSessions
from lake_pipeline.resources.glue.environment import glue_jobs
from lake_pipeline.resources.steps import GlueSteps

NAME = "compact"
Megabytes = Annotated[float, typer.Option("--below", help="Join data files smaller than so many MB.")]


def command(
    dataset: DatasetName,
    partition: Partition = None,
    below: Megabytes = SMALL / 10**6,
    as_json: Json = False,
) -> None:
    """Join the small data files of published partitions. No row, verdict or history changes."""
    lake = open_lake()
    found = dataset_of(lake, dataset)
    keys = [check_key(found.config.partitions, partition)] if partition else None
    glue = Away(GlueSteps(glue_jobs(), logging.getLogger(NAME)))
    with working(lake, found, "compact", engines=Engines(SparkSessions().engine, glue)) as work:
        done = compact(work, keys or list(Memory(lake, found).outcomes()), int(below * 10**6))

    def render(console: Console) -> None:
        if not done:
            console.print("There is nothing to compact.")
            return
        rows = [(p, before, after) for p, (before, after) in sorted(done.items())]
        console.print(table("", ("partition", "files before#", "files after#"), rows))

    document = [{"partition": p, "before": b, "after": a} for p, (b, a) in sorted(done.items())]
    raise typer.Exit(show(View(document, render), as_json))
