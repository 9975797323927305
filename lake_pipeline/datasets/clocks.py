"""Hours of a time zone whose clocks change: which exist, and which of Dagster's are the second of their name.

An hourly partition is an hour as clocks show it, because that is what a landing folder can say. Where clocks go back,
the hour they show twice is one partition of two hours; where they go forward over an hour, there is no partition.
Dagster counts hours as they pass instead: it is told what to leave out.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

LAST_YEAR = 2060  # up to which Dagster is told; the rules of time zones change, too
HOUR = timedelta(hours=1)
HALF = timedelta(minutes=30)


def exists(hour: datetime, timezone: str) -> bool:
    """Whether clocks in the time zone ever show that hour, or a part of it.

    >>> exists(datetime(2026, 3, 29, 2), "Europe/Berlin"), exists(datetime(2026, 10, 25, 2), "Europe/Berlin")
    (False, True)
    >>> exists(datetime(2026, 10, 4, 2), "Australia/Lord_Howe")  # from half past two on
    True
    """
    zone = ZoneInfo(timezone)
    shown = (hour, hour + timedelta(minutes=59))
    return any(
        t.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == t for t in shown
    )


@cache
def changes(timezone: str, first_year: int) -> tuple[tuple[datetime, timedelta], ...]:
    """The days (UTC) on which clocks change, with what is added to them."""
    zone, found = ZoneInfo(timezone), []
    day, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
    while day < end:
        following = day + timedelta(days=1)
        before, after = (t.astimezone(zone).utcoffset() or timedelta() for t in (day, following))
        if before != after:
            found.append((day, after - before))
        day = following
    return tuple(found)


@cache
def shown_again(timezone: str, first_year: int) -> tuple[datetime, ...]:
    """The hours that clocks show for the second time, as local times with ``fold=1``."""
    zone, found = ZoneInfo(timezone), []
    for day, _ in changes(timezone, first_year):
        for n in range(49):
            local = (day + n * HALF).astimezone(zone).replace(tzinfo=None)
            if local.fold and not local.minute:
                found.append(local)
    return tuple(found)


def dagsters_zone(timezone: str, first_year: int) -> str:
    """The time zone in which Dagster has the hours that clocks show in this one: itself, nearly always.

    Where clocks change by half an hour, hours as they pass begin at half past for half of the year. There it is a
    zone of the largest offset whose clocks never change: it has each hour once, and shows one up to half an hour early.
    """
    if all(shift % HOUR == timedelta() for _, shift in changes(timezone, first_year)):
        return timezone
    zone = ZoneInfo(timezone)
    offsets = [
        t.astimezone(zone).utcoffset() for t in (datetime(first_year, m, 1, tzinfo=UTC) for m in range(1, 13))
    ]
    hours = -(-max(o for o in offsets if o is not None) // HOUR)
    return f"Etc/GMT{-hours:+}"
