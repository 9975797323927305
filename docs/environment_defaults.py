# ruff: noqa: INP001  (beside the script that uses it)
"""What a reader of the reference is told of each environment variable besides what the settings say."""

from __future__ import annotations

from rendering import code

from lake_pipeline.resources.glue.environment import settings

DEFAULTS = {
    "root": ("LAKE_ROOT", "`./.lake`"),
    "catalog": ("LAKE_CATALOG", "`sqlite:///$LAKE_HOME/catalog.db`"),
    "home": ("LAKE_HOME", "`LAKE_ROOT` when that is a folder, else `./.lake/<bucket>-<hash>`"),
    "dataset_folders": ("LAKE_DEFS", ""),
    "topic": ("LAKE_ALERT_TOPIC", ""),
    "bus": ("LAKE_EVENT_BUS", ""),
    "webhook": ("LAKE_ALERT_WEBHOOK", ""),
    "log": ("LAKE_LOG", "`text`"),
    "log_file": ("LAKE_LOG_FILE", ""),
    "metrics": ("LAKE_METRICS", "`none`, on AWS `emf`"),
    "queue_url": ("LAKE_QUEUE_URL", ""),
    "dlq_url": ("LAKE_DLQ_URL", ""),
    "memory": ("LAKE_MEMORY", "`1000MB`, or half of what the container has"),
    "threads": ("LAKE_THREADS", "the processors that the process may use"),
}
AWS = [
    ("`AWS_ACCESS_KEY_ID` `AWS_SECRET_ACCESS_KEY` `AWS_SESSION_TOKEN`", "credentials"),
    ("`AWS_REGION`", "the region"),
    ("`AWS_PROFILE`", "a profile of the AWS configuration, resolved by boto3"),
    ("`AWS_ENDPOINT_URL_S3` `AWS_ENDPOINT_URL`", "another S3 server than AWS's"),
]


def glue_variables() -> list[tuple[str, str, str]]:
    """What `LAKE_GLUE_…` sets: the variable, its default, its meaning."""
    found = []
    for name, field in settings().items():
        value = ", ".join(field.default) if isinstance(field.default, list) else field.default
        shown = code(str(value).lower() if isinstance(value, bool) else value) if value != "" else ""
        found.append((code(name), shown, field.description or ""))
    return found
