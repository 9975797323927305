"""Log lines as JSON, each with the metadata of the run that wrote it: for ``LAKE_LOG=json``.

The metadata is set once, where a run begins, and is in every line that anything within writes.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from lake_pipeline.health.targets import Targets

_metadata: ContextVar[Mapping[str, Any]] = ContextVar("lake_log_metadata", default={})  # noqa: B039  (never changed)


@contextmanager
def about(**metadata: Any) -> Iterator[None]:
    """Have every log line within carry this, too."""
    token = _metadata.set({**_metadata.get(), **metadata})
    try:
        yield
    finally:
        _metadata.reset(token)


def begin(**metadata: Any) -> None:
    """Have every log line from now on carry this and nothing else, until the next run begins."""
    _metadata.set(metadata)


def install(targets: Targets) -> None:
    """Have the project's own loggers write JSON lines, where the environment asks for them; once a process."""
    logger = logging.getLogger("lake_pipeline")
    if targets.log == "json" and not any(isinstance(h.formatter, JsonLines) for h in logger.handlers):
        logger.addHandler(json_handler(targets))
        logger.setLevel(logging.INFO)
        logger.propagate = False


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the run's metadata, and what the record brings."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_metadata.get(),
            **getattr(record, "lake", {}),
        }
        run_id = getattr(record, "dagster_meta", {}).get("run_id")
        if run_id:
            line.setdefault("run_id", run_id)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def json_handler(targets: Targets) -> logging.Handler:
    """Where JSON lines go: the file of ``LAKE_LOG_FILE``, or the standard error."""
    handler: logging.Handler = (
        logging.FileHandler(targets.log_file, delay=True) if targets.log_file else Stderr()
    )
    handler.setFormatter(JsonLines())
    return handler


class Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """The standard error as it is when a line is written, not as it was when the handler was made."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line."""
        self.stream = sys.stderr
        super().emit(record)
