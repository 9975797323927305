"""The component of a dataset folder: `type: lake_pipeline.LakeDataset`."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import dagster as dg
from pydantic import BaseModel

from lake_pipeline.components.definitions import dataset_definitions
from lake_pipeline.components.scaffold import LakeDatasetScaffolder
from lake_pipeline.datasets.config import DatasetConfig
from lake_pipeline.datasets.loading import assemble


@dg.scaffold_with(LakeDatasetScaffolder)
class LakeDataset(dg.Component):
    """A dataset of the lake: four partitioned assets (raw, validated, quarantine, curated), their checks, a job.

    The folder holds this `defs.yaml` and the data contract (Open Data Contract Standard v3). The attributes
    are those of `DatasetConfig`, which the command `lake` reads too, without Dagster; they are plain values,
    not templates.
    """

    def __init__(self, config: DatasetConfig) -> None:
        self.config = config

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes' model: its schema is what `dg check yaml` checks and the docs show."""
        return DatasetConfig

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """The component of a `defs.yaml`."""
        assert isinstance(attributes, DatasetConfig)
        return cls(attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The dataset's definitions; reads the two files, and neither network nor clock."""
        folder = Path(context.path)
        return dataset_definitions(assemble(self.config, folder if folder.is_dir() else folder.parent))
