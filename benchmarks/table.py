"""The results as Markdown, between two marks of docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES

START, END = "<!-- measured by `make bench`: start -->", "<!-- measured by `make bench`: end -->"
NEW = f"# Benchmarks\n\n{START}\n{END}\n"
VERSIONS = ("dagster", "duckdb", "ibis-framework", "pyiceberg")


def machine() -> dict[str, Any]:
    """Where it was measured."""
    return {
        "cpus": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in VERSIONS},
    }


def write_table(results: Mapping[str, Any], path: Path) -> None:
    """Put the tables between the marks; what stands around them stays, and so do tables measured later than these."""
    text = path.read_text(encoding="utf-8") if path.exists() else NEW
    before, _, rest = text.partition(START)
    tables, _, after = rest.partition(END)
    there = {table.partition("\n")[0]: f"### {table.strip()}" for table in tables.split("\n### ")[1:]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{before}{START}\n{render(results, there)}\n{END}{after}", encoding="utf-8")


def render(results: Mapping[str, Any], there: Mapping[str, str] | None = None) -> str:
    """All tables. there: those of the page, by title.

    >>> numbers = {"lake run": {"seconds": 9.0, "own_seconds": None, "peak_mb": 900.0, "runs": 1}}
    >>> where = {"cpus": 2, "memory_gb": 8, "system": "Linux", "python": "3.11.7", "versions": {"duckdb": "2.0.0"}}
    >>> print(render({"machine": where, "cases": {"larger": {"at": "2026-02-25", "numbers": numbers}}}))
    Linux, 2 CPUs, 8 GB, Python 3.11.7, duckdb 2.0.0.
    <BLANKLINE>
    ### 20,000,000 orders in one CSV file
    <BLANKLINE>
    Measured 2026-02-25; the quickest of 1.
    <BLANKLINE>
    | what | seconds | of that, by its own clock | peak memory, MB |
    | --- | ---: | ---: | ---: |
    | lake run | 9.0 | | 900 |
    <BLANKLINE>
    | promised | measured | limit | |
    | --- | ---: | ---: | --- |
    | under 2 GB (MB) | 900 | 2,000 | holds |
    """
    where = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    head = f"{where['system']}, {where['cpus']} CPUs, {where['memory_gb']} GB, Python {where['python']}, {versions}."
    found = results["cases"]
    numbers = {name: case["numbers"] for name, case in found.items()}
    made = {CASES[n].title: "\n".join(render_case(n, found[n], numbers)) for n in CASES if n in found}
    tables = [made, there or {}]
    newest = [
        max((t[c.title] for t in tables if c.title in t), key=measured_at, default="") for c in CASES.values()
    ]
    return "\n\n".join([head, *filter(None, newest)])


def measured_at(table: str) -> str:
    """When a table was measured, as it says.

    >>> measured_at("Measured 2026-02-25T10:00:00+00:00; the quickest of 1.")
    '2026-02-25T10:00:00+00:00'
    """
    return table.partition("Measured ")[2].partition(";")[0]


def render_case(name: str, found: Mapping[str, Any], numbers: Mapping[str, Any]) -> Iterator[str]:
    """One case: what was measured, and what was promised."""
    runs = max(row["runs"] for row in found["numbers"].values())
    yield from (f"### {CASES[name].title}", "", f"Measured {found['at']}; the quickest of {runs}.", "")
    yield "| what | seconds | of that, by its own clock | peak memory, MB |"
    yield "| --- | ---: | ---: | ---: |"
    for what, row in found["numbers"].items():
        own = f" {row['own_seconds']:,.1f} " if row["own_seconds"] else " "
        yield f"| {what} | {row['seconds']:,.1f} |{own}| {row['peak_mb']:,.0f} |"
    try:
        limits = list(CASES[name].limits(numbers))
    except KeyError:  # a contender that failed has no numbers
        yield from ("", "Not all contenders could be measured, so the limit cannot be judged.")
        return
    if limits:
        yield from ("", "| promised | measured | limit | |", "| --- | ---: | ---: | --- |")
    for text, measured, limit in limits:
        verdict = "holds" if measured <= limit else "**missed**"
        yield f"| {text} | {short(measured)} | {short(limit)} | {verdict} |"


def short(number: float) -> str:
    """A number as one reads it: ``9.0``, ``2,000``."""
    return f"{number:,.1f}" if number < 100 else f"{number:,.0f}"
