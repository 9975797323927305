"""The command `lake`: one file per command, and one place that prints."""

from lake_pipeline.cli.app import main

__all__ = ["main"]
