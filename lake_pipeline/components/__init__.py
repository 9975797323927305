"""What a `defs.yaml` can name."""

from lake_pipeline.components.lake_dataset import LakeDataset

__all__ = ["LakeDataset"]
