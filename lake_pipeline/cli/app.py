"""The command's entry: its subcommands, and what every one of them does with an error."""

from __future__ import annotations

import sys

import typer

from lake_pipeline.cli import (
    alerts,
    check,
    compact,
    contract,
    cost,
    demo,
    dev,
    dq,
    glue,
    land,
    metrics,
    rerun,
    resume,
    run,
    sql,
    status,
)
from lake_pipeline.cli.output import console
from lake_pipeline.errors import LakeError, UsageError

app = typer.Typer(
    name="lake",
    help="A governed data lake: landed files become audited tables. LAKE_ROOT names the lake (./.lake).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for module in (
    demo, land, run, rerun, status, sql, check, alerts, metrics, resume, cost, compact, dev,
):  # fmt: skip
    app.command(module.NAME)(module.command)
app.add_typer(dq.app, name="dq")
app.add_typer(contract.app, name="contract")
app.add_typer(glue.app, name="glue")


def main() -> None:
    """Run the command: exit code 0 when all that was asked for was done, 1 when not, 2 for wrong use."""
    try:
        app(standalone_mode=True)
    except UsageError as e:
        console(stderr=True).print(f"[bold red]lake:[/] {_plain(e)}")
        sys.exit(2)
    except LakeError as e:
        console(stderr=True).print(f"[bold red]lake:[/] {_plain(e)}")
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as e:  # of the machine: no space, no permission, no such device
        console(stderr=True).print(f"[bold red]lake:[/] {_plain(e)}")
        sys.exit(1)


def _plain(error: Exception) -> str:
    from rich.markup import escape

    return escape(str(error))
