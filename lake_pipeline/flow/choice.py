"""Which engine does a piece of work, and why: as the dataset says, or by the size of the work.

The limits of ``engine: auto`` are in `defs.yaml`. What decides is the bytes that a step reads: validating
reads the objects that have no receipt yet, curating those whose rows count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from lake_pipeline.datasets.config import DatasetConfig
from lake_pipeline.flow.state import Entry
from lake_pipeline.machine import USUAL

COMPRESSED = (".gz", ".zst", ".zstd", ".parquet")
INFLATED = 4.0  # bytes of text, of one byte of compressed or columnar data
SPILLED = 16  # bytes held at once, of one byte of DuckDB's memory: the others are on disk
IN_MEMORY = 0.25  # bytes that an embedded engine holds at once, of one byte of text: it streams, and spills


@dataclass(frozen=True)
class Size:
    """How much a step reads. memory: an estimate of the bytes that one machine would hold at once."""

    bytes: int = 0
    files: int = 0
    memory: int = 0

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Self:
        """The size of some landed objects."""
        found = list(entries)
        text = sum(e.size * (INFLATED if e.key.lower().endswith(COMPRESSED) else 1.0) for e in found)
        return cls(sum(e.size for e in found), len(found), int(text * IN_MEMORY))

    def __str__(self) -> str:
        return f"{in_words(self.bytes)} in {self.files} {'file' if self.files == 1 else 'files'}"


@dataclass(frozen=True)
class Choice:
    """An engine, and why it."""

    engine: str
    reason: str


@dataclass(frozen=True)
class Ran:
    """What did a step, as its metadata says. facts: of a job run: its id, DPU-hours, price."""

    engine: str
    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def choose(config: DatasetConfig, size: Size, memory: int = USUAL) -> Choice:
    """The engine for a step of this size. memory: bytes that the embedded engine has.

    >>> from lake_pipeline.datasets.config import DatasetConfig
    >>> auto = DatasetConfig(landing="x/", engine="auto")
    >>> choose(auto, Size(bytes=412_000_000, files=14, memory=103_000_000)).reason
    '412 MB in 14 files → duckdb'
    >>> choose(auto, Size(bytes=90_000_000_000, files=14)).reason
    '90 GB in 14 files → glue (more than 10 GB)'
    """
    if config.engine != "auto":
        return Choice(config.engine, f"{size} → {config.engine} (engine: {config.engine})")
    most = config.auto
    held = most.memory if most.memory is not None else memory * SPILLED
    for value, limit, words in (
        (size.bytes, most.bytes, in_words(most.bytes)),
        (size.files, most.files, f"{most.files} files"),
        (size.memory, held, f"{in_words(held)} of memory by estimate"),
    ):
        if value > limit:
            return Choice(most.above, f"{size} → {most.above} (more than {words})")
    return Choice("duckdb", f"{size} → duckdb")


def in_words(size: int) -> str:
    """Bytes for people.

    >>> in_words(412_345_678), in_words(999), in_words(1_500_000_000)
    ('412 MB', '999 bytes', '1.5 GB')
    """
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            value = size / unit
            return f"{value:.0f} {name}" if value >= 10 or value == int(value) else f"{value:.1f} {name}"
    return f"{size} bytes"
