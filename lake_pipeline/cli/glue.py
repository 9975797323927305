"""`lake glue`: bring the jobs of a bundle to AWS Glue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lake_pipeline.cli.common import Json
from lake_pipeline.cli.output import View, show, table
from lake_pipeline.errors import UsageError
from lake_pipeline.resources.glue.bundle import bundle_files, bundle_jobs
from lake_pipeline.resources.glue.environment import glue_jobs
from lake_pipeline.resources.glue.request import RunOptions
from lake_pipeline.storage import ObjectStore

app = typer.Typer(help="Bring the jobs of `make glue-bundle` to AWS Glue.", no_args_is_help=True)
Code = Annotated[str, typer.Option("--code", help="Where jobs find their code, e.g. s3://acme-code/lake.")]
Role = Annotated[str, typer.Option("--role", help="The name or ARN of the role that jobs run as.")]
Bundle = Annotated[Path, typer.Option("--bundle", help="The folder that `make glue-bundle` wrote.")]
Module = Annotated[
    list[str] | None, typer.Option("--module", help="A further module from PyPI, e.g. holidays==0.9.")
]
Connection = Annotated[list[str] | None, typer.Option("--connection", help="A connection of Glue's.")]
Tag = Annotated[list[str] | None, typer.Option("--tag", help="A tag of the jobs, e.g. team=lake.")]
Most = Annotated[int, typer.Option("--most", min=1, help="How many runs of a job may run at once.")]


@app.callback()
def group() -> None:
    """Bring the jobs of `make glue-bundle` to AWS Glue."""


@app.command("deploy")
def deploy_command(
    code: Code,
    role: Role,
    bundle: Bundle = Path("dist/glue"),
    module: Module = None,
    connection: Connection = None,
    tag: Tag = None,
    most: Most = 20,
    as_json: Json = False,
) -> None:
    """Upload the bundle, and create or update its jobs; done again, it changes nothing."""
    files, store, glue = bundle_files(bundle), ObjectStore(code), glue_jobs()
    options = RunOptions(modules=tuple(module or ()))
    jobs = [
        replace(job, tags=tags_of(tag or []), connections=tuple(connection or ()), max_concurrent_runs=most)
        for job in bundle_jobs(bundle, code, role, options)
    ]
    for path in files:
        store.write(path.name, path)
    done = [(job.name, glue.ensure(job)) for job in jobs]

    def render(console: Console) -> None:
        console.print(f"uploaded {len(files)} files to {code}")
        console.print(table("", ("job", "what was done"), done))

    document = {
        "code": code,
        "files": [path.name for path in files],
        "jobs": [{"job": name, "done": what} for name, what in done],
    }
    raise typer.Exit(show(View(document, render), as_json))


def tags_of(given: list[str]) -> dict[str, str]:
    """Tags as ``name=value``."""
    pairs = [text.partition("=") for text in given]
    for name, equals, value in pairs:
        if not (name and equals):
            raise UsageError(f'"{name}{equals}{value}" is no tag; write name=value.')
    return {name: value for name, _, value in pairs}
