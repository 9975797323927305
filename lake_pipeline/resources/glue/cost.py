"""What a job run cost: DPU-hours from what Glue says of the run, times a price per DPU-hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lake_pipeline.resources.glue.sizing import DPUS, OTHER_DPUS

LEAST_SECONDS = 60  # Glue bills by the second, at least one minute (Glue 2.0 and later)


@dataclass(frozen=True)
class Rates:
    """Prices per DPU-hour. The defaults are the list prices of us-east-1; other regions differ."""

    standard: float = 0.44
    flex: float = 0.29
    currency: str = "USD"


@dataclass(frozen=True)
class Cost:
    """What one job run cost, before discounts and taxes."""

    dpu_hours: float
    price: float
    currency: str
    price_per_dpu_hour: float

    def __str__(self) -> str:
        return f"{self.dpu_hours:.4f} DPU-hours, {self.price:.4f} {self.currency}"


def cost_of(run: Mapping[str, Any], rates: Rates | None = None) -> Cost:
    """The cost of a run as GetJobRun describes it; a run that consumed nothing costs nothing.

    Glue gives `DPUSeconds` for FLEX and auto-scaled runs. Other runs hold their capacity (`MaxCapacity`, or
    the workers' DPUs) for `ExecutionTime` seconds.

    >>> cost_of({"WorkerType": "G.2X", "NumberOfWorkers": 5, "ExecutionTime": 1800})
    Cost(dpu_hours=5.0, price=2.2, currency='USD', price_per_dpu_hour=0.44)
    """
    rates = rates or Rates()
    rate = rates.flex if run.get("ExecutionClass") == "FLEX" else rates.standard
    hours = _dpu_seconds(run) / 3600
    return Cost(round(hours, 6), round(hours * rate, 6), rates.currency, rate)


def day_of(run: Mapping[str, Any]) -> str:
    """The day (UTC) on which Glue says that a run ended or, without that, began; "" where it says neither.

    >>> from datetime import UTC, datetime
    >>> day_of({"StartedOn": datetime(2026, 3, 1, 23, 59, tzinfo=UTC)})
    '2026-03-01'
    """
    when = run.get("CompletedOn") or run.get("StartedOn")
    return when.astimezone(UTC).date().isoformat() if isinstance(when, datetime) else ""


def _dpu_seconds(run: Mapping[str, Any]) -> float:
    if run.get("DPUSeconds") is not None:
        return float(run["DPUSeconds"])
    seconds = float(run.get("ExecutionTime") or 0)
    if not seconds:
        return 0.0
    return _dpus(run) * max(seconds, LEAST_SECONDS)


def _dpus(run: Mapping[str, Any]) -> float:
    capacity = run.get("MaxCapacity") or run.get("AllocatedCapacity")
    if capacity:
        return float(capacity)
    return float(run.get("NumberOfWorkers") or 0) * (DPUS | OTHER_DPUS).get(run.get("WorkerType", ""), 1.0)
