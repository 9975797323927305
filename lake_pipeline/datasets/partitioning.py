"""Partition keys, their windows in time, and the path template that maps objects to them.

Keys are Dagster's: ``2013-11-03`` (daily), ``2013-11-03-14:00`` (hourly), ``2013-11-01`` (monthly), and
``all`` for a dataset without partitions. An hour is one that clocks show: see `lake_pipeline.datasets.clocks`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from lake_pipeline.datasets.clocks import exists
from lake_pipeline.datasets.config import Partitions
from lake_pipeline.errors import UsageError

UNPARTITIONED = "all"
KEY_FORMAT = {"monthly": "%Y-%m-%d", "daily": "%Y-%m-%d", "hourly": "%Y-%m-%d-%H:%M"}
FIELDS = {
    "yyyy": ("(?P<{}>[0-9]{{4}})", "%Y"),
    "mm": ("(?P<{}>[0-9]{{2}})", "%m"),
    "dd": ("(?P<{}>[0-9]{{2}})", "%d"),
    "hh": ("(?P<{}>[0-9]{{2}})", "%H"),
}
NEEDED = {
    "none": (),
    "monthly": ("yyyy", "mm"),
    "daily": ("yyyy", "mm", "dd"),
    "hourly": ("yyyy", "mm", "dd", "hh"),
}


@dataclass(frozen=True)
class Placement:
    """Where a key belongs: its partition, or why its own name contradicts itself."""

    partition: str
    mismatch: str | None = None


@dataclass(frozen=True)
class Template:
    """A landing path template, e.g. ``orders/{yyyy}/{mm}/{dd}/`` or ``orders/{yyyy}/orders_{yyyy}{mm}{dd}.csv``.

    The folder part decides which partition an object belongs to; a file part, where there is one, may
    repeat the date, and must then agree. ``*`` matches within one path segment.
    """

    text: str
    by: str

    def __post_init__(self) -> None:
        unknown = [f for f in re.findall(r"{(\w*)}", self.text) if f not in FIELDS]
        if unknown:
            raise UsageError(
                f"landing: {{{unknown[0]}}} is no placeholder; use {{yyyy}} {{mm}} {{dd}} {{hh}}."
            )
        missing = [f for f in NEEDED[self.by] if f"{{{f}}}" not in self.text]
        if missing:
            raise UsageError(
                f'landing: "{self.text}" lacks {{{missing[0]}}}, which {self.by} partitions need.'
            )
        extra = [f for f in re.findall(r"{(\w+)}", self.text) if f not in NEEDED[self.by]]
        if extra:
            raise UsageError(
                f'landing: "{self.text}" has {{{extra[0]}}}, which {self.by} partitions do not have.'
            )
        if self.text.startswith("/") or ".." in self.text.split("/"):
            raise UsageError(f'landing: "{self.text}" must be a path below the raw zone.')

    @cached_property
    def prefix(self) -> str:
        """The folder that holds every object of the dataset."""
        literal = re.split(r"[{*]", self.text)[0]
        return literal.rpartition("/")[0]

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(self._pattern(self.text) + ("" if self.named else "(?P<name>.+)"), re.DOTALL)

    @property
    def named(self) -> bool:
        """Whether the template names the file too, not only its folder."""
        return not self.text.endswith("/")

    def _pattern(self, text: str) -> str:
        seen: dict[str, int] = {}
        out = []
        for piece in re.split(r"({\w+}|\*)", text):
            field = piece.strip("{}")
            if piece == "*":
                out.append("[^/]*")
            elif piece.startswith("{") and field in FIELDS:
                seen[field] = seen.get(field, 0) + 1
                out.append(FIELDS[field][0].format(f"{field}_{seen[field]}"))
            else:
                out.append(re.escape(piece))
        return "".join(out)

    def place(self, key: str) -> Placement | None:
        """The partition of an object's key, or None when the key is not of this dataset."""
        match = self._regex.fullmatch(key)
        if match is None:
            return None
        found = {name: value for name, value in match.groupdict().items() if name != "name"}
        first = {name.partition("_")[0]: value for name, value in reversed(found.items())}
        partition = self._key(first)
        if partition is None:
            written = "-".join(first[f] for f in NEEDED[self.by])
            return Placement(written, f'"{key}" has no possible date in its path')
        for name, value in found.items():
            if value != first[name.partition("_")[0]]:
                return Placement(partition, f'its folder says {partition}, its file name has "{value}"')
        return Placement(partition)

    def _key(self, values: Mapping[str, str]) -> str | None:
        if self.by == "none":
            return UNPARTITIONED
        numbers = [int(values[f]) for f in NEEDED[self.by]]
        try:
            moment = datetime(*(numbers + [1] * (3 - len(numbers))))  # type: ignore[arg-type]
        except ValueError:
            return None
        return moment.strftime(KEY_FORMAT[self.by])

    def fill(self, partition: str, name: str) -> str:
        """The key under which a file `name` of a partition lands."""
        text = self.text
        if self.by != "none":
            moment = moment_of(self.by, partition)
            for field, (_, code) in FIELDS.items():
                text = text.replace(f"{{{field}}}", moment.strftime(code))
        if self.named and "*" not in text:
            return text
        return text.rpartition("/")[0] + "/" + name


