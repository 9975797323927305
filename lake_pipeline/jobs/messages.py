"""A job's messages on their way to whoever waits for it: numbered chunks of JSON lines, never rewritten."""

from __future__ import annotations

import json
import logging

from lake_pipeline.flow.away import write

LOG = logging.getLogger("lake_pipeline.jobs")


class Messages:
    """Sends log lines below a URI, and to the job's own log; without a URI, to the latter alone."""

    def __init__(self, uri: str) -> None:
        self._uri, self._number = uri, 0
        self.said: list[str] = []

    def log(self, text: str, level: str = "INFO") -> None:
        """Say something, now."""
        LOG.log(logging.getLevelName(level), text)
        self.said.append(f"{level} {text}")
        if self._uri:
            self._number += 1
            line = json.dumps({"method": "log", "params": {"message": text, "level": level}})
            write(f"{self._uri}/{self._number:06}.jsonl", f"{line}\n".encode())
