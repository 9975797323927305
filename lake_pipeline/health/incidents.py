"""Incidents: what is wrong, told once, counted while it lasts, and told again when it is over.

One incident is a kind of trouble of one subject (a dataset, a sensor, a sink), with the members it concerns
(partitions). It is told when it opens, when it is over, and in between, when it has grown, at most once in
`REMINDED_AFTER`. Its state is the newest document of ``ops/incidents/<subject>/<kind>/``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from lake_pipeline.health.ledger import State, change, newest_below
from lake_pipeline.health.messages import KINDS, Fault, Message, named, told
from lake_pipeline.storage import Lake

REMINDED_AFTER = timedelta(hours=1)
Tell = Callable[[Message], None]


@dataclass(frozen=True)
class Member:
    """One member: its fault, when that happened last, how often, and when it was over (``""``: it is not)."""

    fault: Fault
    at: str
    count: int = 1
    over: str = ""


@dataclass(frozen=True)
class Incident:
    """One incident. count: how often anything of it happened; told: when people were told last."""

    kind: str
    subject: str
    opened: str = ""
    over: str = ""
    count: int = 0
    told: str = ""
    told_members: int = 0
    members: Mapping[str, Member] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it lasts."""
        return bool(self.opened) and not self.over

    @property
    def faults(self) -> dict[str, Fault]:
        """What is wrong still, by member."""
        return {name: m.fault for name, m in sorted(self.members.items()) if not m.over}

    @property
    def id(self) -> str:
        """The name under which it is told, every time."""
        return f"{self.subject}/{self.kind}/{self.opened}"


def happened(
    lake: Lake, kind: str, subject: str, faults: Mapping[str, Fault], at: datetime, tell: Tell
) -> Incident:
    """Faults of some members: opens the incident, or counts. `tell` gets the message when one is due.

    The same fault of the same run counts once. `tell` is called before the state is kept: who dies in
    between tells again, and nobody stays untold.
    """
    if not faults:
        return Incident(kind, subject)

    def decide(before: Incident) -> tuple[Incident, Message | None]:
        after = with_faults(before if before.is_open else fresh(before, at), faults, at)
        if after.count == before.count and before.is_open:
            return before, None
        grown = len(after.faults) > before.told_members or after.count >= 10 * max(1, before.count)
        silent = before.is_open and at - datetime.fromisoformat(before.told) < REMINDED_AFTER
        if before.is_open and (silent or not grown):
            return after, None
        after = replace(after, told=at.isoformat(), told_members=len(after.faults))
        return after, alert(after, "again" if before.is_open else "open", at)

    return changed(lake, kind, subject, decide, tell)


def fresh(before: Incident, at: datetime) -> Incident:
    """A new incident of the same kind and subject."""
    return Incident(before.kind, before.subject, opened=at.isoformat())


def with_faults(found: Incident, faults: Mapping[str, Fault], at: datetime) -> Incident:
    """The incident with what happened now."""
    members, count = dict(found.members), found.count
    for name, fault in faults.items():
        old = members.get(name)
        if old and not old.over and old.fault.run_id and old.fault.run_id == fault.run_id:
            continue
        members[name] = Member(fault, at.isoformat(), old.count + 1 if old else 1)
        count += 1
    return replace(found, members=members, count=count)


def recovered(
    lake: Lake, kind: str, subject: str, members: Iterable[str] | None, at: datetime, tell: Tell
) -> Incident:
    """Members that are fine again (None: all); the incident is over, and told, when none is left."""
    fine = None if members is None else set(members)

    def decide(before: Incident) -> tuple[Incident, Message | None]:
        over = [n for n in before.faults if fine is None or n in fine]
        if not before.is_open or not over:
            return before, None
        kept = {n: replace(m, over=at.isoformat()) if n in over else m for n, m in before.members.items()}
        after = replace(before, members=kept)
        if after.faults:
            return after, None
        after = replace(after, over=at.isoformat(), told=at.isoformat())
        return after, alert(after, "over", at)

    return changed(lake, kind, subject, decide, tell)


def changed(
    lake: Lake,
    kind: str,
    subject: str,
    decide: Callable[[Incident], tuple[Incident, Message | None]],
    tell: Tell,
) -> Incident:
    """Change an incident; `tell` hears of it as often as the decision has to be made again."""
    result: list[Incident] = []

    def step(state: State | None) -> State | None:
        before = read(state) if state else Incident(kind, subject)
        after, message = decide(before)
        result[:] = [after]
        if message:
            tell(message)
        return None if after == before else asdict(after)

    change(lake, folder(kind, subject), step)
    return result[0]


def alert(found: Incident, stage: str, at: datetime) -> Message:
    """The message of an incident that opens (``open``), lasts (``again``) or is over (``over``)."""
    kind = KINDS[found.kind]
    faults = found.faults
    names = sorted(found.members)
    if stage == "over":
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        who = found.subject if names == [found.subject] else named(found.subject, names[0])
        subject = f"{who}{more}: {kind.recovered}"
        text = f"{subject}. It began at {found.opened} and happened {times(found.count)}."
    else:
        first = next(iter(faults.values()))
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        subject = f"{first.headline}{more}"
        note = f"Since {found.opened}, {times(found.count)}." if found.count > 1 else ""
        text = told(faults, note)
    detail = {
        "kind": found.kind,
        "title": kind.title,
        "subject": found.subject,
        "state": "resolved" if stage == "over" else "open",
        "opened": found.opened,
        "count": found.count,
        "members": names if stage == "over" else list(faults),
        "faults": {name: asdict(fault) for name, fault in list(faults.items())[:10]},
    }
    return Message(
        f"{found.id}/{stage}/{found.count}", "alert", found.kind, subject, text, at.isoformat(), detail
    )


def times(count: int) -> str:
    """A count in a sentence."""
    return "once" if count == 1 else f"{count} times"


def open_incidents(lake: Lake, subject: str = "") -> list[Incident]:
    """The incidents that last, of one subject or of all, the oldest first."""
    return [i for i in incidents(lake, subject) if i.is_open]


def incidents(lake: Lake, subject: str = "") -> list[Incident]:
    """The newest incident of each kind and subject, the oldest first."""
    found = [read(state) for state in newest_below(lake, f"incidents/{subject}".rstrip("/")).values()]
    return sorted(found, key=lambda i: (i.opened, i.subject, i.kind))


def folder(kind: str, subject: str) -> str:
    """Where incidents of a kind and subject are kept in the zone ops."""
    return f"incidents/{subject}/{kind}"


def read(state: Mapping[str, Any]) -> Incident:
    """An incident from its document."""
    members = {n: Member(**{**m, "fault": Fault(**m["fault"])}) for n, m in state["members"].items()}
    return Incident(**{**state, "members": members})
