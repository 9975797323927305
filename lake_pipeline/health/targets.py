"""Where alerts, events, logs and metrics go, read from the environment when a run or a command starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from lake_pipeline.errors import UsageError, did_you_mean

LOGS = ("text", "json")
METRICS = ("none", "emf")


@dataclass(frozen=True)
class Targets:
    """What the environment says of telling.

    topic: ``LAKE_ALERT_TOPIC``: the ARN of an SNS topic that gets alerts.
    bus: ``LAKE_EVENT_BUS``: the name or ARN of an EventBridge bus that gets events and alerts.
    webhook: ``LAKE_ALERT_WEBHOOK``: a URL that alerts are posted to as JSON.
    log: ``LAKE_LOG``: ``text``, or ``json`` for one JSON object a line with the run's metadata.
    log_file: ``LAKE_LOG_FILE``: a file for JSON lines; without it they go to the standard error.
    metrics: ``LAKE_METRICS``: ``emf`` has each run write its metrics to its log as CloudWatch embedded
      metrics; that is the default where ``AWS_EXECUTION_ENV`` is set, ``none`` elsewhere.
    """

    topic: str = ""
    bus: str = ""
    webhook: str = ""
    log: str = "text"
    log_file: str = ""
    metrics: str = "none"

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Targets:
        """Read the variables; raise `UsageError` on nonsense."""
        env = os.environ if env is None else env
        webhook = env.get("LAKE_ALERT_WEBHOOK", "").strip()
        if webhook and not webhook.startswith(("https://", "http://")):
            raise UsageError(f'LAKE_ALERT_WEBHOOK is "{webhook}"; it must be an http:// or https:// URL.')
        return cls(
            env.get("LAKE_ALERT_TOPIC", "").strip(),
            env.get("LAKE_EVENT_BUS", "").strip(),
            webhook,
            choice(env, "LAKE_LOG", LOGS, "text"),
            env.get("LAKE_LOG_FILE", "").strip(),
            choice(env, "LAKE_METRICS", METRICS, "emf" if env.get("AWS_EXECUTION_ENV") else "none"),
        )


def choice(env: Mapping[str, str], variable: str, known: tuple[str, ...], default: str) -> str:
    """A variable that has one of some values."""
    value = env.get(variable, "").strip().lower() or default
    if value not in known:
        raise UsageError(
            f'{variable} is "{value}"; it is one of {", ".join(known)}.{did_you_mean(value, known)}'
        )
    return value
