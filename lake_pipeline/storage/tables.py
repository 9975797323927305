"""Iceberg tables of the lake: the one place where rows become visible.

A table is partitioned by ``_partition``; its data files hold one partition each. A commit says what files
some partitions are to have, and on which reading (`Seen`) that was decided. It is one snapshot, so a reader
sees the state before or the state after it; and it happens only if no other snapshot touched these partitions
since the reading, or else raises `CommitConflict`. So nobody drops what he did not see, nor adds beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.catalog.sql import SqlCatalog, SqlCatalogBaseTable
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
    ValidationError,
    ValidationException,
)
from pyiceberg.expressions import AlwaysTrue, BooleanExpression, In, Reference
from pyiceberg.io.pyarrow import parquet_files_to_data_files
from pyiceberg.manifest import DataFile as IcebergFile
from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.table import Table
from pyiceberg.table.update import AssertTableUUID
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from lake_pipeline.errors import Terminal
from lake_pipeline.settings import Settings
from lake_pipeline.storage.claim import claim
from lake_pipeline.storage.failures import opening, passing
from lake_pipeline.storage.lake import CommitConflict
from lake_pipeline.storage.objects import ObjectStore

PARTITION = "_partition"
# pyiceberg stops pruning manifests by an IN list above this many literals; then all files are planned.
PRUNABLE = 200
# pyiceberg's client of Glue repeats ten times; whatever lasts longer is for Dagster to repeat.
GLUE_RETRIES = 3
# How often a commit is based on a newer snapshot, where others change other partitions: each time one of them got on.
REBASES = 25
CHANGES = (ManifestEntryStatus.ADDED, ManifestEntryStatus.DELETED)


class IncompatibleSchema(Terminal):
    """The table has a column of a type that the new one cannot be stored in."""


class MisplacedFile(Terminal):
    """A data file is of another partition than the one it is to be put in: a defect."""


class TableMissing(Terminal):
    """The catalog does not have a table that is known to exist."""


@dataclass(frozen=True)
class DataFile:
    """One data file of a table's snapshot. `size` is in bytes."""

    uri: str
    partition: str
    rows: int
    size: int


@dataclass(frozen=True)
class Seen:
    """Some partitions of a table as one reading saw them: the snapshot, and the data files by URI in each.

    stale: partitions that others have changed since: nothing can be based on them.
    """

    name: str
    partitions: frozenset[str]
    snapshot: int | None = None
    files: Mapping[str, Mapping[str, IcebergFile]] = field(default_factory=dict)
    stale: frozenset[str] = frozenset()

    def uris(self, partition: str) -> frozenset[str]:
        """The data files of one of the partitions."""
        return frozenset(self.files.get(partition, ()))

    def data_files(self, partition: str) -> list[DataFile]:
        """The same with what is known of them, sorted by name."""
        return sorted(map(_data_file, self.files.get(partition, {}).values()), key=lambda f: f.uri)


