"""What people and programs are told: alerts, whose text is for the business, and events for machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

MOST_SHOWN = 10


@dataclass(frozen=True)
class Message:
    """One thing to tell. id: the same when it is sent again, so that receivers can drop repeats.

    topic: an incident's kind, or an event's name such as ``Published``. subject: one line; text: all of it.
    detail: the same for programs.
    """

    id: str
    form: Literal["alert", "event"]
    topic: str
    subject: str
    text: str
    at: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with one member of an incident, usually a partition.

    headline: the sentence for the business. reason: why; an example is part of it, or is `sample`. fix: the
    command that helps. run_id: the run that found it, or ``""``; and that run's source, profile and replay.
    """

    headline: str
    reason: str = ""
    sample: str = ""
    fix: str = ""
    run_id: str = ""
    source: str = ""
    threshold_profile: str = ""
    replay_id: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of incident: its title, and what its recovery is called."""

    title: str
    recovered: str


KINDS: dict[str, Kind] = {
    "PARTITION_REFUSED": Kind("refused by its checks", "published again"),
    "RUN_FAILED": Kind("runs fail", "runs again"),
    "GIVEN_UP": Kind("not run again by itself", "came to an outcome"),
    "CHECK_FAILED": Kind("checks that refuse nothing fail", "all checks pass again"),
    "SLA_MISSED": Kind("not available in time", "available now"),
    "BREAKER_OPEN": Kind("automatic runs stopped", "automatic runs start again"),
    "SENSOR_FAILED": Kind("a sensor fails", "works again"),
    "SINK_FAILED": Kind("alerts cannot be sent", "takes alerts again"),
    "ALERTING_LATE": Kind("alerting is late", "in time again"),
}


def unavailable(dataset: str, partition: str, by: str, last: str) -> str:
    """The sentence of a missed service level.

    >>> unavailable("orders", "2026-02-25", "07:30", "2026-02-24")
    'orders for 2026-02-25 not available by 07:30; last published 2026-02-24'
    """
    return f"{named(dataset, partition)} not available{f' by {by}' if by else ''}; {last_published(last)}"


def named(dataset: str, partition: str) -> str:
    """A partition in a sentence: ``orders for 2026-02-25``; of a dataset without partitions its name alone."""
    return dataset if partition == "all" else f"{dataset} for {partition}"


def last_published(last: str) -> str:
    """The end of a sentence: what there is instead."""
    return f"last published {last}" if last and last != "all" else "nothing is published yet"


def not_updated(dataset: str, partition: str) -> str:
    """The sentence of a partition whose earlier version readers still see."""
    return f"{named(dataset, partition)} not updated; the version before stays published"


def split_sample(reason: str) -> tuple[str, str]:
    """A check's reason without its example, and the example.

    >>> split_sample('Value: 0.5; for example 7, 8')
    ('Value: 0.5', '7, 8')
    """
    text, _, sample = reason.partition("; for example ")
    return text, sample


def told(faults: Mapping[str, Fault], note: str) -> str:
    """The text of an alert: every member's headline, reason, sample and the command that fixes it."""
    lines: list[str] = []
    for fault in list(faults.values())[:MOST_SHOWN]:
        lines.append(f"{fault.headline}.")
        labelled = (("Reason", fault.reason), ("Sample", fault.sample), ("Fix", fault.fix))
        lines += [f"  {label}: {value}" for label, value in labelled if value]
    if len(faults) > MOST_SHOWN:
        lines.append(f"… and {len(faults) - MOST_SHOWN} more.")
    return "\n".join([*lines, *([note] if note else [])])
