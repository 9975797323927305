"""Where alerts and events go, as a Dagster resource: the environment says, when a run or a tick starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import dagster as dg

from lake_pipeline.health import logs
from lake_pipeline.health.outbox import Sink
from lake_pipeline.health.targets import Targets
from lake_pipeline.resources.sinks import sinks_of


class Alerts(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Sinks of alerts and events; the log is always one of them.

    topic, bus, webhook: override ``LAKE_ALERT_TOPIC``, ``LAKE_EVENT_BUS`` and ``LAKE_ALERT_WEBHOOK``.
    """

    topic: str = ""
    bus: str = ""
    webhook: str = ""

    def targets(self) -> Targets:
        """What the environment says, with what is overridden."""
        found = Targets.from_env()
        own = {"topic": self.topic, "bus": self.bus, "webhook": self.webhook}
        return replace(found, **{name: value for name, value in own.items() if value})

    def sinks(self, say: Callable[[str], None]) -> list[Sink]:
        """The sinks; `say` writes a warning to the log of whoever tells."""
        targets = self.targets()
        logs.install(targets)
        return sinks_of(targets, say)
