"""The least that Dagster does for a file: a sensor that listens to a queue, and a job of it that does nothing.

It is the code location of the floor in `benchmarks.arrivals_latency`; the queue is in the environment.
"""

from __future__ import annotations

import os
from typing import Any

import dagster as dg


@dg.asset
def nothing() -> None:
    """Does nothing."""


LISTENS = dg.DefaultSensorStatus.RUNNING if os.environ.get("LISTEN") else dg.DefaultSensorStatus.STOPPED
empty = dg.define_asset_job("empty", [nothing])


@dg.sensor(job=empty, minimum_interval_seconds=1, default_status=LISTENS)
def listen(context: dg.SensorEvaluationContext) -> Any:
    """A run for each message; nothing is remembered, and a message that is not deleted would come again."""
    import boto3

    sqs, url = boto3.client("sqs"), os.environ["LAKE_QUEUE_URL"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=19).get("Messages", ())
    for message in found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [dg.RunRequest(message["MessageId"]) for message in found]


defs = dg.Definitions([nothing], jobs=[empty], sensors=[listen], executor=dg.in_process_executor)
