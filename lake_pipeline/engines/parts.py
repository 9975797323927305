"""What an engine is given to validate, and what it answers: values, the same for every engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import ibis

from lake_pipeline.datasets.config import Format
from lake_pipeline.formats.packs import Text


@dataclass(frozen=True)
class PartFile:
    """One spooled file, or one piece of it.

    before: how many records of the object precede it; in a pack, less those of other files that do.
    """

    path: Text
    source: str
    partition: str
    skip_header: bool = False
    before: int = 0


@dataclass(frozen=True)
class Part:
    """Files of one layout that are read in one scan: the same format, columns and types.

    columns: the raw columns in the file's order, with their types. longest: the longest record in bytes.
    pack: one file with the records of all `files`, one after another and without headers, each line led by
    the index of its file and a delimiter.
    """

    files: tuple[PartFile, ...]
    format: Format
    columns: ibis.Schema
    longest: int = 0
    pack: Path | None = None

    @property
    def partition(self) -> str:
        """The partition of all its files, or "" where there are several."""
        found = {f.partition for f in self.files}
        return found.pop() if len(found) == 1 else ""


@dataclass(frozen=True)
class OutputFile:
    """A Parquet file of rows, all of one partition. content: the hash of its bytes, where it is known already."""

    path: Text
    partition: str
    rows: int
    content: str = ""


@dataclass(frozen=True)
class PartResult:
    """What became of a part.

    rejected: Parquet files of rejected rows, from which the engine explains them. counts: by source,
    (good rows, rejected rows). coerced: by source and column, the good rows with rescued
    text. broken: sources whose records the engine could not tell apart; nothing else of the result
    counts then. error: what the engine said of them. schema: of the files of good rows.
    """

    good: tuple[OutputFile, ...] = ()
    rejected: tuple[Text, ...] = ()
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    coerced: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    error: str = ""
