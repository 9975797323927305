"""Some columns of a Parquet file that is far away: only their bytes are read."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from lake_pipeline.storage.objects import ObjectStore


def fetch_columns(store: ObjectStore, key: str, folder: Path, names: Iterable[str]) -> Path:
    """A local Parquet file of the columns of a data file that are among `names`, in lower case; or the file itself.

    One that has none of them, or that is on this machine, is taken whole.
    """
    wanted = set(names)
    if store.local:
        return store.fetch(key, folder)
    file = pq.ParquetFile(Remote(store, key))
    found = [name for name in file.schema_arrow.names if name.lower() in wanted]
    if not found:
        return store.fetch(key, folder)
    target = folder / "columns" / key
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    with pq.ParquetWriter(part, file.schema_arrow.empty_table().select(found).schema) as kept:
        for group in range(file.num_row_groups):
            kept.write_table(file.read_row_group(group, columns=found))
    part.replace(target)
    return target


class Remote(io.RawIOBase):
    """An object as a file of which what is asked for is read, and no more."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store, self._key, self._at = store, key, 0
        self._size = store.head(key).size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._at + size, self._size)
        found = self._store.read_range(self._key, self._at, end) if end > self._at else b""
        self._at += len(found)
        return found
