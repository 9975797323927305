"""`lake land`: copy files into the raw zone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lake_pipeline.cli.common import DatasetName, Json, Partition, dataset_of, open_lake
from lake_pipeline.cli.output import View, show
from lake_pipeline.flow.land import land

NAME = "land"
Files = Annotated[list[Path], typer.Argument(help="Files to land.", metavar="FILE...")]


def command(dataset: DatasetName, files: Files, partition: Partition = None, as_json: Json = False) -> None:
    """Land FILEs in DATASET's raw zone, as a producer would."""
    lake = open_lake()
    landed = land(lake, dataset_of(lake, dataset), files, partition)

    def render(console: Console) -> None:
        for where, uri in landed:
            console.print(f"landed [bold]{dataset}[/] {where}  ", end="")
            console.print(uri, markup=False)
        console.print(
            f"next: lake run {dataset} --partition {landed[0][0]}"
            if landed[0][0] != "all"
            else f"next: lake run {dataset}"
        )

    document = [{"dataset": dataset, "partition": p, "uri": uri} for p, uri in landed]
    raise typer.Exit(show(View(document, render), as_json))
