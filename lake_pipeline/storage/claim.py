"""A lake and its catalog belong together: the lake keeps which catalog has its tables, and refuses another.

Otherwise a command in another folder, or on another machine, would open an empty catalog and find that all is
published already, in tables that do not exist. A database is known by an id that is written into it, so that it
may be moved; AWS Glue's catalog by its name.
"""

from __future__ import annotations

import json
import platform
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy import inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from lake_pipeline.errors import Terminal
from lake_pipeline.settings import Settings
from lake_pipeline.storage.objects import ObjectMissing, ObjectStore

KEY = "catalog.json"
GLUE = "glue"
TABLE = "lake_pipeline_catalog"  # in the database, beside the catalog's own


class AnotherCatalog(Terminal):
    """The lake's tables are in another catalog than the one that is set."""


def claim(ops: ObjectStore, settings: Settings, catalog: Catalog) -> None:
    """Make sure that this catalog is the lake's, whose first one it becomes; raises `AnotherCatalog`."""
    known, mine = read(ops), identity(catalog)
    if known is None:
        if not any(catalog.list_namespaces()) and has_published(ops):
            raise AnotherCatalog(refusal(settings, "one that this lake used before"))
        mine = mine or mark(catalog)
        ops.create(KEY, json.dumps(described(settings, mine), indent=1).encode())
        known = read(ops)
    if known is None or known["id"] != mine:
        raise AnotherCatalog(refusal(settings, known["what"] if known else "unknown"))


def has_published(ops: ObjectStore) -> bool:
    """Whether readers saw any row of this lake, which must then be in some catalog's table."""
    found = (json.loads(ops.read(o.key)) for o in ops.list("outcomes"))
    return any(outcome["state"] == "published" and outcome["files"] for outcome in found)


def read(ops: ObjectStore) -> dict[str, Any] | None:
    """What the lake keeps of its catalog; None before its first use."""
    try:
        found: dict[str, Any] = json.loads(ops.read(KEY))
    except ObjectMissing:
        return None
    return found


def described(settings: Settings, id_: str) -> dict[str, Any]:
    """What is kept: the id, and for people what it is, without a password."""
    return {"id": id_, "what": what(settings), "at": datetime.now(UTC).isoformat()}


def what(settings: Settings) -> str:
    """A catalog in words, without a password."""
    if settings.catalog == GLUE:
        return GLUE
    url = make_url(settings.catalog)
    shown = url.render_as_string(hide_password=True)
    return f"{shown} on {platform.node()}" if url.get_backend_name() == "sqlite" else shown


def refusal(settings: Settings, other: str) -> str:
    """What is wrong, and what to do."""
    return (
        f"The tables of {settings.root} are in another catalog: {other}. Here it would be {what(settings)}. "
        "Set LAKE_CATALOG to the lake's own (LAKE_HOME, or the folder in which a command runs, decides where the "
        "default one is). If that catalog is lost for good, register the tables in a new one and delete "
        f"{KEY} from the zone ops."
    )


def identity(catalog: Catalog) -> str | None:
    """The id of a catalog; None of a database that has none yet."""
    if not isinstance(catalog, SqlCatalog):
        return GLUE
    if not inspect(catalog.engine).has_table(TABLE):
        return None
    with catalog.engine.connect() as connection:
        row = connection.execute(text(f"SELECT id FROM {TABLE}")).first()
    return str(row[0]) if row else None


def mark(catalog: Catalog) -> str:
    """Write an id into a database that has none; returns the one that is there then."""
    assert isinstance(catalog, SqlCatalog)
    make = f"CREATE TABLE IF NOT EXISTS {TABLE} (one INTEGER PRIMARY KEY, id VARCHAR(32) NOT NULL)"
    put = text(f"INSERT INTO {TABLE} (one, id) VALUES (1, :id)")
    with (
        suppress(IntegrityError),
        catalog.engine.begin() as connection,
    ):  # another may do the same at this moment
        connection.execute(text(make))
    with suppress(IntegrityError), catalog.engine.begin() as connection:
        connection.execute(put, {"id": uuid.uuid4().hex})
    found = identity(catalog)
    assert found is not None
    return found
