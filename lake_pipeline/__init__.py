"""lake_pipeline: a governed data lake on S3 as one Dagster code location."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`lake_pipeline.LakeDataset` is a component's name; it is imported only where it is asked for."""
    if name == "LakeDataset":
        from lake_pipeline.components import LakeDataset

        return LakeDataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), "LakeDataset"]