class Tables:
    """The lake's Iceberg catalog: ``validated.<ds>``, ``curated.<ds>``, ``quarantine.<ds>``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._catalog: Catalog | None = None
        self._admitted: dict[str, IcebergFile] = {}

    @property
    def catalog(self) -> Catalog:
        """The pyiceberg catalog, opened at first use."""
        if self._catalog is None:
            with opening(self._settings.catalog), passing("the catalog"):
                catalog = open_catalog(self._settings)
                claim(ObjectStore(self._settings.zone_url("ops")), self._settings, catalog)
                self._catalog = catalog
        return self._catalog

    def table(self, name: str) -> Table | None:
        """The table as it is now, or None before its first commit."""
        try:
            with passing(name):
                return self.catalog.load_table(name)
        except (NoSuchTableError, NoSuchNamespaceError):
            return None

    def names(self) -> list[str]:
        """All tables of the lake, sorted: ``["curated.flights", …]``."""
        with passing("the catalog"):
            found = [t for n in self.catalog.list_namespaces() for t in self.catalog.list_tables(n)]
        return sorted(".".join(t) for t in found)

    def snapshot(self, name: str) -> int | None:
        """The id of the table's current snapshot, or None."""
        table = self.table(name)
        return table.metadata.current_snapshot_id if table else None

    def files(self, name: str, partitions: Iterable[str] | None = None) -> list[DataFile]:
        """The data files a reader sees now, sorted by name; of some partitions only, or of all."""
        table = self.table(name)
        if table is None:
            return []
        wanted = None if partitions is None else set(partitions)
        with passing(name):
            found = [_data_file(f) for f in planned(table, wanted)]
        return sorted(found, key=lambda f: f.uri)

    def arrow_schema(self, name: str) -> pa.Schema | None:
        """The table's current columns as Arrow, or None before its first commit."""
        table = self.table(name)
        return table.schema().as_arrow() if table else None

    def look(self, name: str, partitions: Iterable[str]) -> Seen:
        """What some partitions of the table consist of now: what a decision about them is to be based on."""
        wanted = frozenset(partitions)
        table = self.table(name) if wanted else None
        if table is None:
            return Seen(name, wanted, None, {p: {} for p in wanted})
        with passing(name):
            return _seen(name, table, wanted)

    def admit(self, name: str, schema: pa.Schema, files: Mapping[str, Iterable[str]]) -> None:
        """Have the table ready for data files (URIs by partition): it has their columns, and can take each of them.

        Nothing becomes visible. What can go wrong with a file goes wrong here, before anything is decided.
        Raises `IncompatibleSchema`, `MisplacedFile`, and `CommitConflict` where others change its columns.
        """
        with passing(name):
            table = self._ensure(name, schema)
            for partition, uris in files.items():
                self._iceberg_files(table, partition, uris)

    def replace(self, seen: Seen, wanted: Mapping[str, Iterable[str]], properties: Mapping[str, str]) -> Seen:
        """In one snapshot, have each of the partitions `wanted` consist of exactly these data files (URIs).

        seen: the reading on which that was decided. Snapshots of others that did not touch these partitions are
        no matter: the commit is repeated on top of them. A partition that others have brought to what is wanted
        is left as it is; one that they have changed otherwise raises `CommitConflict`, and nothing is changed.
        Returns the partitions of `seen` as they are afterwards.
        """
        files = {partition: frozenset(uris) for partition, uris in wanted.items()}
        if unseen := sorted(files.keys() - seen.partitions):
            raise ValueError(f"{unseen} of {seen.name} was not looked at")
        with passing(seen.name):
            for _ in range(REBASES):
                table = self._known(seen.name)
                based = _rebased(seen, table, files)
                done = self._commit(table, based, files, properties)
                if done is not None:
                    return done
        raise CommitConflict(f"{seen.name}: {REBASES} commits in a row lost to writers of other partitions.")

    def _known(self, name: str) -> Table:
        table = self.table(name)
        if table is None:
            raise TableMissing(
                f"The lake remembers data files of {name}, and the catalog has no such table. "
                "LAKE_CATALOG must name the catalog that the lake was made with."
            )
        return table

    def _commit(
        self, table: Table, seen: Seen, wanted: Mapping[str, frozenset[str]], properties: Mapping[str, str]
    ) -> Seen | None:
        """One attempt, on exactly the snapshot that was seen; None where another snapshot came first.

        pyiceberg's own repetition is not used: it looks at less than `_rebased` does, and deletes what it wrote
        for a commit whose answer was lost.
        """
        outgoing = [
            file for p, uris in wanted.items() for uri, file in seen.files[p].items() if uri not in uris
        ]
        incoming: dict[str, list[IcebergFile]] = {
            p: self._iceberg_files(table, p, uris - seen.files[p].keys()) for p, uris in wanted.items()
        }
        if not outgoing and not any(incoming.values()):
            return seen
        snapshot = table.transaction().update_snapshot(dict(properties)).overwrite()
        for file in outgoing:
            snapshot.delete_data_file(file)
        for file in (f for files in incoming.values() for f in files):
            snapshot.append_data_file(file)
        updates, requirements = snapshot._commit()  # noqa: SLF001 - its public way repeats by itself
        try:
            same = AssertTableUUID(uuid=table.metadata.table_uuid)
            self.catalog.commit_table(table, (*requirements, same), updates)
        except (CommitFailedException, CommitStateUnknownException, SQLAlchemyError) as e:
            # the answer of a commit that happened may be lost, too
            if self._known(seen.name).metadata.snapshot_by_id(snapshot.snapshot_id) is None:
                if isinstance(e, CommitFailedException):
                    snapshot._clean_all_uncommitted()  # noqa: SLF001
                    return None
                raise CommitConflict(
                    f"{seen.name}: the catalog did not say whether the commit happened: {e}"
                ) from e
        for uris in wanted.values():
            for uri in uris:
                self._admitted.pop(uri, None)
        files = dict(seen.files)
        for p, uris in wanted.items():
            stayed = {uri: f for uri, f in seen.files[p].items() if uri in uris}
            files[p] = stayed | {f.file_path: f for f in incoming[p]}
        return Seen(seen.name, seen.partitions, snapshot.snapshot_id, files, seen.stale)

    def _iceberg_files(self, table: Table, partition: str, uris: Iterable[str]) -> list[IcebergFile]:
        """The data files as the table takes them; what their footers say is read once."""
        names = sorted(uris)
        absent = iter([uri for uri in names if uri not in self._admitted])
        for file in parquet_files_to_data_files(table.io, table.metadata, absent):
            file.spec_id = table.metadata.default_spec_id  # which pyiceberg sets only on what it reads
            self._admitted[file.file_path] = file
        found = [self._admitted[uri] for uri in names]
        for file in found:
            if file.partition[0] != partition:
                raise MisplacedFile(f"{file.file_path} is of {file.partition[0]}, and not of {partition}.")
        return found

    def _ensure(self, name: str, schema: pa.Schema) -> Table:
        for _ in range(REBASES):
            table = self.table(name)
            if table is None:
                table = self._create(name, schema)
            try:
                with table.update_schema() as update:  # commits nothing where nothing is new
                    update.union_by_name(optional(schema))
            except (ValidationError, ValidationException, ValueError, TypeError) as e:
                raise IncompatibleSchema(
                    f"{name} cannot take the new columns: {e}. A column's type can only be widened; "
                    "give the changed column another name in the contract."
                ) from e
            except CommitFailedException:
                continue  # another commit came first: look again
            return table
        raise CommitConflict(f"{name}: its columns were changed by other writers {REBASES} times.")

    def _create(self, name: str, schema: pa.Schema) -> Table:
        zone, _, dataset = name.partition(".")
        with suppress(NamespaceAlreadyExistsError, IntegrityError):
            self.catalog.create_namespace(zone)
        location = table_location(self._settings, zone, dataset)
        try:
            with self.catalog.create_table_transaction(
                name, optional(schema), location=location, properties={"format-version": "2"}
            ) as tx:
                with tx.update_spec() as spec:
                    spec.add_identity(PARTITION)
                mapping = tx.table_metadata.schema().name_mapping.model_dump_json()
                tx.set_properties({"schema.name-mapping.default": mapping})
        except (TableAlreadyExistsError, CommitFailedException):
            pass  # another writer made it meanwhile
        return self.catalog.load_table(name)


