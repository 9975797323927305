"""`lake status`: where every row of every partition is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console

from lake_pipeline.cli.common import Json, MaybeDataset, datasets_of, engine_of, open_lake
from lake_pipeline.cli.output import View, show, table
from lake_pipeline.flow.status import Status, status
from lake_pipeline.health.breaker import Breaker, breakers

NAME = "status"
COLUMNS = (
    "dataset", "partition", "state", "landed#", "curated#", "quarantined#", "deduplicated#", "filtered#", "balanced",
)  # fmt: skip


def command(dataset: MaybeDataset = None, as_json: Json = False) -> None:
    """Show each partition's state and where its rows are."""
    lake = open_lake()
    with engine_of(lake) as engine:
        found = [s for d in datasets_of(lake, dataset) for s in status(lake, d, engine)]
    held = breakers(lake)

    def render(console: Console) -> None:
        if not found:
            console.print("Nothing has landed yet. Try: lake demo, or lake land DATASET FILE")
            return
        console.print(table("", COLUMNS, [row(s) for s in found]))
        for s in found:
            for reason in s.reasons if s.state in ("refused", "failed") else ():
                console.print(f"[bold red]{s.dataset} {s.partition}[/] {s.state}: ", end="")
                console.print(reason, markup=False)
        for name in dict.fromkeys(s.dataset for s in found):
            if name in held and held[name].state != "closed":
                console.print(f"[bold red]{name}[/]: automatic runs are stopped ({held[name].why}). ", end="")
                console.print(f"Start them again: lake resume {name}")

    raise typer.Exit(show(View([document(s, held) for s in found], render), as_json))


def document(s: Status, held: Mapping[str, Breaker]) -> dict[str, Any]:
    """The JSON of a partition: its stable form, and the state of its dataset's breaker."""
    return {**s.as_dict(), "breaker": held.get(s.dataset, Breaker()).state}


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
