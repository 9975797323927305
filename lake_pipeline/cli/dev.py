"""`lake dev`: open Dagster on this lake."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from rich.console import Console

from lake_pipeline.cli.common import Json, open_lake
from lake_pipeline.cli.output import View, show
from lake_pipeline.storage import Lake

NAME = "dev"
Port = Annotated[int, typer.Option("--port", help="The webserver's port, on loopback.", min=1, max=65535)]
AwsLocal = Annotated[
    bool,
    typer.Option(
        "--aws-local", help="A new lake on S3, EventBridge and SQS in memory, on the port after it."
    ),
]


def command(port: Port = 3000, aws_local: AwsLocal = False, as_json: Json = False) -> None:
    """Start Dagster on this lake, at http://127.0.0.1:3000. That is its webserver and its daemon."""
    if aws_local:
        raise typer.Exit(on_aws_local(port, as_json))
    lake = open_lake()
    env = environment(lake)
    tell(lake, port, env, {}, as_json)
    os.chdir(env["DAGSTER_HOME"])  # a pyproject.toml in the current folder is not Dagster's business
    # In place of this process, so that signals reach Dagster itself.
    os.execve(sys.executable, dagster(port), env)  # noqa: S606


def on_aws_local(port: int, as_json: bool) -> int:
    """Start the local AWS, and Dagster on a lake there; both end together."""
    from lake_pipeline.cli.aws_local import aws_local

    home = Path(".lake/aws-local").resolve()
    shutil.rmtree(home, ignore_errors=True)  # its lake went with the last server
    with aws_local(port + 1, home) as extra:
        os.environ.update(extra)
        os.environ.pop("LAKE_CATALOG", None)
        os.environ["DAGSTER_HOME"] = str(home / "dagster")
        lake = open_lake()
        env = environment(lake)
        own = {"LAKE_DEFS": env["LAKE_DEFS"]} if env["LAKE_DEFS"] else {}
        tell(lake, port, env, {**extra, **own}, as_json)
        child = subprocess.Popen(dagster(port), env=env, cwd=env["DAGSTER_HOME"])
        signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGINT))
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:  # Dagster has it, too, and ends its processes
                continue


def environment(lake: Lake) -> dict[str, str]:
    """What Dagster's processes need to find the lake, from wherever they run."""
    from lake_pipeline.cli.dagster_run import dagster_home

    own = lake.settings.home / "defs"
    further = [str(folder) for folder in lake.settings.dataset_folders if folder != own]
    return {
        **os.environ,
        "LAKE_DEFS": os.pathsep.join(further),
        "DAGSTER_HOME": str(dagster_home(lake)),
        "LAKE_ROOT": lake.settings.root,
        "LAKE_HOME": str(lake.settings.home),
        "LAKE_CATALOG": lake.settings.catalog,
    }


def dagster(port: int) -> list[str]:
    """The command line of Dagster's webserver and daemon, without its advice to start them by another command."""
    command = [
        "-W",
        "ignore:Function `dev_command` is superseded",
        "-m",
        "dagster",
        "dev",
        "-m",
        "lake_pipeline.definitions",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    return [sys.executable, *command]


def tell(lake: Lake, port: int, env: Mapping[str, str], extra: Mapping[str, str], as_json: bool) -> None:
    """Say where everything is; extra: what another terminal needs to be set."""
    url = f"http://127.0.0.1:{port}"
    document = {"url": url, "lake": lake.settings.root, "dagster_home": env["DAGSTER_HOME"]}

    def render(console: Console) -> None:
        console.print(f"Dagster on {lake.settings.root}: [bold]{url}[/]  (Ctrl+C stops it)")
        if extra:
            console.print("In another terminal:")
            console.print(
                "export " + " ".join(f"{k}={quote(v)}" for k, v in extra.items()),
                soft_wrap=True,
                markup=False,
            )

    show(View({**document, **({"env": dict(extra)} if extra else {})}, render), as_json)
    sys.stdout.flush()