def optional(schema: pa.Schema) -> pa.Schema:
    """The schema with every column nullable.

    DuckDB marks a Parquet column required where it saw no null, and Iceberg's `add_files` refuses an
    optional file column in a required table column.
    """
    return pa.schema([field.with_nullable(True) for field in schema])


def planned(table: Table, partitions: set[str] | None) -> Iterable[IcebergFile]:
    """The snapshot's data files, by partition."""
    prune: BooleanExpression = AlwaysTrue()
    if partitions is not None and len(partitions) <= PRUNABLE:
        prune = In(term=Reference(PARTITION), literals=partitions)
    for task in table.scan(row_filter=prune).plan_files():
        if partitions is None or task.file.partition[0] in partitions:
            yield task.file


def _seen(name: str, table: Table, partitions: frozenset[str]) -> Seen:
    found: dict[str, dict[str, IcebergFile]] = {p: {} for p in partitions}
    for file in planned(table, set(partitions)):
        found[file.partition[0]][file.file_path] = file
    return Seen(name, partitions, table.metadata.current_snapshot_id, found)


def _rebased(seen: Seen, table: Table, wanted: Mapping[str, frozenset[str]]) -> Seen:
    """The reading on the table's newest snapshot; raises `CommitConflict` where `wanted` was decided on another."""
    head = table.metadata.current_snapshot_id
    touched: frozenset[str] | None = (
        frozenset() if head == seen.snapshot else touched_since(table, seen.snapshot)
    )
    touched = seen.partitions if touched is None else touched & seen.partitions
    now = _seen(seen.name, table, touched & wanted.keys()).files if touched & wanted.keys() else {}
    stale = seen.stale | (touched - wanted.keys())
    changed = {p for p, files in now.items() if files.keys() != wanted[p]} | (seen.stale & wanted.keys())
    if changed:
        raise CommitConflict(
            f"{seen.name} {', '.join(sorted(changed)[:3])} was changed by another run meanwhile."
        )
    return Seen(seen.name, seen.partitions, head, {**seen.files, **now}, stale)


