"""A lake: its zones, its tables and its own folder on this machine; and the name of every object in it.

Names the pipeline gives (raw keys are the producers'):

=============================================  ==========================================================
ops/catalog.json                               which catalog has the lake's tables
ops/manifests/<ds>/<partition>/<n>.json        input manifests, n counts up
ops/receipts/<ds>/<partition>/<n>.json         what became of each object of a validated batch
ops/outcomes/<ds>/<partition>/<n>.json         what became of each curate: published, refused or failed
ops/arrivals/requests/<ds>/<key>.json          which objects a run was asked for
ops/arrivals/<sensor>/ticks/<n>.json           what a tick of a sensor did: received, lost, dead, lag
ops/arrivals/<sensor>/state/<n>.json           what a sensor remembers; the newest counts, old ones are deleted
ops/arrivals/dead-letters/<message>.json       messages of no use, where there is no queue for them
ops/runs/<day>/<ds>/<run>.json                 what a run did to each of its partitions
ops/freshness/<ds>/partitions/<partition>.json   whether the partition was there when it was due
ops/breakers/<ds>/<n>.json                     the circuit breaker's states
ops/incidents/<subject>/<kind>/<n>.json        what is wrong, and who was told when
ops/outbox/<sink>/….json                       messages that no sink has taken yet
ops/jobs/<ds>/<step>/<key>/                    what a job was asked, and its answer
ops/glue-runs/<job>/<ds>/<key>/<attempt>/      records of Glue job runs: claim, run, end, result, messages
dq-results/<ds>/<partition>/<fingerprint>.json   the audit of a candidate: the gate asks it, and so does history
validated/<ds>/data/<partition>/<batch>-….parquet   typed rows of a validated batch
curated/<ds>/data/<partition>/<fingerprint>-….parquet   audited rows of a published candidate
quarantine/<ds>/data/<partition>/….parquet     rejected rows and files, with all their reasons
quarantine/files/<ds>/<partition>/<object id>/<name>   the untouched files
=============================================  ==========================================================
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lake_pipeline.errors import Transient
from lake_pipeline.settings import Settings
from lake_pipeline.storage.objects import ObjectStore

if TYPE_CHECKING:
    from lake_pipeline.storage.tables import Tables


class LogContention(Transient):
    """Too many writers append to one log at once."""


class CommitConflict(Transient):
    """Somebody else changed the same partition of a table meanwhile: look again, then decide."""


class Overtaken(Transient):
    """Another run was first: what was decided without knowing of it is not written."""


@dataclass(frozen=True)
class Lake:
    """One lake; cheap to make, opens its storage at first use."""

    settings: Settings

    @cached_property
    def tables(self) -> Tables:
        """The Iceberg tables."""
        from lake_pipeline.storage.tables import Tables  # a job on Glue has no catalog

        return Tables(self.settings)

    @cached_property
    def _stores(self) -> dict[str, ObjectStore]:
        return {}

    def zone(self, name: str) -> ObjectStore:
        """The objects of one zone."""
        if name not in self._stores:
            self._stores[name] = ObjectStore(self.settings.zone_url(name))
        return self._stores[name]

    @contextmanager
    def spool(self, shared: bool = False) -> Iterator[Path]:
        """A folder for this process's work, removed afterwards; a killed process leaves only scratch.

        shared: in a lake that is a folder, below it, so that whoever can read the lake can read this.
        """
        ops = self.zone("ops")
        root = Path(ops.root) / "scratch" if shared and ops.local else self.settings.home / "spool"
        root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=root))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def log(self, zone: str, name: str) -> Log:
        """An append-only log of JSON documents in a zone, e.g. ``log("ops", "manifests/flights/2013-11-03")``."""
        return Log(self.zone(zone), name)


@dataclass(frozen=True)
class Log:
    """Numbered JSON documents below one folder: append-only, each number written once, conditionally.

    A document follows the one that its writer knew as the newest, so a log is a chain of decisions of which each
    knows all before it.
    """

    store: ObjectStore
    folder: str

    def append(self, document: dict[str, Any], after: int) -> int:
        """Write the document under the number after `after`, the newest that its writer knew; return that number.

        Raises `Overtaken` where another document has that number: it was written without knowing that one.
        """
        body, number = dump(document), after + 1
        key = f"{self.folder}/{number:06}.json"
        if (
            not self.store.create(key, body) and self.store.read(key) != body
        ):  # its own, where an answer was lost
            raise Overtaken(
                f"{self.folder}: another run has written number {number} meanwhile. Repeat this one: it then "
                "begins with what that run has done."
            )
        return number

    def last_number(self) -> int:
        """The newest document's number; 0 for an empty log."""
        return max((number_of(o.key) for o in self.store.list(self.folder)), default=0)

    def last(self) -> dict[str, Any] | None:
        """The newest document, or None."""
        number = self.last_number()
        return json.loads(self.store.read(f"{self.folder}/{number:06}.json")) if number else None


def last_documents(store: ObjectStore, folder: str) -> dict[str, tuple[int, str]]:
    """The newest number and key of every log one level below `folder`, by the log's name: one listing."""
    newest: dict[str, tuple[int, str]] = {}
    for entry in store.list(folder):
        name = entry.key.removeprefix(folder + "/").rpartition("/")[0]
        newest[name] = max(newest.get(name, (0, "")), (number_of(entry.key), entry.key))
    return newest


def number_of(key: str) -> int:
    """The number in a log document's key."""
    return int(key.rpartition("/")[2].removesuffix(".json"))


def dump(document: dict[str, Any]) -> bytes:
    """JSON as the lake stores it: sorted, so that equal documents are equal bytes.

    The bytes are those of ``json.dumps(indent=1)``, which is slow: Python has no fast encoder that indents.
    """
    return _indented(document, 1).encode()


def _indented(value: Any, level: int) -> str:
    """A value, with lines of its own for what is in it."""
    before = "\n" + level * " "
    if isinstance(value, dict) and value:
        if not any(v and isinstance(v, dict | list | tuple) for v in value.values()):
            body = _flat(level).encode(value)[1:-1]
        else:
            body = f",{before}".join(
                f"{_key(k)}: {_indented(v, level + 1)}" for k, v in sorted(value.items())
            )
        return f"{{{before}{body}{before[:-1]}}}"
    if isinstance(value, list | tuple) and value:
        return f"[{before}{f',{before}'.join(_indented(v, level + 1) for v in value)}{before[:-1]}]"
    return _flat(level).encode(value)


def _key(key: Any) -> str:
    """A key as JSON writes it: text, also where it is a number, a truth value or None."""
    return json.dumps({key: 0}, ensure_ascii=False)[1:-4]


@cache
def _flat(level: int) -> json.JSONEncoder:
    separators = (",\n" + level * " ", ": ")
    return json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=str, separators=separators)


def partition_folder(partition: str) -> str:
    """A partition key as one path segment."""
    return quote(partition, safe="")
