"""Objects of one zone, in a folder and on S3 alike, through obstore.

Keys are relative to the zone and are used exactly as they are: nothing is decoded or normalised.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore import exceptions as failures
from obstore.store import LocalStore, S3Store

from lake_pipeline.errors import Terminal, Transient
from lake_pipeline.storage import files

if TYPE_CHECKING:
    from obstore.auth.boto3 import Boto3CredentialProvider

# obstore has no exceptions of its own for most answers; listing has for none.
REFUSED = re.compile(r"status code: [34]\d\d\b|redirect without LOCATION")
PASSING = re.compile(r"status code: (?:408|409|429)\b|<Code>(?:RequestTimeout|SlowDown|Throttling\w*)</Code>")
# The client's own repeats of single requests; whatever lasts longer is for Dagster to repeat.
RETRIES: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
TIMEOUT = "300s"  # of one request
LOOK = "Look at LAKE_ROOT, the credentials (AWS_…, see docs/guides/s3.md) and AWS_ENDPOINT_URL."
CHUNK_BYTES = 8 * 1024 * 1024  # obstore's own streams are several times slower than ranges
FILE_CHUNK_BYTES = 1024 * 1024  # of a file: new memory and the way to it cost more than another call


class ObjectMissing(Terminal):
    """The object does not exist."""


class ObjectChanged(Transient):
    """The object is no longer the one that was listed: repeat, so that it is listed again."""


class StorageUnavailable(Transient):
    """The storage did not answer as it should: repeat later."""


class StorageRefused(Terminal):
    """The storage refused: credentials, permissions, an illegal key."""


@dataclass(frozen=True)
class ObjectMeta:
    """One object as listed. `size` is in bytes, `modified` in UTC; `version` is None in an unversioned bucket."""

    key: str
    size: int
    etag: str
    version: str | None
    modified: datetime


class ObjectStore:
    """The objects below one root (a folder or an ``s3://bucket/prefix`` URL)."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self.local = not root.startswith("s3://")
        self._store = _local(self.root) if self.local else _s3(self.root)

    def __reduce__(self) -> tuple[type[ObjectStore], tuple[str]]:
        """By its root: another process has clients and credentials of its own."""
        return ObjectStore, (self.root,)

    def uri(self, key: str) -> str:
        """The object's URI: ``file:///…`` or ``s3://…``, as Iceberg and people use it."""
        return f"{'file://' if self.local else ''}{self.root}/{key}"

    def key(self, uri: str) -> str:
        """The key of a URI that `uri` made."""
        return uri.removeprefix("file://").removeprefix(self.root + "/")

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectMeta]:
        """Every object whose key starts with the folder `prefix` and is after the key `after`, in no order."""
        folder = prefix.rstrip("/") or None
        with translated(prefix):
            for batch in obstore.list(self._store, prefix=folder, offset=after or None, chunk_size=1000):
                yield from (_meta(entry) for entry in batch)

    def head(self, key: str) -> ObjectMeta:
        """The object's metadata; raises `ObjectMissing`."""
        with translated(key):
            return _meta(obstore.head(self._store, key))

    def read(self, key: str) -> bytes:
        """The whole object; raises `ObjectMissing`."""
        with translated(key):
            return bytes(obstore.get(self._store, key).bytes())

    def stream(self, meta: ObjectMeta) -> Iterator[bytes | memoryview]:
        """The object's bytes in chunks, pinned to the listed identity; raises `ObjectChanged`."""
        if self.local and (file := files.opened(f"{self.root}/{meta.key}", meta.etag)):
            yield from _chunks(file, meta)
            return
        pin: dict[str, Any] = {"version": meta.version} if meta.version else {"if_match": meta.etag}
        with translated(meta.key, pinned=True):
            for start in range(0, meta.size, CHUNK_BYTES):
                part = (start, min(start + CHUNK_BYTES, meta.size))
                options: Any = {**pin, "range": part}
                yield memoryview(obstore.get(self._store, meta.key, options=options).bytes())

    def write(self, key: str, body: bytes | Path) -> None:
        """Put the object, replacing what is there."""
        with translated(key):
            obstore.put(self._store, key, body)

    def adopt(self, key: str, file: Path) -> None:
        """Put a file of this process's own, which nobody changes any more: where both are files, as a link."""
        if not (self.local and files.linked(file, Path(self.root) / key)):
            self.write(key, file)

    def create(self, key: str, body: bytes) -> bool:
        """Put the object only if the key is free (a conditional write); return whether it was."""
        try:
            with translated(key):
                obstore.put(self._store, key, body, mode="create", use_multipart=False)
        except failures.AlreadyExistsError:
            return False
        return True

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """Some bytes of an immutable object of the lake, without that at `end`."""
        with translated(key):
            return bytes(obstore.get_range(self._store, key, start=start, end=end))

    def exists(self, key: str) -> bool:
        """Whether the object exists."""
        try:
            self.head(key)
        except ObjectMissing:
            return False
        return True

    def copy_from(self, source: ObjectStore, meta: ObjectMeta, key: str, scratch: Path) -> None:
        """Copy an object of another zone, pinned to its identity; nothing happens where it is already."""
        if self.exists(key):
            return
        with tempfile.NamedTemporaryFile(dir=scratch) as out:
            for chunk in source.stream(meta):
                out.write(chunk)
            out.flush()
            self.write(key, Path(out.name))

    def move(self, source: str, target: str) -> None:
        """Give an object of the lake's own another name, where it is; what has the target's name stays."""
        if not self.exists(target):
            with translated(source):
                obstore.copy(self._store, source, target)
        self.delete([source])

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects of the lake's own (staged files); raw objects are never deleted."""
        with translated(keys[0] if keys else ""):
            obstore.delete(self._store, [*keys])

    def fetch(self, key: str, folder: Path) -> Path:
        """A local path that holds an immutable object of the lake: the file itself, or a copy in `folder`.

        Only for objects whose names follow from their content (data files); landed objects are read
        with `stream`, which pins them.
        """
        if self.local:
            self.head(key)
            return Path(self.root) / key
        target = folder / key
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f"{target.name}.{os.getpid()}.part")
            with part.open("wb") as out:
                for chunk in self.stream(self.head(key)):
                    out.write(chunk)
            part.replace(target)
        return target


