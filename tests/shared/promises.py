"""Datasets that promise when they are available."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from lakes import make_dataset

from lake_pipeline.datasets import Dataset, load_dataset
from lake_pipeline.storage import Lake


def promised(folder: Path, at: str = "07:30", zone: str = "UTC", **attributes: Any) -> Dataset:
    """A dataset with a service level."""
    made = make_dataset(folder / "defs", **attributes).folder
    contract = yaml.safe_load((made / "contract.yaml").read_text())
    contract["slaProperties"] = [{"property": "timeOfAvailability", "value": at, "valueExt": zone}]
    (made / "contract.yaml").write_text(yaml.safe_dump(contract))
    return load_dataset(made)


def watch_from(lake: Lake, dataset: Dataset, at: datetime) -> None:
    """The lake saw the dataset first at that time."""
    body = json.dumps({"since": at.isoformat()}).encode()
    lake.zone("ops").write(f"freshness/{dataset.name}/since.json", body)
