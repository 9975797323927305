"""Objects, tables and the names of everything in a lake; the only place that touches storage."""

from lake_pipeline.storage.lake import Lake
from lake_pipeline.storage.objects import ObjectMeta, ObjectStore
from lake_pipeline.storage.tables import DataFile, Tables

__all__ = ["DataFile", "Lake", "ObjectMeta", "ObjectStore", "Tables"]
