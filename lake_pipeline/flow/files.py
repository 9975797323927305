"""Data files on their way to where the lake has them: named by their content, put where an engine has them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake_pipeline.engines.engine import Place, schemas_in
from lake_pipeline.engines.parts import OutputFile
from lake_pipeline.flow.context import Work
from lake_pipeline.flow.state import Entry
from lake_pipeline.formats.packs import Text, on_disk
from lake_pipeline.formats.remote import Remote
from lake_pipeline.storage import ObjectStore
from lake_pipeline.storage.lake import partition_folder


def place_all(work: Work, zone: str, stem: str, files: Iterable[OutputFile]) -> list[str]:
    """Put data files under ``<stem>-<content>.parquet``; their URIs, sorted.

    Which of several files is made first depends on threads and tasks; so what is in them names them.
    """
    place = Placing(work.lake.zone(zone), stem)
    return sorted(work.engine.near(place, sorted(files, key=lambda f: str(f.path))))


@dataclass(frozen=True)
class Placing:
    """Puts data files where the lake has them; see `Engine.near`."""

    store: ObjectStore
    stem: str

    def __call__(self, files: list[OutputFile], _: Place) -> list[str]:
        return [put(self.store, f"{self.stem}-{f.content or content_of(f.path)}.parquet", f) for f in files]


def content_of(file: Text) -> str:
    """What names a data file by its content."""
    with on_disk(file).open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()[:16]


def put(store: ObjectStore, key: str, file: OutputFile) -> str:
    """Put a data file under its name, unless a run that was killed has done so; its URI."""
    if isinstance(file.path, Remote) and file.path.root == store.root:
        store.move(file.path.key, key)
    elif not store.exists(key):
        store.adopt(key, on_disk(file.path))
    return store.uri(key)


def keep_files(work: Work, partition: str, entries: list[Entry]) -> None:
    """Copy refused files into the quarantine, byte by byte as they landed."""
    folder = f"files/{work.dataset.name}/{partition_folder(partition)}"
    work.engine.near(Keeping(work.lake.zone("raw"), work.lake.zone("quarantine"), folder), entries)


@dataclass(frozen=True)
class Keeping:
    """Copies landed objects as they are; see `Engine.near`."""

    raw: ObjectStore
    store: ObjectStore
    folder: str

    def __call__(self, entries: list[Entry], place: Place) -> list[None]:
        for entry in entries:
            name = entry.key.rpartition("/")[2]
            self.store.copy_from(self.raw, entry.meta, f"{self.folder}/{entry.id}/{name}", place.folder)
        return [None for _ in entries]


def only(work: Work, zone: str, uris: Iterable[str], ids: Iterable[str], mark: str) -> tuple[str, ...]:
    """Data files with the rows of some objects only: as they are, or copies; empty ones are left out."""
    store = work.lake.zone(zone)
    cut = Cut(store, tuple(sorted(ids)), mark)
    return tuple(uri for uri in work.engine.near(cut, [*uris]) if uri)


@dataclass(frozen=True)
class Cut:
    """Leaves the rows of some objects in data files; see `Engine.near`. Where there are none, the URI is empty."""

    store: ObjectStore
    ids: tuple[str, ...]
    mark: str

    def __call__(self, uris: list[str], place: Place) -> list[str]:
        return [self._one(uri, place) for uri in uris]

    def _one(self, uri: str, place: Place) -> str:
        key = self.store.key(uri)
        table = pq.read_table(self.store.fetch(key, place.folder / "fetched"))
        kept = table.filter(pc.is_in(table["_source"], pa.array(self.ids, pa.string())))
        if kept.num_rows == table.num_rows:
            return uri
        if not kept.num_rows:
            return ""
        folder = key.rpartition("/")[0]
        # a name of its own: what was written before under another's may be a file of the lake by now (a link)
        path = place.folder / f"{uuid.uuid4().hex}.parquet"
        pq.write_table(kept, path, compression="zstd")
        target = f"{folder}/{self.mark}-{content_of(path)}.parquet"
        return put(self.store, target, OutputFile(path, "", kept.num_rows))


def schema_of(work: Work, files: list[OutputFile]) -> pa.Schema | None:
    """All columns of some data files, in the order in which they first occur; None where there is no file."""
    found: dict[tuple[str, ...], pa.Schema] = {}
    for schema in work.engine.near(schemas_in, [f.path for f in files]):
        found.setdefault(tuple(schema.names), schema)
    return merged(found.values()) if found else None


def merged(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """The columns of several schemas, each as it first occurs."""
    fields: dict[str, pa.Field] = {}
    for schema in schemas:
        for field in schema:
            fields.setdefault(field.name, field)
    return pa.schema(list(fields.values()))
