"""`lake alerts`: what is wrong, and what nobody could be told yet."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console

from lake_pipeline.cli.common import Json, MaybeDataset, dataset_of, open_lake
from lake_pipeline.cli.output import View, show, table
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.health.incidents import Incident, incidents
from lake_pipeline.health.messages import KINDS, told
from lake_pipeline.health.outbox import Waiting, waiting
from lake_pipeline.health.telling import send

NAME = "alerts"
All = Annotated[bool, typer.Option("--all", help="Also what is over: the newest incident of each kind.")]
Send = Annotated[bool, typer.Option("--send", help="Send what waits, now.")]


def command(dataset: MaybeDataset = None, everything: All = False, deliver: Send = False, as_json: Json = False) -> None:  # fmt: skip
    """Show incidents that last, and messages that wait. Exit code 1 when a sink fails."""
    lake = open_lake()
    subject = dataset_of(lake, dataset).name if dataset else ""
    if deliver:
        from lake_pipeline.cli.telling import sinks

        send(lake, sinks(), None, now())
    found = [i for i in incidents(lake, subject) if everything or i.is_open]
    queues = waiting(lake)
    what = {"incidents": [document(i) for i in found], "waiting": [asdict(w) for w in queues]}
    failing = int(any(w.error for w in queues))
    raise typer.Exit(show(View(what, lambda console: render(console, found, queues), failing), as_json))


def document(i: Incident) -> dict[str, Any]:
    """The JSON of an incident."""
    return {
        "kind": i.kind,
        "subject": i.subject,
        "state": "open" if i.is_open else "resolved",
        "opened": i.opened,
        "resolved": i.over,
        "count": i.count,
        "told": i.told,
        "members": {name: asdict(fault) for name, fault in i.faults.items()},
    }


def render(console: Console, found: list[Incident], queues: list[Waiting]) -> None:
    """For people."""
    if found:
        rows = [(i.subject, KINDS[i.kind].title, i.opened[:16], i.over[:16] or None, i.count) for i in found]
        console.print(table("", ("of", "what", "since (UTC)", "over", "times#"), rows))
    for i in found:
        if i.faults:
            console.print(told(i.faults, ""), markup=False)
    if not found:
        console.print("No incidents.")
    for w in queues:
        console.print(
            f"[bold red]{w.sink}[/] has {w.messages} message(s) waiting since {w.oldest[:16]}: ", end=""
        )
        console.print(w.error or "not sent yet", markup=False)
