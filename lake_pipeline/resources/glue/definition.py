"""A Glue job's definition: what StartJobRun cannot say, brought to what is wanted, and again without effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lake_pipeline.resources.glue.calls import Calls
from lake_pipeline.resources.glue.errors import ArgumentRefused, JobMissing
from lake_pipeline.resources.glue.request import RunOptions, glue_arguments, kind_of

Ensured = Literal["created", "updated", "unchanged"]
MOST_TAGS = 50


@dataclass(frozen=True)
class JobDefinition:
    """A job as it should be.

    script: the S3 URI of the script. role: the name or ARN of the role it runs as.
    kind: ``glueetl``, ``pythonshell`` or ``glueray``.
    max_concurrent_runs: partitions that may run at once; more wait, see `RetryPolicy`.
    options: the defaults of its runs; a run's own options stand above them.
    Glue's own retries are off: retries are Dagster's.
    """

    name: str
    script: str
    role: str
    kind: str = "glueetl"
    description: str = ""
    connections: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    max_concurrent_runs: int = 20
    glue_version: str = ""
    python_version: str = ""
    options: RunOptions = field(default_factory=RunOptions)


def wanted(definition: JobDefinition) -> dict[str, Any]:
    """The definition as JobUpdate takes it; CreateJob takes the same, a name and tags."""
    kind, options = kind_of(definition.kind), definition.options
    for what in ("name", "script", "role"):
        if not getattr(definition, what):
            raise ArgumentRefused(f"A Glue job needs a {what}.")
    if len(definition.tags) > MOST_TAGS:
        raise ArgumentRefused(f"A Glue job takes {MOST_TAGS} tags, not {len(definition.tags)}.")
    command = {
        "Name": definition.kind,
        "ScriptLocation": definition.script,
        "PythonVersion": definition.python_version or kind.python,
    }
    job: dict[str, Any] = {
        "Role": definition.role,
        "Command": command | ({"Runtime": kind.runtime} if kind.runtime else {}),
        "DefaultArguments": glue_arguments(options, kind),
        "MaxRetries": 0,
        "ExecutionProperty": {"MaxConcurrentRuns": definition.max_concurrent_runs},
        "Description": definition.description,
        "Connections": {"Connections": [*definition.connections]},
        "GlueVersion": definition.glue_version or kind.glue_version,
        "Timeout": options.timeout_minutes,
        "SecurityConfiguration": options.security_configuration,
    }
    if kind.workers and options.workers:
        job |= {"WorkerType": options.workers.type, "NumberOfWorkers": options.workers.number}
    if not kind.workers:
        job["MaxCapacity"] = options.max_capacity or 0.0625
    if options.execution != "auto" and kind.spark:
        job["ExecutionClass"] = options.execution
    return {name: value for name, value in job.items() if value not in ("", None, {"Connections": []})}


def ensure_job(
    calls: Calls,
    definition: JobDefinition,
    *,
    account: Callable[[], str] | None = None,
    seconds: float = 60,
) -> Ensured:
    """Create or update the job so that it is as wanted, and say which it was.

    account: the AWS account id, asked only when the tags of an existing job are compared; without it, tags
      are set at creation only. seconds: how long busy answers are repeated.
    """
    until = calls.timing.clock() + seconds
    job, about = wanted(definition), f'the job "{definition.name}"'
    try:
        found = calls.repeated(until, "get_job", about, JobName=definition.name)["Job"]
    except JobMissing:
        tags = {"Tags": {**definition.tags}} if definition.tags else {}
        calls.repeated(until, "create_job", about, Name=definition.name, **job, **tags)
        return "created"
    changed = differs(job, found)
    if changed:
        calls.repeated(until, "update_job", about, JobName=definition.name, JobUpdate=job)
    tagged = _tag(calls, definition, account, until) if definition.tags and account else False
    return "updated" if changed or tagged else "unchanged"


def differs(job: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether the job found is not the one wanted; what Glue fills in by itself does not count."""
    if any(found.get(name) != value for name, value in job.items()):
        return True
    dropped = {"Connections", "SecurityConfiguration", "Description"} - job.keys()
    return any(found.get(name) not in (None, "", {}, {"Connections": []}) for name in dropped)


def _tag(calls: Calls, definition: JobDefinition, account: Callable[[], str], until: float) -> bool:
    meta, about = calls.client.meta, f'the tags of the job "{definition.name}"'
    arn = f"arn:{meta.partition}:glue:{meta.region_name}:{account()}:job/{definition.name}"
    found = calls.repeated(until, "get_tags", about, ResourceArn=arn).get("Tags", {})
    missing = {name: value for name, value in definition.tags.items() if found.get(name) != value}
    if missing:
        calls.repeated(until, "tag_resource", about, ResourceArn=arn, TagsToAdd=missing)
    return bool(missing)
