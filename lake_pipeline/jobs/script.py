"""Run one step as a job: read the arguments, do it, tell what happens, leave a completion record.

A job that is started by hand, without the records that `GlueJobs` asks for, works as well.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lake_pipeline.errors import LakeError, Transient
from lake_pipeline.flow.away import perform, read, write
from lake_pipeline.jobs.messages import Messages

INPUTS = ("contract", "defs", "input", "output")
RECORDS = ("lake-run-key", "lake-attempt", "lake-result", "lake-messages", "lake-driver-log")


@dataclass(frozen=True)
class Arguments:
    """A script's arguments. records: where and as whose its records are written; empty for a job by hand."""

    inputs: dict[str, str]
    records: dict[str, str]


def main(step: str, argv: Sequence[str] | None = None) -> None:
    """Run a job; returns when it succeeded, and exits with 1 when it did not."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    arguments = read_arguments(sys.argv if argv is None else argv)
    messages = Messages(arguments.records.get("lake-messages", ""))
    try:
        messages.begin(json.loads(read(arguments.inputs["input"])).get("about", {}))
        messages.log(f"{step} of {arguments.inputs['input']} begins")
        done = _perform(arguments)
        messages.log(f"{step} is done: {done['output']}")
    except Exception as e:  # noqa: BLE001 - whatever ends the job is recorded, and ends it
        messages.log(f"{step} failed: {e}", "ERROR")
        _complete(arguments, {"status": "failed", "error": _said(e), "transient": isinstance(e, Transient)})
        _driver_log(arguments, messages, e)
        sys.exit(1)
    _complete(arguments, {"status": "succeeded", **done})


def _perform(arguments: Arguments) -> dict[str, Any]:
    from lake_pipeline.engines.spark_session import session_of

    with tempfile.TemporaryDirectory(prefix="lake-job-") as folder:
        return perform(arguments.inputs, session_of(), Path(folder))


def read_arguments(argv: Sequence[str]) -> Arguments:
    """The arguments, by awsglue's `getResolvedOptions` where there is awsglue."""
    names = [*INPUTS, *(n for n in RECORDS if f"--{n}" in argv)]
    try:
        from awsglue.utils import getResolvedOptions
    except ModuleNotFoundError:
        parser = argparse.ArgumentParser(allow_abbrev=False)
        for name in names:
            parser.add_argument(f"--{name}", required=True)
        found = vars(parser.parse_known_args(argv[1:])[0])
    else:
        found = getResolvedOptions(list(argv), names)
    values = {name: str(found.get(name, found.get(name.replace("-", "_")))) for name in names}
    return Arguments({n: values[n] for n in INPUTS}, {n: values[n] for n in RECORDS if n in values})


def _said(error: Exception) -> str:
    """What went wrong: our own messages as they are, others with their type."""
    return str(error) if isinstance(error, LakeError) else f"{type(error).__name__}: {error}"


def _complete(arguments: Arguments, more: dict[str, Any]) -> None:
    """Write the completion record, without which nobody takes the job for successful."""
    records = arguments.records
    if "lake-result" in records:
        own = {"run_key": records["lake-run-key"], "attempt": records["lake-attempt"]}
        write(records["lake-result"], json.dumps({**own, **more}).encode())


def _driver_log(arguments: Arguments, messages: Messages, error: Exception) -> None:
    """Write the end of what was said; and where an error came from, if it is none that was foreseen."""
    if "lake-driver-log" in arguments.records:
        trace = [] if isinstance(error, LakeError) else traceback.format_exception(error)
        write(arguments.records["lake-driver-log"], "\n".join([*messages.said, *trace]).encode())
