"""What the lake remembers of a job run, and what its script leaves: objects in one folder per run key.

===================================  ================================================================
<key>/<attempt>/claim.json           written, conditionally, before StartJobRun: who is about to start
<key>/<attempt>/run.json             written, conditionally, after it: the JobRunId, or why there is none
<key>/<attempt>/end.json             how it ended and what it cost
<key>/<attempt>/<JobRunId>/end.json  the same of a second run of the attempt, which was stopped
<key>/<attempt>/result.json          the script's completion record
<key>/<attempt>/messages/….jsonl     the script's messages, in numbered chunks that are never rewritten
<key>/<attempt>/driver.log           the last lines of the driver's log, where the script could write them
===================================  ================================================================

All are written once. A new attempt begins only after one that ended without success, so that a result or a
message is never taken for another attempt's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from lake_pipeline.resources.glue.errors import ArgumentRefused
from lake_pipeline.storage.objects import ObjectMeta, ObjectMissing

Message = Mapping[str, Any]
Deliver = Callable[[Message], None]
MOST_KEY, MOST_SEGMENT = 512, 128


class Objects(Protocol):
    """What is needed of an `ObjectStore`."""

    def uri(self, key: str) -> str: ...

    def list(self, prefix: str = "") -> Iterable[ObjectMeta]: ...

    def read(self, key: str) -> bytes: ...

    def create(self, key: str, body: bytes) -> bool: ...


def folder_of(prefix: str, job: str, key: str) -> str:
    """The folder of a run key; raises `ArgumentRefused` where the key cannot be one.

    >>> folder_of("glue-runs", "validate", "orders/2024-05-01T10:00/ab12")
    'glue-runs/validate/orders/2024-05-01T10%3A00/ab12'
    """
    segments = key.split("/")
    if len(key) > MOST_KEY or any(len(s) > MOST_SEGMENT for s in segments):
        raise ArgumentRefused(
            f'The run key "{key[:80]}…" is too long: {MOST_KEY} characters, {MOST_SEGMENT} between slashes.'
        )
    if any(s in ("", ".", "..") or not s.isprintable() or s.startswith("-") for s in segments):
        raise ArgumentRefused(
            f'"{key}" cannot be a run key: names between slashes, as in "orders/2024-05-01/ab12", '
            "none empty or starting with -."
        )
    return "/".join(quote(s, safe="") for s in (*prefix.split("/"), job, *segments) if s)


@dataclass(frozen=True)
class Record:
    """run.json: the JobRunId, or (empty) why the attempt has none."""

    run_id: str
    reason: str = ""


@dataclass(frozen=True)
class RunRecords:
    """The objects of one run key."""

    store: Objects
    folder: str

    def last(self) -> int:
        """The newest attempt's number, 0 before the first."""
        claims = (o.key for o in self.store.list(self.folder) if o.key.endswith("/claim.json"))
        inside = (key.removeprefix(self.folder + "/").split("/") for key in claims)
        return max((int(parts[0]) for parts in inside if len(parts) == 2 and parts[0].isdigit()), default=0)

    def claim(self, attempt: int, owner: str) -> bool:
        """Whether this worker, and no other, may start the attempt."""
        return self.store.create(self.key(attempt, "claim.json"), _json({"owner": owner}))

    def owner(self, attempt: int) -> str:
        """Who claimed the attempt."""
        return str((self._read(attempt, "claim.json") or {}).get("owner", ""))

    def keep(self, attempt: int, record: Record) -> Record:
        """Record the attempt's run; returns the record that is kept, which is the first one written."""
        body = _json({"run_id": record.run_id, "reason": record.reason})
        if self.store.create(self.key(attempt, "run.json"), body):
            return record
        return self.kept(attempt) or record

    def kept(self, attempt: int) -> Record | None:
        """The attempt's run, None while there is no answer from Glue on record."""
        found = self._read(attempt, "run.json")
        return None if found is None else Record(str(found["run_id"]), str(found.get("reason", "")))

    def end(self, attempt: int, how: Mapping[str, Any], double: str = "") -> None:
        """Record how the attempt ended, or a second run of it; the first worker that saw it writes."""
        name = f"{quote(double, safe='')}/end.json" if double else "end.json"
        self.store.create(self.key(attempt, name), _json(how))

    def ended(self, attempt: int) -> dict[str, Any] | None:
        """How the attempt ended, None if no worker has seen its end."""
        return self._read(attempt, "end.json")

    def text(self, attempt: int, name: str) -> str | None:
        """An object that the script wrote, None where there is none."""
        try:
            return self.store.read(self.key(attempt, name)).decode("utf-8", errors="replace")
        except ObjectMissing:
            return None

    def key(self, attempt: int, name: str) -> str:
        """The key of an attempt's object."""
        return f"{self.folder}/{attempt:03}/{name}"

    def uri(self, attempt: int, name: str) -> str:
        """The URI of an attempt's object, for the script."""
        return self.store.uri(self.key(attempt, name))

    def _read(self, attempt: int, name: str) -> dict[str, Any] | None:
        text = self.text(attempt, name)
        found: dict[str, Any] | None = None if text is None else json.loads(text)
        return found


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


@dataclass
class Messages:
    """The script's messages: each chunk is read once, in the order of its number, however often one looks.

    reports: what is not a log line, e.g. ``report_asset_materialization``. tail: the last log lines.
    """

    records: RunRecords
    attempt: int
    reports: list[Message] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def read(self, deliver: Deliver) -> None:
        """Hand over what is new."""
        chunks = self.records.store.list(self.records.key(self.attempt, "messages"))
        for key in sorted(o.key for o in chunks if o.key.endswith(".jsonl") and o.key not in self.seen):
            for line in self.records.store.read(key).decode("utf-8", errors="replace").split("\n"):
                if line.strip():
                    self._take(message_of(line), deliver)
            self.seen.add(key)

    def _take(self, message: Message, deliver: Deliver) -> None:
        if message["method"] == "log":
            self.tail = [*self.tail, str(message["params"].get("message", ""))][-TAIL_LINES:]
        else:
            self.reports.append(message)
        deliver(message)


TAIL_LINES = 30


def log_line(text: str, level: str) -> Message:
    """A log line as a message."""
    return {"method": "log", "params": {"message": text, "level": level}}


def message_of(line: str) -> Message:
    """One line as a message; what is none is a log line of level WARNING: nothing a script says is lost.

    >>> message_of("boom")
    {'method': 'log', 'params': {'message': 'boom', 'level': 'WARNING'}}
    """
    try:
        found = json.loads(line)
    except json.JSONDecodeError:
        found = None
    if isinstance(found, dict) and isinstance(found.get("method"), str):
        params = found.get("params") or {}
        if isinstance(params, dict):
            return {**found, "params": params}
    return log_line(line.strip(), "WARNING")
