"""Dagster resources of the code location."""

from lake_pipeline.resources.lake import LakeResource

__all__ = ["LakeResource"]
