"""Small texts in shared files: creating a file for each costs more than everything else that is done to it.

A `Piece` is where a text lies in such a file; it is read like a path. An engine that can only read files gets
one of its own, made when it is asked for.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Self

from lake_pipeline.formats.remote import Remote

SMALL = 1024 * 1024  # bytes below which a text is a piece
PACK_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """A text within a shared file. own: the path it has where it must be a file by itself."""

    shared: Path
    offset: int
    length: int
    own: Path

    def read_bytes(self) -> bytes:
        with self.shared.open("rb", buffering=0) as file:
            return self.read_from(file)

    def read_from(self, file: BinaryIO | io.FileIO) -> bytes:
        """The text, from its shared file."""
        file.seek(self.offset)
        text = file.read(self.length)
        assert text is not None
        assert len(text) == self.length, f"{self.shared} is shorter than it was"
        return text

    def open(self, mode: str = "r", *, encoding: str = "utf-8", newline: str | None = None) -> IO[Any]:
        """The text as a file that is read; it takes what `Path.open` takes, as far as this project uses it."""
        binary = io.BytesIO(self.read_bytes())
        return binary if "b" in mode else io.TextIOWrapper(binary, encoding=encoding, newline=newline)


Text = Path | Piece | Remote


def on_disk(text: Text) -> Path:
    """A file that holds the text and nothing else."""
    if isinstance(text, Path):
        return text
    if isinstance(text, Remote):
        return text.fetched()
    if not text.own.exists():
        text.own.write_bytes(text.read_bytes())
    return text.own


def size_of(text: Text) -> int:
    """The text's length in bytes."""
    return text.stat().st_size if isinstance(text, Path) else text.length


def read_pieces(pieces: Iterable[Piece]) -> Iterator[bytes]:
    """The text of each piece: a shared file is opened once for all pieces that follow one another in it."""
    current, file = None, None
    with ExitStack() as stack:
        for piece in pieces:
            if file is None or piece.shared != current:
                stack.close()
                current, file = piece.shared, stack.enter_context(piece.shared.open("rb", buffering=0))
            yield piece.read_from(file)


class Packs:
    """Shared files of bounded size below a folder, which several threads append to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._path, self._size, self._count = folder, PACK_BYTES, 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, text: bytes, own: Path) -> Piece:
        """Append a text. It can be read once this is closed."""
        with self._lock:
            if self._size + len(text) > PACK_BYTES:
                self._next()
            assert self._file is not None
            self._file.write(text)
            piece = Piece(self._path, self._size, len(text), own)
            self._size += len(text)
            return piece

    def _next(self) -> None:
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / f"{self._count}.pack"
        self._file = self._path.open("xb", buffering=SMALL)
        self._size, self._count = 0, self._count + 1

    def close(self) -> None:
        """Write what is not written yet."""
        if self._file is not None:
            self._file.close()
        self._file, self._size = None, PACK_BYTES
