"""`lake run`: run partitions through Dagster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from lake_pipeline.cli.common import DatasetName, Json, Partition, dataset_of, open_lake
from lake_pipeline.cli.output import View, console, show, table
from lake_pipeline.cli.refused import RefusedFile, refused_files
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import UNPARTITIONED, check_key, keys_between
from lake_pipeline.engines import spark_session
from lake_pipeline.errors import UsageError
from lake_pipeline.flow.context import watched
from lake_pipeline.flow.inventory import landed_partitions
from lake_pipeline.flow.state import Memory
from lake_pipeline.storage import Lake

NAME = "run"
SHOWN = 40
SHOWN_FILES = 10
UNKNOWN = {"balanced": None}
From = Annotated[str | None, typer.Option("--from", help="The first partition of a range.")]
To = Annotated[str | None, typer.Option("--to", help="The last partition of a range.")]
All = Annotated[bool, typer.Option("--all", help="Every partition in which anything landed.")]
Force = Annotated[bool, typer.Option("--force", help="Do it again; opens no gate.")]


def command(
    dataset: DatasetName,
    partition: Partition = None,
    first: From = None,
    last: To = None,
    everything: All = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Validate, audit and publish partitions of DATASET. It is a run of Dagster's."""
    lake = open_lake()
    found = dataset_of(lake, dataset)
    keys = chosen(lake, found, partition, first, last, everything)
    if found.config.engine == "spark" and (force or not all_published(lake, found, keys)):
        spark_session.begin()
    from lake_pipeline.cli.dagster_run import run_partitions

    with progress_bar(dataset, quiet=as_json):
        ran = run_partitions(lake, found, keys, force)
    files = refused_files(lake, found, [r.partition for r in ran if r.action != "unchanged"])
    view = View(
        [document(r, files) for r in ran], lambda c: render(c, ran, files), int(not all(r.fine for r in ran))
    )
    raise typer.Exit(show(view, as_json))


def all_published(lake: Lake, dataset: Dataset, partitions: list[str]) -> bool:
    """Whether there may be nothing to do."""
    outcomes = Memory(lake, dataset).outcomes(partitions)
    return all(p in outcomes and outcomes[p].state == "published" for p in partitions)


def chosen(
    lake: Lake, dataset: Dataset, partition: str | None, first: str | None, last: str | None, everything: bool
) -> list[str]:
    """The partitions that were asked for; raises `UsageError` where that makes no sense."""
    spec = dataset.config.partitions
    asked = [partition is not None, first is not None or last is not None, everything]
    if sum(asked) > 1 or (first is None) != (last is None):
        raise UsageError("Say one of: --partition P, --from P --to P, --all.")
    if spec.by == "none":
        return [check_key(spec, partition or first or UNPARTITIONED)]
    if not any(asked):
        raise UsageError(f"{dataset.name} is partitioned: say --partition P, --from P --to P, or --all.")
    if partition is not None:
        return [check_key(spec, partition)]
    if first is not None and check_key(spec, first) > check_key(spec, str(last)):
        raise UsageError(f"--from {first} is after --to {last}; a range goes from the earlier to the later.")
    landed = landed_partitions(lake, dataset)
    keys = landed if everything else keys_between(spec, str(first), str(last))
    found = [k for k in keys if k in set(landed)]
    if not found:
        raise UsageError(
            f"Nothing of {dataset.name} has landed there. Land files with: lake land {dataset.name} FILE "
            f"--partition P"
        )
    return found


@contextmanager
def progress_bar(what: str, quiet: bool) -> Iterator[None]:
    """A progress bar on the error stream; nothing for JSON, or where nobody watches."""
    shown = console(stderr=True)
    if quiet or not shown.is_terminal:
        yield
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=shown, transient=True) as bar:
        task = bar.add_task(f"{what}: starting", total=None)

        def watch(doing: str, done: int, total: int) -> None:
            bar.update(task, description=f"{what}: {doing}", completed=done, total=total or None)

        with watched(watch):
            yield


def document(r: Any, files: Sequence[RefusedFile] = ()) -> dict[str, Any]:
    """The JSON of one partition's run; files: those that were refused as a whole."""
    balance = r.outcome.balance if r.outcome else None
    stale = r.action == "failed" and r.outcome and r.outcome.run_id != r.run_id  # why an earlier run failed
    return {
        "dataset": r.dataset,
        "partition": r.partition,
        "action": r.action,
        "state": r.outcome.state if r.outcome else "failed",
        "landed_rows": balance.landed if balance else 0,
        "curated_rows": balance.curated if balance else 0,
        "quarantined_rows": balance.quarantined if balance else 0,
        "deduplicated_rows": balance.deduplicated if balance else 0,
        "filtered_rows": balance.filtered if balance else 0,
        "balanced": balance.holds if balance else False,
        "reasons": list(r.outcome.reasons) if r.outcome and not r.fine and not stale else [],
        "refused_files": [
            {"key": f.key, "reason": f.reason, "message": f.message}
            for f in files
            if f.partition == r.partition
        ],
        "error": r.error,
        "run_id": r.run_id,
    }


def render(out: Console, ran: list[Any], files: Sequence[RefusedFile] = ()) -> None:
    """What became of each partition, the unhappy ones with their reasons, and which files were refused."""
    shown = [r for r in ran if not r.fine or len(ran) <= SHOWN]
    columns = (
        "dataset",
        "partition",
        "action",
        "landed#",
        "curated#",
        "quarantined#",
        "deduplicated#",
        "filtered#",
        "balanced",
    )
    if shown:
        out.print(table("", columns, [row({**document(r), **({} if r.outcome else UNKNOWN)}) for r in shown]))
    for r in ran:
        reasons = document(r)["reasons"]
        for reason in reasons or ([r.error] if r.action == "failed" and r.error else []):
            out.print(f"[bold red]{r.partition}[/] {r.action}: ", end="")
            out.print(reason, markup=False)
    for f in files[:SHOWN_FILES]:
        out.print(f"[bold red]{f.partition}[/] file refused: ", end="")
        out.print(f"{f.key.rpartition('/')[2]}: {f.reason}: {f.message}", markup=False)
    if len(files) > SHOWN_FILES:
        out.print(f"… and {len(files) - SHOWN_FILES} files more; --json lists all.")
    counts = Counter(r.action for r in ran)
    out.print(", ".join(f"{n} {action}" for action, n in counts.items()))
    if set(counts) == {"unchanged"}:
        out.print("Nothing to do: what landed is what is published.")
    elif files or any(r.outcome and r.outcome.balance.quarantined for r in ran):
        name = ran[0].dataset
        out.print(
            f'Look at what was rejected: lake sql "SELECT reasons, raw FROM quarantine.{name} LIMIT 5"',
            markup=False,
        )


def row(d: dict[str, Any]) -> tuple[object, ...]:
    """A table row of a run."""
    return tuple(
        d[k]
        for k in (
            "dataset", "partition", "action", "landed_rows", "curated_rows", "quarantined_rows",
            "deduplicated_rows", "filtered_rows", "balanced",
        )
    )  # fmt: skip
