# ruff: noqa: INP001  (beside the script that uses it)
"""What a reader of the reference is told of each environment variable besides what the settings say."""

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
