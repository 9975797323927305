"""Files of a run that lie on shared storage, because the machine that made them is not the one that reads them.

A `Remote` is read like a path: it is fetched when it is opened, to the folder of the task that reads it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from lake_pipeline.storage import ObjectStore

_folder: ContextVar[Path | None] = ContextVar("fetched", default=None)


@contextmanager
def fetching(inside: str | None = None) -> Iterator[Path]:
    """A folder for what is made and fetched within; it ends with the task."""
    with tempfile.TemporaryDirectory(prefix="lake-task-", dir=inside) as name:
        token = _folder.set(Path(name))
        try:
            yield Path(name)
        finally:
            _folder.reset(token)


@dataclass(frozen=True, slots=True)
class Remote:
    """An object of a run's own, of some bytes, below the root of a store."""

    root: str
    key: str
    length: int

    @property
    def uri(self) -> str:
        """The object's URI."""
        return store_of(self.root).uri(self.key)

    def fetched(self) -> Path:
        """The object as a file of this task."""
        folder = _folder.get()
        assert folder is not None, "nothing is fetched outside a task"
        return store_of(self.root).fetch(self.key, folder)

    def open(self, mode: str = "r", *, encoding: str | None = None, newline: str | None = None) -> IO[Any]:
        """The object as a file that is read; it takes what `Path.open` takes."""
        return self.fetched().open(mode, encoding=encoding, newline=newline)

    def read_bytes(self) -> bytes:
        return store_of(self.root).read(self.key)


def shared(path: Path, root: str, folder: str) -> Remote:
    """Put a file below a folder of a store, under a name that nothing else has."""
    key = f"{folder}/{path.parent.name}-{path.name}"
    store_of(root).write(key, path)
    return Remote(root, key, path.stat().st_size)


@lru_cache(maxsize=16)
def store_of(root: str) -> ObjectStore:
    """The store below a root; one for each process."""
    return ObjectStore(root)
