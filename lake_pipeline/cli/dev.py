"""`lake dev`: open Dagster on this lake."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from lake_pipeline.cli.common import Json, open_lake
from lake_pipeline.cli.output import View, show

NAME = "dev"
Port = Annotated[int, typer.Option("--port", help="The webserver's port, on loopback.")]


def command(port: Port = 3000, as_json: Json = False) -> None:
    """Start Dagster's webserver and daemon on this lake, at http://127.0.0.1:3000."""
    from lake_pipeline.cli.dagster_run import dagster_home

    lake = open_lake()
    home = dagster_home(lake)
    url = f"http://127.0.0.1:{port}"
    document = {"url": url, "lake": lake.settings.root, "dagster_home": str(home)}
    show(
        View(
            document, lambda c: c.print(f"Dagster on {lake.settings.root}: [bold]{url}[/]  (Ctrl+C stops it)")
        ),
        as_json,
    )
    own = lake.settings.home / "defs"
    further = [str(folder) for folder in lake.settings.dataset_folders if folder != own]
    env = {
        **os.environ,
        "LAKE_DEFS": os.pathsep.join(further),
        "DAGSTER_HOME": str(home),
        "LAKE_ROOT": lake.settings.root,
        "LAKE_HOME": str(lake.settings.home),
        "LAKE_CATALOG": lake.settings.catalog,
    }
    command = ["-m", "dagster", "dev", "-m", "lake_pipeline.definitions", "-h", "127.0.0.1", "-p", str(port)]
    os.chdir(home)  # a pyproject.toml in the current folder is not Dagster's business
    # In place of this process, so that signals reach Dagster itself.
    os.execve(sys.executable, [sys.executable, *command], env)  # noqa: S606
