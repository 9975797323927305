"""`lake check`: what would happen to a file, writing nothing to the lake."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lake_pipeline.cli.common import DatasetName, Json, Partition, dataset_of, open_lake
from lake_pipeline.cli.output import View, show, table
from lake_pipeline.errors import UsageError
from lake_pipeline.flow.check import Preview, check

NAME = "check"
File = Annotated[Path, typer.Argument(help="The file to check.", metavar="FILE")]


def command(dataset: DatasetName, file: File, partition: Partition = None, as_json: Json = False) -> None:
    """Show what would happen to FILE, were it landed. That is its rejects, its drift, its audit."""
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    lake = open_lake()
    preview = check(lake, dataset_of(lake, dataset), file, partition)
    fine = (
        preview.curated.action == "published"
        and not preview.receipt.quarantined
        and not preview.receipt.reason
    )
    view = View(document(dataset, file, preview), lambda c: render(c, file, preview), int(not fine))
    raise typer.Exit(show(view, as_json))


def document(dataset: str, file: Path, preview: Preview) -> dict[str, object]:
    """The JSON form."""
    receipt = asdict(preview.receipt)
    return {
        "dataset": dataset,
        "file": str(file),
        "verdict": preview.curated.action,
        **{k: receipt[k] for k in ("rows", "valid", "quarantined", "reason", "message", "drift", "coerced")},
        "rejects": [{k: r[k] for k in ("line", "reasons", "raw")} for r in preview.rejects],
        "checks": [{"name": v.name, "passed": v.passed, "severity": v.severity, "reason": v.reason} for v in preview.verdicts],
    }  # fmt: skip


def render(out: Console, file: Path, preview: Preview) -> None:
    """For people."""
    receipt = preview.receipt
    if receipt.reason:
        out.print(f"[bold red]{receipt.reason}[/] the whole file would be quarantined:", end=" ")
        out.print(receipt.message, markup=False)
    else:
        out.print(
            f"{file.name}: {receipt.rows:,} rows, {receipt.valid:,} valid, {receipt.quarantined:,} rejected"
        )
    for event in receipt.drift:
        out.print(f"[yellow]drift[/] {event['kind']}: ", end="")
        out.print(str(event["detail"]), markup=False)
    if preview.rejects:
        lines = [(r["line"], "; ".join(f"{x['code']} {x['column']}: {x['message']} ({x['value']})" for x in r["reasons"])) for r in preview.rejects]  # fmt: skip
        out.print(table(f"rejected rows (first {len(lines)})", ("line", "reasons"), lines))
    failed = [(v.name, v.level, v.reason) for v in preview.verdicts if not v.passed]
    if failed and not receipt.reason:  # a refused file has no rows: that they fail says nothing
        out.print(table("failed checks", ("check", "severity", "reason"), failed))
    words = {"published": "[green]would be published[/]", "refused": "[bold red]would be refused[/]"}
    out.print(
        f"A partition of this file alone {words.get(preview.curated.action, 'would fail')}. Nothing was written."
    )
