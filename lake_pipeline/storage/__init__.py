"""Objects, tables and the names of everything in a lake; the only place that touches storage."""

from lake_pipeline.storage.lake import Lake
from lake_pipeline.storage.objects import ObjectMeta, ObjectStore

__all__ = ["Lake", "ObjectMeta", "ObjectStore"]
