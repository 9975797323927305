"""The terms around the data: who owns it, when it is due, and what a file may change unasked."""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing
from typing import Any

from lake_pipeline.contracts.document import Node
from lake_pipeline.contracts.model import DriftPolicy, Sla
from lake_pipeline.contracts.problems import Reporter
from lake_pipeline.contracts.temporal import read_zone
from lake_pipeline.errors import did_you_mean

AVAILABLE_BY, FREQUENCY = "timeOfAvailability", "frequency"
# Units of `frequency` as the standard and people write them.
UNITS = {
    unit: name
    for name, units in {
        "minute": ("min", "minute", "minutes"),
        "hour": ("h", "hr", "hour", "hours"),
        "day": ("d", "day", "days"),
        "week": ("w", "week", "weeks"),
        "month": ("m", "mo", "month", "months"),
        "year": ("y", "yr", "year", "years"),
    }.items()
    for unit in units
}
DRIFT = "drift"
POLICIES: dict[str, tuple[str, ...]] = {
    name: typing.get_args(hint) for name, hint in typing.get_type_hints(DriftPolicy).items()
}
_DEFAULTS = dataclasses.asdict(DriftPolicy())
_NUMBER = re.compile(r"\d+(\.\d+)?")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def read_owners(root: Node) -> tuple[str, ...]:
    """`team.name` as `team:<name>`, then the e-mail addresses of its members, as Dagster names owners."""
    team = root.get("team")
    if team is None:
        return ()
    named = (f"team:{team.text('name')}",) if team.text("name") else ()
    members = team.items or team.each("members")
    return (*named, *(user for member in members if "@" in (user := member.text("username"))))


def read_sla(root: Node, report: Reporter) -> Sla:
    """The service level: `timeOfAvailability` is the time of day, its `valueExt` the zone (UTC); `frequency` has a unit."""
    properties = {entry.text("property"): entry for entry in root.each("slaProperties")}
    due, zone = None, "UTC"
    entry = properties.get(AVAILABLE_BY)
    value = entry.get("value") if entry else None
    if entry and value:
        due = _read_time(value, report)
        zone_node = entry.get("valueExt")
        zone = read_zone(zone_node, report) if zone_node else zone
    often = _read_frequency(properties[FREQUENCY], report) if FREQUENCY in properties else None
    texts = tuple((name, _text_of(entry)) for name, entry in properties.items() if name)
    return Sla(due, zone, often, texts)


def _read_frequency(entry: Node, report: Reporter) -> tuple[float, str] | None:
    value, unit = entry.get("value"), entry.text("unit")
    if value is not None and unit.lower() in UNITS and _NUMBER.fullmatch(value.raw) and float(value.raw):
        return float(value.raw), UNITS[unit.lower()]
    hint = f"Write `value: 1` and `unit: d`; units are {', '.join(sorted(set(UNITS.values())))}."
    said = f"{value.raw if value else ''} {unit}".strip()
    report.add(entry.at("value"), f'The frequency "{said}" is no number of a unit of time.', hint)
    return None


def _text_of(entry: Node) -> str:
    value = entry.get("value")
    return value.raw if value else ""


def _read_time(value: Node, report: Reporter) -> datetime.time | None:
    if _TIME.fullmatch(value.raw):
        return datetime.time.fromisoformat(value.raw)
    hint = 'Write "HH:MM" in quotes, like value: "07:30"; its time zone is `valueExt: America/New_York`.'
    report.add(value.span, f"The time of availability `{value.raw}` is no time of day.", hint)
    return None


def read_drift(root: Node, report: Reporter) -> DriftPolicy:
    """The custom property `drift`; its keys and values are the fields of `DriftPolicy`."""
    entries = [entry for entry in root.each("customProperties") if entry.text("property") == DRIFT]
    if not entries:
        return DriftPolicy()
    value = entries[0].get("value")
    if value is None or value.kind != "mapping":
        hint = "Write `value:` and below it, for example, `additive: keep`."
        report.add(entries[0].at("value"), "The drift policy is a mapping.", hint)
        return DriftPolicy()
    for repeat in entries[1:]:
        report.add(repeat.span, "The drift policy is given twice.", "Keep one of them.")
    chosen = {key: node.raw for key, node in value.entries.items() if _is_choice(key, node, value, report)}
    return _policy(_DEFAULTS | chosen)


def _policy(choices: dict[str, Any]) -> DriftPolicy:
    return DriftPolicy(**choices)


def _is_choice(key: str, node: Node, policy: Node, report: Reporter) -> bool:
    if key not in POLICIES:
        hint = f"Valid are {', '.join(POLICIES)}.{did_you_mean(key, POLICIES)}"
        report.add(policy.at(key), f'The drift policy has no "{key}".', hint)
        return False
    if node.raw not in POLICIES[key]:
        hint = f"Valid are {', '.join(POLICIES[key])}.{did_you_mean(node.raw, POLICIES[key])}"
        report.add(node.span, f'drift.{key} cannot be "{node.raw}".', hint)
        return False
    return True
