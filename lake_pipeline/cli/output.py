"""The one place that prints: for people by rich, or one JSON document.

A command gives a `View`: its document, and how people are shown it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from lake_pipeline.cli.tables import table

PLAIN_WIDTH = 180  # of a table in a file or a pipe


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


__all__ = ["View", "console", "show", "table"]