def _chunks(file: io.FileIO, meta: ObjectMeta) -> Iterator[bytes]:
    with file:
        for start in range(0, meta.size, FILE_CHUNK_BYTES):
            chunk = file.read(min(FILE_CHUNK_BYTES, meta.size - start))
            if files.etag_of(file) != meta.etag:
                raise ObjectChanged(
                    f'"{meta.key}" was changed while it was read; run again to take the new one.'
                )
            yield chunk


def _meta(entry: Mapping[str, object]) -> ObjectMeta:
    return ObjectMeta(
        key=str(entry["path"]),
        size=int(str(entry["size"])),
        etag=str(entry["e_tag"] or ""),
        version=str(entry["version"]) if entry["version"] else None,
        modified=entry["last_modified"],  # type: ignore[arg-type]
    )


def _local(root: str) -> LocalStore:
    try:
        return LocalStore(root, mkdir=True)
    except OSError as e:
        raise StorageRefused(
            f'The folder "{root}" cannot be used: {first_line(e)}. LAKE_ROOT must name a folder that can be written.'
        ) from e


def _s3(root: str) -> S3Store:
    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    return S3Store(
        bucket,
        prefix=prefix or None,
        client_options={"allow_http": endpoint.startswith("http://"), "timeout": TIMEOUT},
        credential_provider=_profile() if os.environ.get("AWS_PROFILE") else None,
        config={"endpoint": endpoint} if endpoint else None,
        retry_config=RETRIES,
    )


def _profile() -> Boto3CredentialProvider:
    """Profiles and SSO are boto3's to resolve; obstore itself knows keys, roles and metadata services."""
    from obstore.auth.boto3 import Boto3CredentialProvider

    return Boto3CredentialProvider()


@contextmanager
def translated(key: str, pinned: bool = False) -> Iterator[None]:
    """Turn obstore's exceptions into ours; a failure of a conditional write passes through."""
    try:
        yield
    except (FileNotFoundError, failures.NotFoundError) as e:
        if pinned:
            raise ObjectChanged(f'"{key}" disappeared after it was listed.') from e
        raise ObjectMissing(f'There is no object "{key}".') from e
    except failures.PreconditionError as e:
        raise ObjectChanged(
            f'"{key}" was overwritten after it was listed; run again to take the new one.'
        ) from e
    except failures.AlreadyExistsError:
        raise
    except (failures.PermissionDeniedError, failures.UnauthenticatedError) as e:
        raise StorageRefused(f'The storage refused access to "{key}": {first_line(e)}. {LOOK}') from e
    except (failures.InvalidPathError, ValueError) as e:
        raise StorageRefused(f'"{key}" cannot be a key: {first_line(e)}') from e
    except failures.BaseError as e:
        if REFUSED.search(str(e)) and not PASSING.search(str(e)):
            raise StorageRefused(f'The storage refused access to "{key}": {first_line(e)}. {LOOK}') from e
        raise StorageUnavailable(f'The storage failed on "{key}": {first_line(e)}. {LOOK}') from e


def first_line(error: Exception) -> str:
    """Obstore's messages carry a Rust debug dump below their first line."""
    return str(error).split("\n", 1)[0]
