"""The files that a dataset was read from, as the rules on files see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class File(Protocol):
    """What rules read of a file. Checksums are hexadecimal; one that is not known is None."""

    @property
    def uri(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def modified(self) -> datetime: ...

    @property
    def sha256(self) -> str | None: ...

    @property
    def sha1(self) -> str | None: ...

    @property
    def md5(self) -> str | None: ...

    @property
    def etag(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file by its address, size in bytes, time of modification (UTC when naive) and known checksums.

    >>> FileInfo("s3://bucket/a.csv", 10, datetime(2026, 1, 1)).sha256 is None
    True
    """

    uri: str
    size: int
    modified: datetime
    sha256: str | None = None
    sha1: str | None = None
    md5: str | None = None
    etag: str | None = None


def below(files: Sequence[File], path: str) -> list[File]:
    """The files that a path names: the file itself, or those in the folder of that address.

    >>> files = [FileInfo("s3://b/in/a.csv", 1, datetime(2026, 1, 1))]
    >>> [len(below(files, path)) for path in ("S3://b/in/", "s3://b/in", "s3://b/in/a.csv", "s3://b/i")]
    [1, 1, 1, 0]
    """
    wanted = normal(path).rstrip("/")
    return [f for f in files if normal(f.uri) == wanted or normal(f.uri).startswith(wanted + "/")]


def normal(uri: str) -> str:
    """An address with its scheme in lower case, ``s3a`` and ``s3n`` being ``s3``."""
    scheme, separator, rest = uri.partition("://")
    lowered = scheme.lower()
    return f"{'s3' if lowered in ('s3a', 's3n') else lowered}{separator}{rest}" if separator else uri
