"""`lake contract`: work on data contracts."""

from __future__ import annotations

from contextlib import suppress

import typer
from rich.console import Console

from lake_pipeline.cli.common import Json, MaybeDataset, open_lake
from lake_pipeline.cli.output import View, show
from lake_pipeline.contracts import ContractError, lint
from lake_pipeline.datasets import DatasetError, load_dataset
from lake_pipeline.datasets.loading import contract_of, dataset_folders
from lake_pipeline.errors import UsageError, did_you_mean

app = typer.Typer(help="Work on data contracts.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Work on data contracts."""


@app.command("lint")
def lint_command(dataset: MaybeDataset = None, as_json: Json = False) -> None:
    """Check contracts and defs.yaml. Every problem is told with its file, line and a hint."""
    folders = dataset_folders(open_lake().settings.dataset_folders)
    if dataset is not None and dataset not in folders:
        known = ", ".join(folders)
        raise UsageError(
            f'There is no dataset "{dataset}"; there are {known}.{did_you_mean(dataset, folders)}'
        )
    found: list[dict[str, object]] = []
    texts: list[str] = []
    names = [dataset] if dataset else list(folders)
    for name in names:
        for problem in lint(contract_of(folders[name])):
            found.append({"dataset": name, "file": str(problem.file), "line": problem.line, "text": problem.text, "message": problem.message, "hint": problem.hint})  # fmt: skip
            texts.append(str(problem))
        with suppress(ContractError):  # its problems are listed already
            try:
                load_dataset(folders[name])
            except DatasetError as e:
                found.append({"dataset": name, "file": str(folders[name] / "defs.yaml"), "line": None, "text": "", "message": str(e), "hint": ""})  # fmt: skip
                texts.append(str(e))

    def render(out: Console) -> None:
        for text in texts:
            out.print(text, markup=False)
        word = "problem" if len(found) == 1 else "problems"
        out.print(
            f"{len(names)} dataset(s), {len(found)} {word}" if found else f"{', '.join(names)}: no problems"
        )

    raise typer.Exit(show(View(found, render, int(bool(found))), as_json))
