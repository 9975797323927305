"""`lake status`: where every row of every partition is."""

from __future__ import annotations

import typer
from rich.console import Console

from lake_pipeline.cli.common import Json, MaybeDataset, datasets_of, engine_of, open_lake
from lake_pipeline.cli.output import View, show, table
from lake_pipeline.flow.status import Status, status

NAME = "status"
COLUMNS = (
    "dataset", "partition", "state", "landed#", "curated#", "quarantined#", "deduplicated#", "filtered#", "balanced",
)  # fmt: skip


def command(dataset: MaybeDataset = None, as_json: Json = False) -> None:
    """Show each partition's state and where its rows are."""
    lake = open_lake()
    with engine_of(lake) as engine:
        found = [s for d in datasets_of(lake, dataset) for s in status(lake, d, engine)]

    def render(console: Console) -> None:
        if not found:
            console.print("Nothing has landed yet. Try: lake demo, or lake land DATASET FILE")
            return
        console.print(table("", COLUMNS, [row(s) for s in found]))
        for s in found:
            for reason in s.reasons if s.state in ("refused", "failed") else ():
                console.print(f"[bold red]{s.dataset} {s.partition}[/] {s.state}: {reason}", markup=True)

    raise typer.Exit(show(View([s.as_dict() for s in found], render), as_json))


def row(s: Status) -> tuple[object, ...]:
    """A partition as a table row."""
    b = s.balance
    return (
        s.dataset,
        s.partition,
        s.state,
        b.landed,
        b.curated,
        b.quarantined,
        b.deduplicated,
        b.filtered,
        b.holds,
    )
