"""A job's messages on their way to whoever waits for it: numbered chunks of JSON lines, never rewritten."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from lake_pipeline.flow.away import write

LOG = logging.getLogger("lake_pipeline.jobs")


class Messages:
    """Sends log lines below a URI, and to the job's own log; without a URI, to the latter alone."""

    def __init__(self, uri: str) -> None:
        self._uri, self._number = uri, 0
        self._about = ""
        self.said: list[str] = []

    def begin(self, about: Mapping[str, str]) -> None:
        """From now on every line of the job's own log has the metadata of the run that it is a step of."""
        self._about = "".join(f" {name}={json.dumps(value)}" for name, value in about.items())

    def log(self, text: str, level: str = "INFO") -> None:
        """Say something, now."""
        LOG.log(logging.getLevelName(level), "%s%s", text, self._about)
        self.said.append(f"{level} {text}")
        if self._uri:
            self._number += 1
            line = json.dumps({"method": "log", "params": {"message": text, "level": level}})
            write(f"{self._uri}/{self._number:06}.jsonl", f"{line}\n".encode())
