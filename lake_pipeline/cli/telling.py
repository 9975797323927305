"""Sinks, as commands have them: what the environment says, and the terminal for the log."""

from __future__ import annotations

from lake_pipeline.health import logs
from lake_pipeline.health.outbox import Sink
from lake_pipeline.health.targets import Targets


def sinks() -> list[Sink]:
    """The sinks; what a command tells is on the terminal already, so its log says nothing twice."""
    from lake_pipeline.resources.sinks import sinks_of

    targets = Targets.from_env()
    logs.install(targets)
    return sinks_of(targets, lambda _: None)