def moment_of(by: str, key: str) -> datetime:
    """The start of a partition's window as clocks show it; raises `UsageError` for what is no key."""
    try:
        return datetime.strptime(key, KEY_FORMAT[by])
    except ValueError as e:
        example = datetime(2026, 3, 1).strftime(KEY_FORMAT[by])
        raise UsageError(f'"{key}" is no {by} partition; write it like "{example}".') from e


def check_key(partitions: Partitions, key: str) -> str:
    """The partition key as Dagster spells it; raises `UsageError` for one that cannot be."""
    if partitions.by == "none":
        if key != UNPARTITIONED:
            raise UsageError(f'The dataset has no partitions; leave --partition out (got "{key}").')
        return key
    fmt = KEY_FORMAT[partitions.by]
    try:
        moment = datetime.strptime(key, fmt)
    except ValueError as e:
        example = datetime.fromisoformat(partitions.start).strftime(fmt)
        raise UsageError(f'"{key}" is no {partitions.by} partition; write it like "{example}".') from e
    if key < datetime.fromisoformat(partitions.start).strftime(fmt):
        raise UsageError(f'"{key}" is before the first partition, {partitions.start}.')
    if partitions.end and key >= datetime.fromisoformat(partitions.end).strftime(fmt):
        raise UsageError(f'"{key}" is after the last partition; the dataset ends before {partitions.end}.')
    if partitions.by == "hourly" and not exists(moment, partitions.timezone):
        raise UsageError(
            f'"{key}" does not exist in {partitions.timezone}: clocks went forward over that hour.'
        )
    return floor(partitions.by, moment).strftime(fmt)


def misfit(partitions: Partitions, key: str) -> str:
    """Why a partition that landed objects name cannot be run; empty for one that can."""
    try:
        check_key(partitions, key)
    except UsageError as e:
        return str(e)
    return ""


def floor(by: str, moment: datetime) -> datetime:
    """The start of the window that holds the moment."""
    moment = moment.replace(minute=0, second=0, microsecond=0)
    return moment if by == "hourly" else moment.replace(hour=0, day=1 if by == "monthly" else moment.day)


def following(partitions: Partitions, key: str) -> str:
    """The key of the next window."""
    moment = datetime.strptime(key, KEY_FORMAT[partitions.by])
    step = {"hourly": timedelta(hours=1), "daily": timedelta(days=1), "monthly": timedelta(days=31)}[
        partitions.by
    ]
    then = floor(partitions.by, moment + step)
    while partitions.by == "hourly" and not exists(then, partitions.timezone):
        then += step
    return then.strftime(KEY_FORMAT[partitions.by])


def keys_between(partitions: Partitions, first: str, last: str) -> list[str]:
    """All keys from `first` to `last`, both included."""
    keys, key = [], check_key(partitions, first)
    stop = check_key(partitions, last)
    while key <= stop:
        keys.append(key)
        key = following(partitions, key)
    return keys


def runs_of(partitions: Partitions, keys: list[str]) -> list[list[str]]:
    """Sorted keys cut into runs of adjoining windows."""
    runs: list[list[str]] = []
    for key in sorted(set(keys)):
        if runs and partitions.by != "none" and following(partitions, runs[-1][-1]) == key:
            runs[-1].append(key)
        else:
            runs.append([key])
    return runs


def now() -> datetime:
    """The time, in UTC: the one clock of the pipeline."""
    return datetime.now(UTC)
