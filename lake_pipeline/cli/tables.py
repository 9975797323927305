"""Tables that fit where they are printed: whole, without what says nothing, or one record after another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

STATE_STYLE = {"published": "green", "refused": "bold red", "failed": "bold red", "pending": "yellow"}
TEXT_WIDTH = 24  # of a column of text, where it is folded: less cannot be read
GAP = 2


@dataclass(frozen=True)
class Column:
    """A column and its cells. number: it is right-aligned and never folded. zero: nothing else is in it."""

    name: str
    number: bool
    cells: tuple[Text, ...]
    zero: bool

    @property
    def width(self) -> int:
        """How much room it takes as it is."""
        lines = [line for cell in (Text(self.name), *self.cells) for line in cell.split()]
        return max((line.cell_len for line in lines), default=0)

    @property
    def least(self) -> int:
        """How much room it takes when it is folded."""
        return self.width if self.number else min(self.width, TEXT_WIDTH)


@dataclass(frozen=True)
class Fitted:
    """A table that looks for the room it has when it is printed."""

    title: str
    columns: tuple[Column, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        telling = replace(self, columns=tuple(c for c in self.columns if not c.zero))
        if self.fits(options.max_width):
            yield self.whole()
        elif telling.columns and telling.fits(options.max_width):
            yield telling.whole()
            yield Text(f"0 in all rows: {', '.join(c.name for c in self.columns if c.zero)}", "dim")
        else:
            yield from self.records()

    def fits(self, width: int) -> bool:
        """Whether it can be read in a terminal of that width."""
        return sum(c.least for c in self.columns) + GAP * (len(self.columns) - 1) <= width

    def whole(self) -> Table:
        """Row by row."""
        made = Table(
            title=Text(self.title) if self.title else None,
            title_justify="left",
            header_style="bold",
            pad_edge=False,
            box=None,
        )
        for c in self.columns:
            side: Any = "right" if c.number else "left"
            made.add_column(Text(c.name), justify=side, no_wrap=c.number, overflow="fold", min_width=c.least)
        for row in zip(*(c.cells for c in self.columns), strict=True):
            made.add_row(*row)
        return made

    def records(self) -> RenderResult:
        """One record after another, each value beside its column's name."""
        if self.title:
            yield Text(self.title)
        for number, row in enumerate(zip(*(c.cells for c in self.columns), strict=True)):
            if number:
                yield ""
            made = Table.grid(padding=(0, GAP), pad_edge=False)
            made.add_column(no_wrap=True, style="bold")
            made.add_column(overflow="fold")
            for c, value in zip(self.columns, row, strict=True):
                made.add_row(Text(c.name), value)
            yield made


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Fitted:
    """A table; columns whose names end in ``#`` are numbers."""
    values = [list(row) for row in rows]
    made = []
    for at, name in enumerate(columns):
        mine, number = [row[at] for row in values], name.endswith("#")
        zero = number and bool(mine) and all(v == 0 for v in mine)
        made.append(Column(name.removesuffix("#"), number, tuple(map(cell, mine)), zero))
    return Fitted(title, tuple(made))


def cell(value: Any) -> Text:
    """A value in a table."""
    if isinstance(value, bool):
        return Text.from_markup("[green]yes[/]" if value else "[bold red]no[/]")
    if isinstance(value, int):
        return Text(f"{value:,}")
    if value is None:
        return Text("·", "dim")
    text = str(value)
    return Text(text, STATE_STYLE.get(text, ""))
