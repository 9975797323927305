"""Datasets: a folder with a contract and a `defs.yaml`, loaded without Dagster."""

from lake_pipeline.datasets.config import DatasetConfig
from lake_pipeline.datasets.loading import Dataset, DatasetError, load_all, load_dataset, pick

__all__ = ["Dataset", "DatasetConfig", "DatasetError", "load_all", "load_dataset", "pick"]
