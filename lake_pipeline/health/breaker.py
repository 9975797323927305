"""The circuit breaker of a dataset: after several failed partitions in a row no run starts by itself.

======================  =====================================================================
closed                  automatic runs start; failed partitions in a row are counted
open                    none starts until the cool-down is over; what waits keeps waiting
half-open               one partition is being tried: published closes it, anything else opens
======================  =====================================================================

It holds back automatic runs only: a person may run what they like. Its state is the newest document of
``ops/breakers/<ds>/``, whose others are its history.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from lake_pipeline.datasets import Dataset
from lake_pipeline.health.ledger import change, newest, newest_below
from lake_pipeline.storage import Lake

Condition = Literal["closed", "open", "half-open"]
COUNTED = {"published": True, "refused": False, "failed": False}
TRIED = {**COUNTED, "unchanged": True, "still refused": False}  # what answers a trial


@dataclass(frozen=True)
class Breaker:
    """A breaker's state. failures: failed partitions in a row; since: when the state began; why: its last change.

    runs: the newest runs that were counted, so that a run that is told twice counts once.
    """

    state: Condition = "closed"
    failures: int = 0
    since: str = ""
    why: str = ""
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Permission:
    """Whether automatic runs of a dataset may start now. only_one: one partition, as a trial."""

    allowed: bool
    reason: str = ""
    only_one: bool = False


KEPT_RUNS = 50


def may_start(lake: Lake, dataset: Dataset, now: datetime) -> Permission:
    """Whether automatic runs may start; ask only when something waits, for a trial that is granted is taken.

    After the cool-down of an open breaker one caller is granted one partition. Should its answer never come,
    another is granted after another cool-down.
    """
    config = dataset.config.breaker
    granted: list[Permission] = []

    def decide(state: dict[str, object] | None) -> dict[str, object] | None:
        found = read(state)
        granted.clear()
        if found.state == "closed":
            granted.append(Permission(True))
            return None
        until = datetime.fromisoformat(found.since) + timedelta(seconds=config.cool_down_seconds)
        if now < until:
            granted.append(Permission(False, refusal(dataset, found, until)))
            return None
        reason = f"{dataset.name}: one partition is tried after {found.failures} that failed in a row."
        granted.append(Permission(True, reason, only_one=True))
        return asdict(replace(found, state="half-open", since=now.isoformat(), why=reason))

    change(lake, folder(dataset.name), decide)
    return granted[0]


def refusal(dataset: Dataset, found: Breaker, until: datetime) -> str:
    """Why no automatic run starts."""
    if found.state == "half-open":
        return f"{dataset.name}: one partition is being tried since {found.since}; its result decides."
    return (
        f"{dataset.name}: automatic runs stopped at {found.since}, {found.failures} partitions failed in a row. "
        f"One is tried after {until.isoformat(timespec='seconds')}; `lake resume {dataset.name}` starts them now."
    )


def record(lake: Lake, dataset: Dataset, run_id: str, actions: Iterable[str], at: datetime) -> Breaker:
    """Count what a run did to its partitions, in their order; returns the state after it.

    actions: `flow.curate.Action`. A partition that was decided before ("unchanged", "still refused") counts
    only as the answer to a trial.
    """
    seen = list(actions)
    after: list[Breaker] = []

    def decide(state: dict[str, object] | None) -> dict[str, object] | None:
        before = read(state)
        found = before
        for action in seen if run_id not in before.runs else ():
            found = counted(dataset, found, action, at)
        after[:] = [found]
        if found == before:
            return None
        return asdict(replace(found, runs=(*before.runs, run_id)[-KEPT_RUNS:]))

    change(lake, folder(dataset.name), decide)
    return after[0]


def counted(dataset: Dataset, found: Breaker, action: str, at: datetime) -> Breaker:
    """The state after one more partition."""
    fine = (TRIED if found.state == "half-open" else COUNTED).get(action)
    if fine is None or (fine and found.state == "open"):
        return found
    if fine:
        quiet = found.state == "closed" and not found.failures
        return found if quiet else begun("closed", 0, at, "a partition was published")
    failures, limit = found.failures + 1, dataset.config.breaker.failures
    if found.state == "half-open":
        return begun("open", failures, at, "the partition that was tried failed")
    if found.state == "closed" and limit and failures >= limit:
        return begun("open", failures, at, f"{failures} partitions failed in a row")
    return replace(found, failures=failures)


def begun(state: Condition, failures: int, at: datetime, why: str) -> Breaker:
    """A state that begins now."""
    return Breaker(state, failures, at.isoformat(), why)


def resume(lake: Lake, name: str, at: datetime) -> bool:
    """Close a dataset's breaker by hand; returns whether it was not closed before."""
    was: list[Condition] = []

    def decide(state: dict[str, object] | None) -> dict[str, object] | None:
        found = read(state)
        was[:] = [found.state]
        if found.state == "closed" and not found.failures:
            return None
        return asdict(replace(begun("closed", 0, at, "closed by hand"), runs=found.runs))

    change(lake, folder(name), decide)
    return was[0] != "closed"


def breaker(lake: Lake, name: str) -> Breaker:
    """A dataset's breaker."""
    return read(newest(lake, folder(name))[1])


def breakers(lake: Lake) -> dict[str, Breaker]:
    """The breakers of all datasets that ever had a failed partition."""
    return {name: read(state) for name, state in newest_below(lake, "breakers").items()}


def folder(name: str) -> str:
    """Where a dataset's breaker is kept in the zone ops."""
    return f"breakers/{name}"


def read(state: dict[str, object] | None) -> Breaker:
    """A breaker from its document."""
    if state is None:
        return Breaker()
    known = {k: state[k] for k in ("state", "failures", "since", "why")}
    return Breaker(**known, runs=tuple(state["runs"]))  # type: ignore[arg-type]
