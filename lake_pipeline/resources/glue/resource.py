"""Glue job runs as a Dagster resource: its configuration, its clients, and the way into Dagster's log.

The work itself is in `JobRunner` (`runs.py`), which knows no Dagster. Clients are made when a run first
needs them, never while definitions load.
"""

import logging
import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import dagster as dg
from pydantic import Field

from lake_pipeline.resources.glue.calls import CLIENT_RETRIES, Calls
from lake_pipeline.resources.glue.cost import Rates
from lake_pipeline.resources.glue.definition import Ensured, JobDefinition, ensure_job
from lake_pipeline.resources.glue.errors import GlueRefused
from lake_pipeline.resources.glue.flight import Patience
from lake_pipeline.resources.glue.records import Deliver, Message, Objects, log_line
from lake_pipeline.resources.glue.request import JobRequest
from lake_pipeline.resources.glue.runs import Finished, JobRunner
from lake_pipeline.resources.glue.sizing import FLEX_TYPES, Limits, Workers, size_for

AWS_HOST = re.compile(r"//[^/]*\.(?:amazonaws\.com(?:\.cn)?|api\.aws)(?:[:/]|$)")
LEVELS = logging.getLevelNamesMapping()
Log = dg.DagsterLogManager | logging.Logger


class GlueJobs(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Launches Glue job runs. Where a field is empty, boto3's own configuration says it.

    An injected `client` should not retry by itself (`CLIENT_RETRIES`): this resource does, and visibly.
    """

    region: str = Field(default="", description="The AWS region.")
    profile: str = Field(default="", description="The profile of the AWS configuration.")
    endpoint: str = Field(default="", description="The URL of Glue's API, if it is not AWS's own.")
    prefix: str = Field(default="glue-runs", description="The folder of the records in their zone.")
    cloudwatch: bool = Field(
        default=True,
        description="Whether failures quote the driver's log from CloudWatch where there is no other.",
    )
    min_workers: int = Field(default=2, description="The fewest workers that sizing gives a run.")
    max_workers: int = Field(default=20, description="The most workers that sizing gives a run.")
    worker_types: list[str] = Field(
        default=[*Limits().types], description="The worker types that sizing may choose."
    )
    bytes_per_dpu: int = Field(default=Limits().bytes_per_dpu, description="Input bytes for each DPU.")
    files_per_dpu: int = Field(default=Limits().files_per_dpu, description="Input files for each DPU.")
    price: float = Field(
        default=Rates().standard, description="Per DPU-hour; the default is us-east-1's list price."
    )
    flex_price: float = Field(default=Rates().flex, description="Per DPU-hour of FLEX; the default likewise.")
    currency: str = Field(default=Rates().currency, description="The currency of the prices.")
    poll_seconds: float = Field(
        default=Patience().poll.most, description="The longest pause between two looks at a run."
    )
    stop_seconds: float = Field(
        default=Patience().stop, description="How long a stopped run may take to stop."
    )
    lease_seconds: float = Field(
        default=Patience().lease,
        description="How long another worker that claimed a run may take to start it.",
    )
    # Dagster reads these annotations as they are: no `from __future__ import annotations` in this file.
    client: dg.ResourceDependency[Any] = None  # type: ignore[assignment]
    logs: dg.ResourceDependency[Any] = None  # type: ignore[assignment]

    def runner(self, store: Objects) -> JobRunner:
        """The runner whose records, results and messages are in `store`, e.g. the lake's zone ``ops``."""
        polls = Patience().poll
        return JobRunner(
            self.glue(),
            store,
            prefix=self.prefix,
            logs=self._logs(),
            rates=Rates(self.price, self.flex_price, self.currency),
            patience=Patience(
                poll=replace(polls, first=min(polls.first, self.poll_seconds), most=self.poll_seconds),
                stop=self.stop_seconds,
                lease=self.lease_seconds,
            ),
        )

    def run(
        self,
        store: Objects,
        request: JobRequest,
        log: Log,
        report: Deliver | None = None,
    ) -> Finished:
        """Run a job and return its result; its log lines go to Dagster's log, its other messages to `report`."""
        deliver = into_log(log, report)
        runner = replace(self.runner(store), tell=lambda text, level: deliver(log_line(text, level)))
        return runner.run(request, deliver)

    def size(self, size: int, files: int = 1, *, flex: bool = False, type_: str = "") -> Workers:
        """The workers for so many bytes in so many files, within the configured limits; see `size_for`.

        flex: of types that can be FLEX. type_: of this type, whatever types are configured.
        """
        types = [t for t in self.worker_types if t in FLEX_TYPES or not flex]
        limits = Limits(
            self.min_workers,
            self.max_workers,
            (type_,) if type_ else tuple(types),
            self.bytes_per_dpu,
            self.files_per_dpu,
        )
        return size_for(size, files, limits)

    def ensure(self, definition: JobDefinition) -> Ensured:
        """Create or update a job so that it is as defined; see `ensure_job`."""
        return ensure_job(Calls(self.glue()), definition, account=self._account)

    def glue(self) -> Any:
        """Boto3's client of Glue."""
        return self.client or client("glue", self.region, self.profile, self.endpoint)

    def is_awss(self) -> bool:
        """Whether this Glue is AWS's own, which reaches nothing of this machine."""
        return bool(AWS_HOST.search(str(self.glue().meta.endpoint_url)))

    def _logs(self) -> Callable[[], Any] | None:
        """CloudWatch's client, made when a failure asks for it; none where this Glue is not AWS's own."""
        if self.logs is not None:
            return lambda: self.logs
        if not self.cloudwatch or self.client or self.endpoint:
            return None
        return lambda: client("logs", self.region, self.profile)

    def _account(self) -> str:
        return str(client("sts", self.region, self.profile).get_caller_identity()["Account"])


def client(service: str, region: str = "", profile: str = "", endpoint: str = "") -> Any:
    """A boto3 client that does not retry by itself; the same one while the AWS environment is the same."""
    environment = frozenset(pair for pair in os.environ.items() if pair[0].startswith("AWS_"))
    return _made(service, region, profile, endpoint, environment)


@lru_cache(maxsize=16)
def _made(service: str, region: str, profile: str, endpoint: str, _: frozenset[tuple[str, str]]) -> Any:
    """Clients are thread-safe, and take 50-150 ms of CPU to make."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, NoRegionError

    config = Config(retries=CLIENT_RETRIES, connect_timeout=10, read_timeout=60)
    try:
        # boto3 itself reads AWS_DEFAULT_REGION, and AWS_REGION nowhere
        region = region or os.environ.get("AWS_REGION", "")
        session = boto3.Session(profile_name=profile or None, region_name=region or None)
        return session.client(service, endpoint_url=endpoint or None, config=config)
    except NoRegionError as e:
        raise GlueRefused("AWS Glue is asked in a region, and none is set: set AWS_REGION.") from e
    except BotoCoreError as e:
        raise GlueRefused(f"There is no client of AWS ({service}): {e}. Correct the AWS_… variables.") from e


def into_log(log: Log, report: Callable[[Message], None] | None = None) -> Deliver:
    """Hand a script's log lines to Dagster's log at their level, and its other messages to `report`."""

    def deliver(message: Message) -> None:
        if message["method"] != "log":
            if report is not None:
                report(message)
            return
        params = message["params"]
        level = str(params.get("level", "INFO")).upper()
        number = LEVELS.get(level, logging.INFO)
        log.log(number, str(params.get("message", "")))

    return deliver
