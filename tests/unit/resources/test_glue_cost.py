"""DPU-hours and prices, from what Glue says of a run."""

from __future__ import annotations

from typing import Any

import pytest

from lake_pipeline.resources.glue.cost import Cost, Rates, cost_of


@pytest.mark.parametrize(
    ("run", "dpu_hours", "price"),
    [
        ({"WorkerType": "G.1X", "NumberOfWorkers": 10, "ExecutionTime": 3600}, 10.0, 4.4),
        ({"WorkerType": "G.8X", "NumberOfWorkers": 2, "ExecutionTime": 900}, 4.0, 1.76),
        ({"MaxCapacity": 10.0, "WorkerType": "G.2X", "NumberOfWorkers": 5, "ExecutionTime": 360}, 1.0, 0.44),
        ({"MaxCapacity": 0.0625, "ExecutionTime": 7}, 0.001042, 0.000458),  # a minute of a python shell
        ({"WorkerType": "G.1X", "NumberOfWorkers": 6, "ExecutionTime": 1}, 0.1, 0.044),  # at least a minute
        ({"WorkerType": "G.1X", "NumberOfWorkers": 6, "ExecutionTime": 61}, 0.101667, 0.044733),
        ({"WorkerType": "G.1X", "NumberOfWorkers": 6, "ExecutionTime": 0}, 0.0, 0.0),  # never began
        ({"WorkerType": "G.1X", "NumberOfWorkers": 6}, 0.0, 0.0),
        ({"DPUSeconds": 7200.0, "MaxCapacity": 10.0, "ExecutionTime": 3600}, 2.0, 0.88),  # auto-scaled
        ({"DPUSeconds": 7200.0, "ExecutionClass": "FLEX", "MaxCapacity": 10.0}, 2.0, 0.58),
        ({"ExecutionClass": "FLEX", "MaxCapacity": 10.0, "ExecutionTime": 360}, 1.0, 0.29),
        ({"WorkerType": "Z.2X", "NumberOfWorkers": 3, "ExecutionTime": 600}, 1.0, 0.44),
    ],
)
def test_cost(run: dict[str, Any], dpu_hours: float, price: float) -> None:
    cost = cost_of(run)
    assert (cost.dpu_hours, cost.price, cost.currency) == (dpu_hours, price, "USD")


def test_prices_are_configured() -> None:
    rates = Rates(standard=0.5, flex=0.3, currency="EUR")
    assert cost_of({"DPUSeconds": 3600}, rates) == Cost(1.0, 0.5, "EUR", 0.5)
    assert cost_of({"DPUSeconds": 3600, "ExecutionClass": "FLEX"}, rates) == Cost(1.0, 0.3, "EUR", 0.3)
    assert str(Cost(1.0, 0.5, "EUR", 0.5)) == "1.0000 DPU-hours, 0.5000 EUR"
