"""`lake resume`: let runs of a dataset start by themselves again."""

from __future__ import annotations

import typer
from rich.console import Console

from lake_pipeline.cli.common import DatasetName, Json, dataset_of, open_lake
from lake_pipeline.cli.output import View, show
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.health import breaker, outbox
from lake_pipeline.health.incidents import recovered
from lake_pipeline.health.messages import Message
from lake_pipeline.health.telling import send

NAME = "resume"


def command(dataset: DatasetName, as_json: Json = False) -> None:
    """Close DATASET's circuit breaker. Its runs start by themselves again."""
    from lake_pipeline.cli.telling import sinks

    lake, at = open_lake(), now()
    name = dataset_of(lake, dataset).name
    was = breaker.breaker(lake, name).state
    breaker.resume(lake, name, at)
    receivers, keys = sinks(), []

    def tell(message: Message) -> None:
        keys.extend(outbox.post(lake, receivers, [message], at))

    recovered(lake, "BREAKER_OPEN", name, None, at, tell)
    send(lake, receivers, keys, at)

    def render(console: Console) -> None:
        console.print(
            f"{name}: its runs start by themselves again."
            if was != "closed"
            else f"{name}: nothing had stopped; its runs start by themselves."
        )

    raise typer.Exit(show(View({"dataset": name, "was": was, "breaker": "closed"}, render), as_json))
