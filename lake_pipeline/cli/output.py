"""The one place that prints: for people by rich, or one JSON document.

A command gives a `View`: its document, and how people are shown it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

PLAIN_WIDTH = 180  # of a table in a file or a pipe
STATE_STYLE = {"published": "green", "refused": "bold red", "failed": "bold red", "pending": "yellow"}


@dataclass(frozen=True)
class View:
    """What a command says, and with which exit code it ends."""

    document: Any
    render: Callable[[Console], None]
    code: int = 0


def console(stderr: bool = False) -> Console:
    """Where people read; plain text without colours when it is not a terminal."""
    made = Console(stderr=stderr, highlight=False, soft_wrap=True)
    return (
        made
        if made.is_terminal
        else Console(stderr=stderr, highlight=False, soft_wrap=True, width=PLAIN_WIDTH)
    )


def show(view: View, as_json: bool) -> int:
    """Print a view; returns its exit code."""
    if as_json:
        sys.stdout.write(json.dumps(view.document, indent=2, ensure_ascii=False, default=str) + "\n")
    else:
        view.render(console())
    return view.code


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table; columns whose names end in ``#`` are numbers."""
    made = Table(title=title or None, title_justify="left", header_style="bold", pad_edge=False, box=None)
    for column in columns:
        number = column.endswith("#")
        made.add_column(
            column.rstrip("#"), justify="right" if number else "left", no_wrap=number, overflow="fold"
        )
    for row in rows:
        made.add_row(*(cell(value) for value in row))
    return made


def cell(value: Any) -> str:
    """A value in a table."""
    if isinstance(value, bool):
        return "[green]yes[/]" if value else "[bold red]no[/]"
    if isinstance(value, int):
        return f"{value:,}"
    if value is None:
        return "[dim]·[/]"
    text = escape(str(value))
    return f"[{STATE_STYLE[text]}]{text}[/]" if text in STATE_STYLE else text
