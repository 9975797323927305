"""Dates, timestamps and time zones of a contract, and the ISO texts of their bounds."""

from __future__ import annotations

import datetime
import functools
import zoneinfo

from lake_pipeline.contracts import formats
from lake_pipeline.contracts.datatypes import Date, Timestamp
from lake_pipeline.contracts.document import Node
from lake_pipeline.contracts.problems import Reporter
from lake_pipeline.errors import did_you_mean


def read_date(node: Node, _: str, report: Reporter) -> Date:
    """The type of a property whose logicalType is date."""
    return Date(_read_format(node, report, time=False))


def read_timestamp(node: Node, _: str, report: Reporter) -> Timestamp:
    """The type of a property whose logicalType is timestamp.

    `defaultTimezone` is the zone of values without an offset (UTC when absent). The standard's
    `timezone: true` says that values carry an offset, so it must not contradict the format.
    """
    pattern = _read_format(node, report, time=True)
    options = node.get("logicalTypeOptions")
    if options is None:
        return Timestamp(pattern)
    _check_offset_flag(options, pattern, report)
    zone = options.get("defaultTimezone")
    if zone is None:
        return Timestamp(pattern)
    return Timestamp(pattern, read_zone(zone, report))


def read_zone(node: Node, report: Reporter) -> str:
    """An IANA time zone; "UTC" stands in where it is unknown."""
    if node.raw in ("UTC", "Z", "Etc/UTC"):
        return "UTC"
    known = _zones()
    if node.raw in known:
        return node.raw
    hint = f"Use an IANA name such as UTC or America/New_York.{did_you_mean(node.raw, known)}"
    report.add(node.span, f'The time zone "{node.raw}" is unknown.', hint)
    return "UTC"


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())  # walks the whole time zone database


def _read_format(node: Node, report: Reporter, *, time: bool) -> str | None:
    options = node.get("logicalTypeOptions")
    entry = options.get("format") if options else None
    if entry is None:
        return None
    fault = formats.fault(entry.raw, time=time)
    if fault:
        report.add(entry.span, fault.message, fault.hint)
        return None
    return entry.raw


def _check_offset_flag(options: Node, pattern: str | None, report: Reporter) -> None:
    flag = options.get("timezone")
    if flag is None:
        return
    if not isinstance(flag.value, bool):
        hint = f"In ODCS `timezone` is true or false; name the zone as `defaultTimezone: {flag.raw}`."
        report.add(flag.span, f"`timezone: {flag.raw}` is not valid.", hint)
        return
    if pattern and flag.value != ("offset" in formats.parts(pattern)):
        says = "has no offset" if flag.value else "has an offset"
        hint = "Add XXX to the format, or change `timezone`."
        report.add(flag.span, f'`timezone: {flag.raw}`, but the format "{pattern}" {says}.', hint)


def parse_date(text: str) -> datetime.date | None:
    """A bound or enum value of a date, ISO 8601; None when it is none."""
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


def parse_timestamp(text: str, zone: str) -> datetime.datetime | None:
    """A bound of a timestamp, ISO 8601, as an instant in UTC; without an offset it is in `zone`."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zoneinfo.ZoneInfo(zone))
    return moment.astimezone(datetime.UTC)
