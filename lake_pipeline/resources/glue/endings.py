"""What the end of a job run means: a result with its completion record, or a failure with its log's end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore import exceptions as failures

from lake_pipeline.errors import LakeError
from lake_pipeline.resources.glue.errors import CompletionMissing, JobRunFailed, JobRunLost
from lake_pipeline.resources.glue.records import TAIL_LINES, Messages, RunRecords

ACTIVE = frozenset({"WAITING", "STARTING", "RUNNING", "STOPPING"})
FINAL = frozenset({"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"})

# Final states without success: whether repeating may help, and what to do next.
ENDINGS: dict[str, tuple[type[LakeError], str]] = {
    "FAILED": (JobRunFailed, "Correct what the log names and run again."),
    "STOPPED": (
        JobRunFailed,
        "Somebody, or another run with the same key, stopped it; run again if it should run.",
    ),
    "TIMEOUT": (JobRunFailed, "Raise timeout_minutes or the workers; it would not be done in time again."),
    "ERROR": (JobRunLost, "Glue itself failed; run again."),
    "EXPIRED": (JobRunLost, "It waited for capacity for too long; run again, or not as FLEX."),
}
# In Glue's ErrorMessage of FAILED runs: capacity and faults of Glue's own, which pass.
PASSING = ("resource unavailable", "internal service exception", "insufficient capacity", "rate exceeded")


LONGEST_LINE, LONGEST_ERROR = 1_000, 10_000  # characters of what a failure quotes
Logs = Callable[[], Any] | None


class Numbered(Protocol):
    """What tells one run from another."""

    @property
    def key(self) -> str: ...

    @property
    def attempt(self) -> int: ...

    @property
    def run_id(self) -> str: ...


@dataclass(frozen=True)
class Completion:
    """The script's completion record, and what is wrong with it (empty: nothing)."""

    problem: str
    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> str:
        """The error that the script itself recorded."""
        return cut(str(self.document.get("error") or ""), LONGEST_ERROR)

    @property
    def transient(self) -> bool:
        """Whether the script says that running it again may help."""
        return self.document.get("transient") is True


def completion(records: RunRecords, run: Numbered) -> Completion:
    """Read the completion record: a JSON object that names this run's key and attempt, and no other JobRunId.

    Its ``status`` is ``succeeded`` (the default) or ``failed``, then with ``error`` and ``transient``.
    """
    uri = records.uri(run.attempt, "result.json")
    text = records.text(run.attempt, "result.json")
    if text is None:
        return Completion(f"there is no completion record at {uri}")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as e:
        return Completion(f"the completion record at {uri} is not JSON ({e})")
    if not isinstance(found, dict):
        return Completion(f"the completion record at {uri} is not an object but a {type(found).__name__}")
    names = {"run_key": run.key, "attempt": str(run.attempt)} | (
        {"job_run_id": run.run_id} if found.get("job_run_id") else {}
    )
    for name, value in names.items():
        if str(found.get(name, "")) != value:
            said = f'"{found[name]}"' if name in found else "nothing"
            return Completion(f'the completion record at {uri} has {said} as {name}, not "{value}"', {})
    if found.get("status", "succeeded") != "succeeded":
        return Completion(f'the completion record says "{found["status"]}"', found)
    return Completion("", found)


def driver_log(records: RunRecords, run: Numbered, messages: Messages, logs: Logs, group: str) -> list[str]:
    """The last lines of the driver's log: what the script saved, else CloudWatch's, else its log messages."""
    saved = records.text(run.attempt, "driver.log")
    if saved:
        return _titled("as the script saved them", saved.splitlines())
    watched, why = _cloudwatch(logs, group or "/aws-glue/jobs", run.run_id)
    if watched:
        return _titled("from CloudWatch", watched)
    where = f"of its messages{why}"
    return _titled(where, messages.tail) if messages.tail else [f"There is no log of the driver{why}."]


def _titled(source: str, lines: Sequence[str]) -> list[str]:
    return [
        f"Last lines of the driver's log, {source}:",
        *(f"  | {cut(line)}" for line in lines[-TAIL_LINES:]),
    ]


def cut(text: str, most: int = LONGEST_LINE) -> str:
    """A text that a failure may quote: Dagster keeps failures in its database."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def _cloudwatch(logs: Logs, group: str, run_id: str) -> tuple[list[str], str]:
    """The error stream's end, and why it is empty: it only helps to explain, so its own errors are words."""
    if logs is None:
        return [], ""
    try:
        answer = logs().get_log_events(
            logGroupName=f"{group.rstrip('/')}/error",
            logStreamName=run_id,
            limit=TAIL_LINES,
            startFromHead=False,
        )
    except failures.ClientError as e:
        return [], f" (CloudWatch: {e.response.get('Error', {}).get('Code', e)})"
    except failures.BotoCoreError as e:
        return [], f" (CloudWatch: {e})"
    lines = [line for event in answer.get("events", ()) for line in str(event["message"]).splitlines()]
    return lines, "" if lines else " (CloudWatch has nothing)"


def failure(about: str, run: Mapping[str, Any], done: Completion, log: Sequence[str]) -> LakeError:
    """The error for a run that is over and has no success to show."""
    state, message = str(run["JobRunState"]), str(run.get("ErrorMessage") or "").strip()
    text = f"{about[0].upper()}{about[1:]} ended as {state} after {run.get('ExecutionTime') or 0} s"
    if state == "SUCCEEDED" and not done.error:
        said = f"{text}, but {done.problem}: without it nothing of the run counts."
        return CompletionMissing(
            "\n".join([f"{said} Have the script write it as its last act (see `--lake-result`).", *log])
        )
    kind, advice = ENDINGS["FAILED" if state == "SUCCEEDED" else state]
    if state == "FAILED" and (done.transient or any(word in message.lower() for word in PASSING)):
        kind, advice = ENDINGS["ERROR"][0], "It may pass: run again."
    parts = [p.rstrip(".") for p in (done.error, message) if p]
    return kind("\n".join([f"{text}{': ' if parts else ''}{' / '.join(parts)}. {advice}", *log]))
