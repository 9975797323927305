"""The lake as a Dagster resource: where it is comes from the environment when a run starts."""

from __future__ import annotations

import os

import dagster as dg

from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The lake that runs work on. `root` overrides ``LAKE_ROOT``; all else is as the environment says."""

    root: str = ""

    def open(self) -> Lake:
        """The lake."""
        return Lake(Settings.from_env({**os.environ, "LAKE_ROOT": self.root} if self.root else os.environ))
