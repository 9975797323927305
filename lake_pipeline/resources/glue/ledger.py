"""What all job runs of a lake cost, from their records in the lake: also of runs that failed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from lake_pipeline.resources.glue.records import Objects


@dataclass(frozen=True)
class Spent:
    """The ended job runs of one job for one dataset. seconds: of execution; price: before discounts and taxes."""

    dataset: str
    job: str
    runs: int
    seconds: float
    dpu_hours: float
    price: float
    currency: str


def spent(store: Objects, prefix: str = "glue-runs") -> list[Spent]:
    """The costs by dataset and job, sorted. Records are ``<prefix>/<job>/<dataset>/<key>/<attempt>/end.json``."""
    found: dict[tuple[str, str, str], list[tuple[float, float, float]]] = {}
    for entry in store.list(prefix):
        if not entry.key.endswith("/end.json"):
            continue
        job, dataset, *_ = entry.key.removeprefix(prefix + "/").split("/")
        end = json.loads(store.read(entry.key))
        cost = end["cost"]
        numbers = float(end["seconds"]), float(cost["dpu_hours"]), float(cost["price"])
        found.setdefault((dataset, job, cost["currency"]), []).append(numbers)
    costs = []
    for (dataset, job, currency), runs in sorted(found.items()):
        seconds, hours, price = (round(sum(numbers), 6) for numbers in zip(*runs, strict=True))
        costs.append(Spent(dataset, job, len(runs), seconds, hours, price, currency))
    return costs


def total(costs: Iterable[Spent]) -> list[Spent]:
    """Everything together, by currency."""
    by_currency: dict[str, list[Spent]] = {}
    for cost in costs:
        by_currency.setdefault(cost.currency, []).append(cost)
    return [
        Spent(
            "",
            "",
            sum(c.runs for c in costs),
            round(sum(c.seconds for c in costs), 6),
            round(sum(c.dpu_hours for c in costs), 6),
            round(sum(c.price for c in costs), 6),
            currency,
        )
        for currency, costs in sorted(by_currency.items())
    ]