def touched_since(table: Table, base: int | None) -> frozenset[str] | None:
    """The partitions in which snapshots since `base` added or removed files; None where `base` is not among them."""
    metadata, touched = table.metadata, set[str]()
    snapshot = metadata.current_snapshot()
    while snapshot is not None and snapshot.snapshot_id != base:
        for manifest in snapshot.manifests(table.io):
            if manifest.added_snapshot_id == snapshot.snapshot_id:
                entries = manifest.fetch_manifest_entry(table.io, discard_deleted=False)
                touched |= {str(e.data_file.partition[0]) for e in entries if e.status in CHANGES}
        parent = snapshot.parent_snapshot_id
        snapshot = metadata.snapshot_by_id(parent) if parent is not None else None
        if snapshot is None:
            return frozenset(touched) if base is None and parent is None else None
    return frozenset(touched)


def _data_file(file: IcebergFile) -> DataFile:
    return DataFile(file.file_path, str(file.partition[0]), file.record_count, file.file_size_in_bytes)


def table_location(settings: Settings, zone: str, dataset: str) -> str:
    """The table's folder as an Iceberg location URI."""
    url = settings.zone_url(zone)
    return f"{'' if settings.is_s3 else 'file://'}{url}/{dataset}"


def open_catalog(settings: Settings) -> Catalog:
    """The SQL catalog (SQLite by default, any SQLAlchemy URI) or the AWS Glue Data Catalog."""
    config: dict[str, Any] = (
        {"type": "glue", "glue.max-retries": GLUE_RETRIES}
        if settings.catalog == "glue"
        else {"type": "sql", "uri": settings.catalog}
    )
    if settings.catalog.startswith("sqlite:///"):
        settings.home.mkdir(parents=True, exist_ok=True)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if settings.is_s3 and endpoint:
        config["s3.endpoint"] = endpoint
    for key, variable in (
        ("s3.access-key-id", "AWS_ACCESS_KEY_ID"),
        ("s3.secret-access-key", "AWS_SECRET_ACCESS_KEY"),
        ("s3.session-token", "AWS_SESSION_TOKEN"),
        ("s3.region", "AWS_REGION"),
    ):
        if settings.is_s3 and os.environ.get(variable):
            config[key] = os.environ[variable]
    config["warehouse"] = table_location(settings, "curated", "").rstrip("/")
    if settings.catalog == "glue" and os.environ.get(
        "AWS_REGION"
    ):  # boto3 itself reads AWS_DEFAULT_REGION only
        config["glue.region"] = os.environ["AWS_REGION"]
    if settings.catalog != "glue":
        config["init_catalog_tables"] = "false"  # pyiceberg's look-then-create fails when two open a new lake
    catalog = load_catalog("lake", **config)
    if isinstance(catalog, SqlCatalog):
        _ensure_catalog_tables(catalog)
    return catalog


def _ensure_catalog_tables(catalog: SqlCatalog) -> None:
    """Create what is absent of the SQL catalog's own tables; others may do the same at this moment."""
    for table in SqlCatalogBaseTable.metadata.sorted_tables:
        # Postgres may still let two creators collide on its own unique index: then the other was first.
        with suppress(IntegrityError), catalog.engine.begin() as connection:
            connection.execute(CreateTable(table, if_not_exists=True))
