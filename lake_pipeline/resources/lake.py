"""The lake as a Dagster resource: where it is comes from the environment when a run starts."""

from __future__ import annotations

import dagster as dg

from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The lake that runs work on. `root` overrides ``LAKE_ROOT``."""

    root: str = ""

    def open(self) -> Lake:
        """The lake."""
        return Lake(Settings.at(self.root) if self.root else Settings.from_env())
