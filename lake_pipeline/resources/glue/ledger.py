"""What all job runs of a lake cost, from their records in the lake: also of runs that failed or were stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from lake_pipeline.resources.glue.records import Objects


@dataclass(frozen=True)
class Spent:
    """The ended job runs of one job for one dataset. seconds: of execution; price: before discounts and taxes.

    day: on which they ended, in UTC; empty where days are together, or Glue did not say.
    """

    dataset: str
    job: str
    runs: int
    seconds: float
    dpu_hours: float
    price: float
    currency: str
    day: str = ""


def spent(store: Objects, prefix: str = "glue-runs", *, daily: bool = False) -> list[Spent]:
    """The costs by dataset and job, and by day where asked, sorted.

    Records are ``<prefix>/<job>/<dataset>/<key>/<attempt>/end.json``, and one folder deeper for second runs.
    """
    found = []
    for entry in store.list(prefix):
        if not entry.key.endswith("/end.json"):
            continue
        job, dataset, *_ = map(unquote, entry.key.removeprefix(prefix + "/").split("/"))
        end = json.loads(store.read(entry.key))
        cost, day = end["cost"], end.get("day", "") if daily else ""
        numbers = float(end["seconds"]), float(cost["dpu_hours"]), float(cost["price"])
        found.append(Spent(dataset, job, 1, *numbers, cost["currency"], day))
    return together(found)


def total(costs: Iterable[Spent]) -> list[Spent]:
    """Everything together, by currency."""
    return together(Spent("", "", c.runs, c.seconds, c.dpu_hours, c.price, c.currency) for c in costs)


def together(costs: Iterable[Spent]) -> list[Spent]:
    """The sums of those that have day, dataset, job and currency in common, in that order."""
    groups: dict[tuple[str, str, str, str], list[Spent]] = {}
    for cost in costs:
        groups.setdefault((cost.day, cost.dataset, cost.job, cost.currency), []).append(cost)
    return [
        Spent(
            dataset,
            job,
            sum(c.runs for c in costs),
            round(sum(c.seconds for c in costs), 6),
            round(sum(c.dpu_hours for c in costs), 6),
            round(sum(c.price for c in costs), 6),
            currency,
            day,
        )
        for (day, dataset, job, currency), costs in sorted(groups.items())
    ]
