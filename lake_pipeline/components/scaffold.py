"""What `dg scaffold defs lake_pipeline.LakeDataset NAME` writes: a dataset folder that loads as it is."""

from __future__ import annotations

from pathlib import Path

from dagster.components.scaffold.scaffold import Scaffolder, ScaffoldRequest

from lake_pipeline.datasets.scaffold import write_dataset


class LakeDatasetScaffolder(Scaffolder):
    """Writes a contract and a `defs.yaml`."""

    def scaffold(self, request: ScaffoldRequest) -> None:
        """Fill the target folder."""
        write_dataset(Path(request.target_path))
