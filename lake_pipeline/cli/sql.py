"""`lake sql`: query the tables of all zones, read-only."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from lake_pipeline.cli.common import Json, engine_of, open_lake
from lake_pipeline.cli.output import View, show, table
from lake_pipeline.engines.query import query

NAME = "sql"
SHOWN = 200
Query = Annotated[
    str, typer.Argument(help='A SELECT, e.g. "SELECT count(*) FROM curated.flights".', metavar="SQL")
]


def command(sql: Query, as_json: Json = False) -> None:
    """Query curated.*, validated.* and quarantine.* with DuckDB's SQL."""
    lake = open_lake()
    with engine_of(lake) as engine:
        columns, rows = query(lake, engine, sql)

    def render(console: Console) -> None:
        console.print(table("", columns, rows[:SHOWN]))
        hidden = f", the first {SHOWN} shown; --json prints all" if len(rows) > SHOWN else ""
        console.print(f"[dim]{len(rows):,} row{'s' * (len(rows) != 1)}{hidden}[/]")

    names = apart(columns)
    document = [dict(zip(names, row, strict=True)) for row in rows]
    raise typer.Exit(show(View(document, render), as_json))


def apart(columns: list[str]) -> list[str]:
    """The columns' names; of equal ones, the second is ``name_1``: an object has each key once.

    >>> apart(["a", "b", "a", "a"])
    ['a', 'b', 'a_1', 'a_2']
    """
    taken: list[str] = []
    for name in columns:
        number, found = 0, name
        while found in taken or (number and found in columns):
            number += 1
            found = f"{name}_{number}"
        taken.append(found)
    return taken
