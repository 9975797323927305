"""Iceberg tables of the lake: the one place where rows become visible.

A table is partitioned by ``_partition``; its data files hold one partition each. A commit replaces
files by files in one snapshot, so a reader sees the state before or the state after it, and of two
commits that replace the same partition one wins and the other gets `CommitConflict`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
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
from pyiceberg.table import Table
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from lake_pipeline.errors import Terminal, Transient
from lake_pipeline.settings import Settings
from lake_pipeline.storage.claim import claim
from lake_pipeline.storage.failures import opening, passing
from lake_pipeline.storage.objects import ObjectStore

PARTITION = "_partition"
# pyiceberg stops pruning manifests by an IN list above this many literals; then all files are planned.
PRUNABLE = 200
# pyiceberg's client of Glue repeats ten times; whatever lasts longer is for Dagster's retry policy.
GLUE_RETRIES = 3


class CommitConflict(Transient):
    """Somebody else changed the same partition of the table meanwhile: look again, then decide."""


class IncompatibleSchema(Terminal):
    """The table has a column of a type that the new one cannot be stored in."""


@dataclass(frozen=True)
class DataFile:
    """One data file of a table's snapshot. `size` is in bytes."""

    uri: str
    partition: str
    rows: int
    size: int


class Tables:
    """The lake's Iceberg catalog: ``validated.<ds>``, ``curated.<ds>``, ``quarantine.<ds>``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._catalog: Catalog | None = None

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

    def replace(
        self,
        name: str,
        schema: pa.Schema,
        *,
        drop: Iterable[str],
        add: Iterable[str],
        properties: Mapping[str, str],
    ) -> int:
        """In one snapshot, take the files `drop` (URIs) out and put the Parquet files `add` (URIs) in.

        Returns the id of the table's snapshot afterwards. Files to drop that are gone, and files to
        add that are there, are passed over, so a commit can be repeated. Raises `CommitConflict`.
        """
        with passing(name):
            return self._replace(name, schema, set(drop), set(add), properties)

    def _replace(
        self, name: str, schema: pa.Schema, gone: set[str], new: set[str], properties: Mapping[str, str]
    ) -> int:
        table = self._ensure(name, schema)
        current = {f.file_path: f for f in planned(table, None)}
        outgoing = [f for uri, f in current.items() if uri in gone and uri not in new]
        incoming = sorted(new - current.keys())
        if not outgoing and not incoming:
            return table.metadata.current_snapshot_id or 0
        try:
            with table.transaction() as tx, tx.update_snapshot(dict(properties)).overwrite() as snapshot:
                for file in outgoing:
                    snapshot.delete_data_file(file)
                for file in parquet_files_to_data_files(table.io, tx.table_metadata, iter(incoming)):
                    snapshot.append_data_file(file)
        except (ValidationException, CommitFailedException) as e:
            raise CommitConflict(f"{name} was changed by another writer: {e}") from e
        except (CommitStateUnknownException, SQLAlchemyError) as e:
            raise CommitConflict(f"{name}: the catalog did not say whether the commit happened: {e}") from e
        return table.metadata.current_snapshot_id or 0

    def _ensure(self, name: str, schema: pa.Schema) -> Table:
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
        except CommitFailedException as e:
            raise CommitConflict(f"{name}: its schema was changed by another writer: {e}") from e
        return table

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
