"""`lake demo`: real data with a real fault, from landing to the fix."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lake_pipeline.cli.common import Json, dataset_of, engine_of, open_lake
from lake_pipeline.cli.output import View, console, show, table
from lake_pipeline.cli.run import progress_bar
from lake_pipeline.demo import fix
from lake_pipeline.demo.flights_data import DAILY, REFERENCE, land
from lake_pipeline.engines.query import query
from lake_pipeline.flow.status import status
from lake_pipeline.storage import Lake

NAME = "demo"
NAME_OF_ALL = "lake"
Year = Annotated[bool, typer.Option("--year", help="All of 2013 instead of November.")]
NOVEMBER = 11


def command(year: Year = False, as_json: Json = False) -> None:
    """Run the whole story on real data. It is flights and weather of 2013; the lake it makes stays for you."""
    started = time.monotonic()
    out = console(stderr=True) if as_json else console()
    lake = open_lake()
    fix.start_over(lake)
    days = land(lake, None if year else NOVEMBER)
    what = "2013" if year else "November 2013"
    out.print(
        f"[bold]1. Land[/] {what} of flights and weather by day, and the reference data, in {lake.settings.root}"
    )
    out.print("[bold]2. Run[/] every partition through Dagster: validate, audit, publish")
    ran = [r for name in (*REFERENCE, *DAILY) for r in run(lake, name, days[name], out, as_json)]
    refused = [r for r in ran if not r.fine]
    out.print("[bold]3. The gate[/] refused what is not as promised; readers see nothing of it:")
    for r in refused:
        tell(lake, r, out)
    out.print("[bold]4. The fix[/] is a new version of weather's contract:")
    for change in fix.install(lake):
        out.print(f"   {change}", markup=False)
    lake = open_lake()  # with its own dataset folder
    again = [r for r in refused if r.dataset == "weather"]
    ran_again = run(lake, "weather", [r.partition for r in again], out, as_json) if again else []
    summary = summarize(lake, days)
    fine = all(s["balanced"] and s["published"] == s["partitions"] for s in summary) and all(
        r.fine for r in ran_again
    )
    document = {
        "lake": lake.settings.root,
        "seconds": round(time.monotonic() - started, 1),
        "refused": [{"dataset": r.dataset, "partition": r.partition, "reasons": list(r.outcome.reasons), "quarantined_rows": r.outcome.balance.quarantined} for r in refused],
        "datasets": summary,
    }  # fmt: skip
    raise typer.Exit(show(View(document, lambda c: render(c, document), int(not fine)), as_json))


def run(lake: Lake, name: str, partitions: list[str], out: Console, quiet: bool) -> list[Any]:
    """Run a dataset's partitions and say how it went."""
    from lake_pipeline.cli.dagster_run import run_partitions

    started = time.monotonic()
    with progress_bar(name, quiet):
        ran = run_partitions(lake, dataset_of(lake, name), partitions)
    counts = ", ".join(f"{n} {action}" for action, n in Counter(r.action for r in ran).items())
    out.print(f"   {name:<9} {counts}  [dim]{time.monotonic() - started:.1f} s[/]")
    return ran


def tell(lake: Lake, refused: Any, out: Console) -> None:
    """Why a partition was refused, and that its rows are in quarantine and nowhere else."""
    where = f"_partition = '{refused.partition}'"
    with engine_of(lake) as engine:
        sql = f"SELECT count(*) FROM quarantine.{refused.dataset} WHERE {where}"
        ((rows,),) = query(lake, engine, sql)[1]
        ((seen,),) = query(lake, engine, f"SELECT count(*) FROM curated.{refused.dataset} WHERE {where}")[1]
    out.print(
        f"   [bold red]{refused.dataset} {refused.partition}[/] {rows} rows in quarantine, {seen} visible in curated"
    )
    for reason in refused.outcome.reasons:
        out.print(f"   {reason}", markup=False)
    if refused.dataset == "weather":
        out.print("   (clocks went back that day: hour 1 happened twice at three airports)")


def summarize(lake: Lake, days: dict[str, list[str]]) -> list[dict[str, Any]]:
    """The table per dataset."""
    found = []
    with engine_of(lake) as engine:
        for name in days:
            parts = status(lake, dataset_of(lake, name), engine)
            found.append(
                {
                    "dataset": name,
                    "partitions": len(parts),
                    "published": sum(p.state == "published" for p in parts),
                    "landed": sum(p.balance.landed for p in parts),
                    "curated": sum(p.balance.curated for p in parts),
                    "quarantined": sum(p.balance.quarantined for p in parts),
                    "deduplicated": sum(p.balance.deduplicated for p in parts),
                    "filtered": sum(p.balance.filtered for p in parts),
                    "balanced": all(p.balance.holds for p in parts),
                }
            )
    return found


def called() -> str:
    """How this command is called from here: by its name, or by its path where that is not on ``PATH``."""
    if shutil.which(NAME_OF_ALL):
        return NAME_OF_ALL
    path = Path(sys.executable).parent / NAME_OF_ALL
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def render(out: Console, document: dict[str, Any]) -> None:
    """The end of the story."""
    columns = ("dataset", "partitions#", "published#", "landed#", "curated#", "quarantined#", "deduplicated#", "filtered#", "balanced")  # fmt: skip
    out.print("[bold]5. Every landed row is in exactly one place[/]")
    out.print(table("", columns, [tuple(d.values()) for d in document["datasets"]]))
    out.print(f"[dim]{document['seconds']} s[/]")
    out.print("[bold]Next[/]")
    root = "" if document["lake"] == str(Path(".lake").resolve()) else f"LAKE_ROOT={document['lake']} "
    lake = root + called()
    for words in (
        f'{lake} sql "SELECT carrier, count(*) AS flights FROM curated.flights GROUP BY 1 ORDER BY 2 DESC LIMIT 5"',
        f"{lake} status weather",
        f"{lake} dev          # the same in Dagster: assets, partitions, checks, runs",
    ):
        out.print(f"   {words}", markup=False)
