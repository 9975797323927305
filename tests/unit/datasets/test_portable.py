"""A dataset as a job reads it, from documents in the lake, is the dataset that it is here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from lakes import make_dataset

from lake_pipeline.datasets import Dataset, load_dataset
from lake_pipeline.datasets.config import DatasetConfig
from lake_pipeline.datasets.loading import SHIPPED
from lake_pipeline.flow.away import portable

# Said as the reference says the defaults, which people do.
EXPLICIT: list[dict[str, Any]] = [
    {"formats": [{"type": "csv"}]},
    {"formats": [{"type": "csv", "delimiter": ",", "header": True, "nulls": [""], "encoding": "utf-8"}]},
    {"formats": [{"type": t} for t in ("tsv", "jsonl", "json", "parquet")]},
    {"engine": "auto", "auto": {"bytes": 10_000_000_000, "above": "glue"}, "glue": {"execution": "auto"}},
    {"transform": [{"upper": ["id"]}, {"filter": "amount > 0"}], "deduplicate": {"key": ["id"], "keep": "last"}},
    {"transform": {"python": "datasets:by_code", "derives": []}},
    {"reject_budget": {"percent": 5}, "file_size": {"min": 1}, "retries": {"attempts": 3}},
    {"partitions": {"by": "none"}, "landing": "x/", "contract": "contract.yaml"},
]  # fmt: skip


def through_documents(dataset: Dataset, folder: Path) -> Dataset:
    """The dataset that `perform` loads."""
    home = folder / "job" / dataset.name
    home.mkdir(parents=True)
    (home / "contract.yaml").write_bytes((dataset.folder / dataset.config.contract).read_bytes())
    (home / "defs.yaml").write_text(yaml.safe_dump(portable(dataset), sort_keys=False), encoding="utf-8")
    return load_dataset(home)


def assert_same(mine: Dataset, theirs: Dataset) -> None:
    """They mean the same, to the last setting."""
    assert (theirs.validation_hash, theirs.transform_hash) == (mine.validation_hash, mine.transform_hash)
    others = {name: getattr(theirs.config, name) for name in DatasetConfig.model_fields}
    assert {**others, "contract": mine.config.contract} == {
        name: getattr(mine.config, name) for name in DatasetConfig.model_fields
    }


@pytest.mark.parametrize("attributes", EXPLICIT, ids="-".join)
def test_what_is_said_though_it_is_the_default_is_kept(attributes: dict[str, Any], tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, **{"engine": "glue", **attributes})
    assert_same(dataset, through_documents(dataset, tmp_path))


@pytest.mark.parametrize("name", sorted(p.parent.name for p in SHIPPED.glob("*/defs.yaml")))
def test_shipped_datasets(name: str, tmp_path: Path) -> None:
    dataset = load_dataset(SHIPPED / name)
    assert_same(dataset, through_documents(dataset, tmp_path))
