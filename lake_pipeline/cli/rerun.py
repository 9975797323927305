"""`lake rerun`: finish what killed runs left, and with --failed run again what failed or was refused."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import typer
from rich.console import Console

from lake_pipeline.cli import run
from lake_pipeline.cli.common import Json, MaybeDataset, datasets_of, open_lake
from lake_pipeline.cli.output import View, show, table
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.flow.state import DEFAULT_PROFILE
from lake_pipeline.health import outbox
from lake_pipeline.health.events import replay_event
from lake_pipeline.health.messages import split_sample
from lake_pipeline.health.telling import send
from lake_pipeline.health.unfinished import ALL, LOST, PlannedRun, Unfinished
from lake_pipeline.storage import Lake

NAME = "rerun"
Failed = Annotated[bool, typer.Option("--failed", help="Also everything that failed or was refused.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List it, and run nothing.")]


def command(dataset: MaybeDataset = None, failed: Failed = False, dry_run: DryRun = False, as_json: Json = False) -> None:  # fmt: skip
    """Finish what killed runs left, of DATASET or of all. Upstream datasets come first, in as few runs as possible."""
    from lake_pipeline.cli.left import planned

    lake = open_lake()
    runs = planned(lake, datasets_of(lake, dataset), ALL if failed else LOST)
    if dry_run or not runs:
        raise typer.Exit(show(View(plan_document(runs), lambda c: render_plan(c, runs)), as_json))
    ran = [
        r for number, planned_run in enumerate(runs, 1) for r in replay(lake, planned_run, number, as_json)
    ]
    code = int(not all(r.fine for _, _, r in ran))
    view = View([document(*r) for r in ran], lambda c: run.render(c, [r for _, _, r in ran]), code)
    raise typer.Exit(show(view, as_json))


def replay(lake: Lake, planned: PlannedRun, number: int, quiet: bool) -> list[tuple[int, Unfinished, Any]]:
    """Do one planned run, and say to other programs when it starts and ends."""
    from lake_pipeline.cli.dagster_run import run_partitions
    from lake_pipeline.components.telling import REPLAY_TAG

    name, replay_id = planned.dataset.name, f"rerun-{uuid.uuid4().hex[:12]}"
    say(lake, "ReplayStarted", replay_id, planned)
    with run.progress_bar(name, quiet=quiet):
        ran = run_partitions(lake, planned.dataset, planned.keys, tags={REPLAY_TAG: replay_id})
    say(lake, "ReplayCompleted", replay_id, planned, fine=sum(r.fine for r in ran), run_id=ran[0].run_id)
    return [(number, why, r) for why, r in zip(planned.partitions, ran, strict=True)]


def say(lake: Lake, event: str, replay_id: str, planned: PlannedRun, **more: Any) -> None:
    """Send an event of a replay."""
    from lake_pipeline.cli.telling import sinks
    from lake_pipeline.components.sensors import source_location

    receivers, at = sinks(), now()
    about = {"source": source_location(lake, planned.dataset), "threshold_profile": DEFAULT_PROFILE}
    message = replay_event(event, replay_id, planned.dataset.name, planned.keys, at, **about, **more)
    send(lake, receivers, outbox.post(lake, receivers, [message], at), at)


def plan_document(runs: list[PlannedRun]) -> list[dict[str, Any]]:
    """The JSON of a plan."""
    return [planned_document(number, u) for number, r in enumerate(runs, 1) for u in r.partitions]


def planned_document(number: int, u: Unfinished) -> dict[str, Any]:
    """The JSON of one planned partition. run: which of the planned runs it is in, from 1."""
    return {
        "run": number,
        "dataset": u.dataset,
        "partition": u.partition,
        "why": u.why,
        "why_reason": u.reason,
    }


def document(number: int, u: Unfinished, ran: Any) -> dict[str, Any]:
    """The JSON of one partition that was run: its plan, and what `lake run` says of it."""
    return {**planned_document(number, u), **run.document(ran)}


def render_plan(console: Console, runs: list[PlannedRun]) -> None:
    """The plan for people."""
    if not runs:
        console.print("Nothing is left to run.")
        return
    rows = [
        (n, u.dataset, u.partition, u.why, split_sample(u.reason)[0])
        for n, r in enumerate(runs, 1)
        for u in r.partitions
    ]
    console.print(table("", ("run#", "dataset", "partition", "why", "reason"), rows))
    console.print(f"{len(rows)} partition(s) in {len(runs)} run(s); nothing was run.")
