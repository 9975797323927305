"""What is asked of Glue: a job run's arguments and options, checked before anything is sent.

Arguments are small: URIs of the contract, the input manifest, the output. What they point to is read by the
script; a payload in an argument is refused.

Job bookmarks are always off: the input manifest takes their place. A bookmark is Glue's own memory of what a
job has read, of one job and not of a partition; it cannot be replayed, backfilled or read by anybody else,
and moves on when a run succeeds whether or not its output was published. The manifest names the objects of
the partition, is an object of the lake, and the same one is read however often the run is repeated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lake_pipeline.errors import did_you_mean
from lake_pipeline.resources.glue.errors import ArgumentRefused
from lake_pipeline.resources.glue.sizing import FLEX_TYPES, Workers

RUN_KEY, ATTEMPT = "--lake-run-key", "--lake-attempt"
RESULT, MESSAGES, DRIVER_LOG = "--lake-result", "--lake-messages", "--lake-driver-log"
OURS = "--lake-"
MOST_VALUE, MOST_ARGUMENTS = 2048, 16 * 1024  # characters; Glue itself refuses more than 260 KB
LONGEST_MINUTES = 7 * 24 * 60
PYTHON_SHELL_CAPACITIES = (0.0625, 1.0)

# Arguments that Glue or awsglue's getResolvedOptions takes for itself.
INTERNAL = frozenset(
    {
        *("--debug", "--mode", "--endpoint", "--JOB_NAME", "--JOB_ID", "--JOB_RUN_ID"),
        *("--SECURITY_CONFIGURATION", "--encryption-type", "--continuation-option", "--scriptLocation"),
        *("--job-bookmark-option", "--job-bookmark-from", "--job-bookmark-to", "--job-language"),
        *("--TempDir", "--RedshiftTempDir"),
    }
)
# Arguments of Glue's that have an option here.
HAS_OPTION = {
    "--conf": "spark_conf",
    "--extra-py-files": "py_files",
    "--s3-py-modules": "py_files",
    "--additional-python-modules": "modules",
    "--pip-install": "modules",
}


@dataclass(frozen=True)
class Kind:
    """What a command kind is called with. py_files, modules: the arguments that take them."""

    python: str
    glue_version: str
    py_files: str
    modules: str
    runtime: str = ""
    spark: bool = False
    workers: bool = True


KINDS = {
    "glueetl": Kind("3", "5.0", "--extra-py-files", "--additional-python-modules", spark=True),
    "pythonshell": Kind("3.9", "", "--extra-py-files", "--additional-python-modules", workers=False),
    "glueray": Kind("3.9", "4.0", "--s3-py-modules", "--pip-install", runtime="Ray2.4"),
}


@dataclass(frozen=True)
class RunOptions:
    """How one job run is executed, over what the job's definition says; None and empty leave that as it is.

    execution: ``auto`` is FLEX (cheaper, started when capacity is spare) for Spark work without a deadline
      on workers that can be FLEX, and STANDARD otherwise.
    max_capacity: DPUs of a `pythonshell` run, 0.0625 or 1.
    timeout_minutes: after which Glue ends the run as TIMEOUT; None is the deadline, so that a run whose worker
      died for good ends as well, and without a deadline leaves the definition's.
    extra: further arguments of Glue's own, e.g. ``{"--enable-metrics": "true"}``.
    """

    workers: Workers | None = None
    max_capacity: float | None = None
    execution: Literal["auto", "STANDARD", "FLEX"] = "auto"
    timeout_minutes: int | None = None
    security_configuration: str = ""
    py_files: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    spark_conf: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobRequest:
    """A job run that is wanted.

    key: the idempotency key, e.g. ``"orders/2024-05-01/<fingerprint>"``: one run at a time, and none after
      one that succeeded.
    arguments: of the script, by name with or without ``--``.
    kind: the job's command kind.
    deadline: seconds from now in which the run must be over; None has time.
    owner: who asks, e.g. the Dagster run id: a restarted worker of the same owner need not wait for itself.
    """

    job: str
    key: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    options: RunOptions = field(default_factory=RunOptions)
    kind: str = "glueetl"
    deadline: float | None = None
    owner: str = ""


def start_parameters(request: JobRequest) -> dict[str, Any]:
    """The parameters of StartJobRun, without our own arguments; raises `ArgumentRefused`.

    >>> start_parameters(JobRequest("validate", "orders/1", {"contract": "s3://b/c.yaml"}))["Arguments"]
    {'--job-bookmark-option': 'job-bookmark-disable', '--contract': 's3://b/c.yaml'}
    """
    options, kind = request.options, kind_of(request.kind)
    parameters: dict[str, Any] = {
        "JobName": request.job,
        "Arguments": {**glue_arguments(options, kind), **script_arguments(request.arguments)},
    }
    if options.timeout_minutes is not None:
        if not 1 <= options.timeout_minutes <= LONGEST_MINUTES:
            raise ArgumentRefused(
                f"timeout_minutes is {options.timeout_minutes}; Glue takes 1 to {LONGEST_MINUTES} (7 days)."
            )
        parameters["Timeout"] = options.timeout_minutes
    elif request.deadline is not None:
        parameters["Timeout"] = min(max(math.ceil(request.deadline / 60), 1), LONGEST_MINUTES)
    if options.security_configuration:
        parameters["SecurityConfiguration"] = options.security_configuration
    return parameters | _capacity(request, kind)


def kind_of(name: str) -> Kind:
    """The command kind of that name."""
    if name not in KINDS:
        raise ArgumentRefused(
            f'"{name}" is not a command kind; there are {", ".join(KINDS)}.' + did_you_mean(name, KINDS)
        )
    return KINDS[name]


def _capacity(request: JobRequest, kind: Kind) -> dict[str, Any]:
    options, name = request.options, request.kind
    if not kind.workers:
        if options.workers is not None or options.execution == "FLEX":
            raise ArgumentRefused(f"A {name} run has no workers and no FLEX; its size is max_capacity.")
        if options.max_capacity is None:
            return {}
        if options.max_capacity not in PYTHON_SHELL_CAPACITIES:
            raise ArgumentRefused(f"max_capacity of a {name} run is 0.0625 or 1, not {options.max_capacity}.")
        return {"MaxCapacity": options.max_capacity}
    if options.max_capacity is not None:
        raise ArgumentRefused(f"max_capacity is for pythonshell; the size of a {name} run is its workers.")
    return _workers(options) | _execution(request, kind)


def _workers(options: RunOptions) -> dict[str, Any]:
    workers = options.workers
    return {"WorkerType": workers.type, "NumberOfWorkers": workers.number} if workers else {}


def _execution(request: JobRequest, kind: Kind) -> dict[str, Any]:
    """FLEX only where Glue takes it; elsewhere nothing is said, and the definition holds."""
    options, workers = request.options, request.options.workers
    can = kind.spark and (workers is None or workers.type in FLEX_TYPES)
    if options.execution == "FLEX" and not can:
        raise ArgumentRefused(
            f"FLEX is for glueetl runs on {' or '.join(FLEX_TYPES)}, not for {request.kind} on {workers}."
        )
    if options.execution != "auto":
        return {"ExecutionClass": options.execution} if kind.spark else {}
    if not kind.spark or workers is None:
        return {}
    return {"ExecutionClass": "FLEX" if can and request.deadline is None else "STANDARD"}


def glue_arguments(options: RunOptions, kind: Kind) -> dict[str, str]:
    """The arguments that Glue itself reads."""
    arguments: dict[str, str] = {}
    if kind.spark:
        arguments["--job-bookmark-option"] = "job-bookmark-disable"
    if options.spark_conf:
        if not kind.spark:
            raise ArgumentRefused("spark_conf is for glueetl runs.")
        arguments["--conf"] = spark_conf(options.spark_conf)
    for name, values in ((kind.py_files, options.py_files), (kind.modules, options.modules)):
        if values:
            arguments[name] = _joined(name, values)
    for name, value in options.extra.items():
        if name in INTERNAL or name in HAS_OPTION or name.startswith(OURS) or not name.startswith("--"):
            raise ArgumentRefused(f'The extra argument "{name}" is not one that can be set here.{_why(name)}')
        arguments[name] = value
    return arguments


def _joined(name: str, values: tuple[str, ...]) -> str:
    for value in values:
        if not value or "," in value:
            raise ArgumentRefused(f'"{value}" cannot be in {name}: its values are joined by commas.')
    return ",".join(values)


def spark_conf(conf: Mapping[str, str]) -> str:
    """Spark's configuration as Glue takes it: the value of one ``--conf``, with the others chained in it.

    >>> spark_conf({"spark.a": "1", "spark.b": "2"})
    'spark.a=1 --conf spark.b=2'
    """
    for name, value in conf.items():
        if not re.fullmatch(r"spark\.[\w.\-]+", name):
            raise ArgumentRefused(f'"{name}" is not a Spark setting; they are named spark.….')
        if not value or re.search(r"\s", value):
            raise ArgumentRefused(
                f'The value of {name} is "{value}"; Glue takes none that is empty or has white space.'
            )
    return " --conf ".join(f"{name}={value}" for name, value in conf.items())


def script_arguments(arguments: Mapping[str, str]) -> dict[str, str]:
    """The script's arguments as ``--name value``; raises `ArgumentRefused`.

    >>> script_arguments({"contract": "s3://b/c.yaml", "--output": "s3://b/out"})
    {'--contract': 's3://b/c.yaml', '--output': 's3://b/out'}
    """
    checked: dict[str, str] = {}
    for given, value in arguments.items():
        name = given if given.startswith("--") else f"--{given}"
        if not re.fullmatch(r"--[A-Za-z][A-Za-z0-9_-]*", name):
            raise ArgumentRefused(f'"{given}" cannot name an argument: letters, digits, _ and - can.')
        if name in INTERNAL or name in HAS_OPTION or name.startswith(OURS):
            raise ArgumentRefused(f'The argument "{name}" is reserved.{_why(name)}')
        if name.replace("-", "_") in {n.replace("-", "_") for n in checked}:
            raise ArgumentRefused(
                f'The argument "{name}" is given twice (to a script, - and _ are the same).'
            )
        checked[name] = _value(name, value)
    total = sum(len(name) + len(value) for name, value in checked.items())
    if total > MOST_ARGUMENTS:
        raise ArgumentRefused(
            f"The arguments have {total} characters, at most {MOST_ARGUMENTS} can be.{POINT}"
        )
    return checked


POINT = " Write what they say to an object and pass its URI."


def _value(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ArgumentRefused(f"The argument {name} is a {type(value).__name__}; Glue takes text.")
    if not value or value.startswith("-"):
        raise ArgumentRefused(
            f'The argument {name} is "{value}"; a script cannot be given one that is empty or starts with -.'
        )
    if len(value) > MOST_VALUE:
        raise ArgumentRefused(
            f"The argument {name} has {len(value)} characters, at most {MOST_VALUE} can be.{POINT}"
        )
    if not value.isprintable():
        raise ArgumentRefused(f"The argument {name} has line breaks or control characters: {value!r}.{POINT}")
    return value


def _why(name: str) -> str:
    if name in HAS_OPTION:
        return f" Use the option `{HAS_OPTION[name]}`."
    if name.startswith(OURS):
        return f" Names that start with {OURS} are set by the resource."
    return " Glue sets it itself." if name in INTERNAL else ""
