"""What the scripts in `glue_scripts/` are made of: arguments → a step of the flow → completion record."""

from lake_pipeline.jobs.script import main

__all__ = ["main"]
