"""Tables fit into the terminal they are printed in, and no text of a value or a name is lost."""

from __future__ import annotations

import io

from rich.console import Console

from lake_pipeline.cli.sql import apart
from lake_pipeline.cli.tables import Fitted, table

COUNTS = ("dataset", "partition", "action", "landed#", "curated#", "quarantined#", "deduplicated#", "filtered#", "balanced")  # fmt: skip


def printed(made: Fitted, width: int) -> list[str]:
    """The lines of a table in a terminal of that width."""
    out = io.StringIO()
    Console(file=out, width=width, soft_wrap=True).print(made)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_wide_terminal_has_all_columns() -> None:
    lines = printed(table("", COUNTS, [("sales", "2026-03-01", "published", 4, 4, 0, 0, 0, True)]), 100)
    assert lines[0].split() == [c.rstrip("#") for c in COUNTS]
    assert lines[1].split() == ["sales", "2026-03-01", "published", "4", "4", "0", "0", "0", "yes"]


def test_a_narrow_terminal_does_without_what_is_zero() -> None:
    rows = [("payments", f"2026-03-0{n}", "published", 1234567, 4, n - 1, 0, 0, True) for n in (1, 2)]
    lines = printed(table("", COUNTS, rows), 80)
    assert lines[0].split() == [
        "dataset",
        "partition",
        "action",
        "landed",
        "curated",
        "quarantined",
        "balanced",
    ]
    assert lines[1].split() == ["payments", "2026-03-01", "published", "1,234,567", "4", "0", "yes"]
    assert lines[3:] == ["0 in all rows: deduplicated, filtered"]


def test_what_does_not_fit_is_one_record_after_another() -> None:
    rows = [("payments", "2026-03-01", "published", 4, 1, 1, 1, 1, True)] * 2
    lines = printed(table("t", COUNTS, rows), 60)
    assert lines[:3] == ["t", "dataset       payments", "partition     2026-03-01"]
    assert lines.count("filtered      1") == 2
    assert lines.count("") == 1


def test_long_text_is_folded_beside_what_is_short() -> None:
    lines = printed(table("", ("line#", "reasons"), [(7, "word " * 30)]), 40)
    assert lines[0].split() == ["line", "reasons"]
    assert max(map(len, lines)) <= 40
    assert " ".join(lines).count("word") == 30


def test_what_looks_like_markup_is_text() -> None:
    lines = printed(table("[a]", ("a[b]c", "[/]"), [("x[red]y", "[/x]")]), 80)
    assert [line.split() for line in lines] == [["[a]"], ["a[b]c", "[/]"], ["x[red]y", "[/x]"]]


def test_no_rows() -> None:
    assert printed(table("", ("a", "b#"), []), 80) == ["a  b"]


def test_columns_of_one_name_are_told_apart() -> None:
    assert apart(["a", "a_1", "a", "b", "a"]) == ["a", "a_1", "a_2", "b", "a_3"]
