"""What the flow asks of an engine: rows by Ibis expressions, and functions run where the files are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from lake_pipeline.engines.casts import Dialect, Expr
from lake_pipeline.engines.parts import OutputFile, Part, PartResult
from lake_pipeline.engines.rows import RowRules
from lake_pipeline.errors import Terminal
from lake_pipeline.formats.packs import Text, on_disk
from lake_pipeline.storage import ObjectStore

T = TypeVar("T")
R = TypeVar("R")


class QueryFailed(Terminal):
    """The engine cannot compute what it was asked for, with the data it met."""


class JsonTexts(Protocol):
    """What is to be known of JSON text before its columns are."""

    def json_structure(self, files: Sequence[Path]) -> list[Any]:
        """The keys and value types that the JSON lines of each file have, e.g. ``{"a": "UBIGINT"}``."""

    def json_array_to_lines(self, source: Path, target: Path) -> int:
        """Rewrite a JSON array of objects as JSON Lines; their number. Raises ValueError for other JSON."""


@dataclass(frozen=True)
class Place:
    """Where a function looks into files.

    folder: for files that it makes; keep: makes one of them readable to later steps. packs: whether small
    files may share one (`lake_pipeline.formats.packs`).
    """

    folder: Path
    json: JsonTexts
    keep: Callable[[Path], Text]
    packs: bool = False


class KeyCounts(NamedTuple):
    """The keys of one group: how many there are, and whether one of them occurs twice or more often."""

    group: str
    keys: int
    twice: bool


def schemas_in(files: list[Text], _: Place) -> list[pa.Schema]:
    """The columns of Parquet files; see `Engine.near`."""
    return [pq.read_schema(on_disk(f)).remove_metadata() for f in files]


# From rejected rows with their reasons to entries of the quarantine.
Entries = Callable[[pa.RecordBatch], Iterable[dict[str, Any]]]


class Engine(Protocol):
    """DuckDB in the run's process, or Spark wherever it runs.

    workers: statements that may run beside one another. gathers: whether all files of a layout are one
    part, whose rows the engine distributes by itself.
    """

    @property
    def dialect(self) -> Dialect: ...

    @property
    def folder(self) -> Path: ...

    @property
    def workers(self) -> int: ...

    @property
    def gathers(self) -> bool: ...

    def close(self) -> None:
        """Free what the engine holds."""

    def ibis(self) -> Any:
        """The Ibis backend."""

    def translated(self) -> AbstractContextManager[None]:
        """Turn the engine's exceptions into ours (`QueryFailed`), where a user's own expressions are run."""

    def near(self, function: Callable[[list[T], Place], list[R]], items: Sequence[T]) -> list[R]:
        """What a function makes of the items, in their order, some at a time, where their files can be read."""

    def reach(self, store: ObjectStore, uri: str) -> Text:
        """A data file of the lake, as `table` takes it."""

    def validate(self, part: Part, rules: RowRules) -> PartResult:
        """Type and judge every row of a part; good rows to Parquet, rejects with reasons."""

    def rejects(
        self, part: Part, rules: RowRules, rejected: Sequence[Text], entries: Entries, schema: pa.Schema
    ) -> Iterator[list[dict[str, Any]] | OutputFile]:
        """The rejected rows with their reasons as entries of `schema`: to be written, or files that are."""

    def elsewhere(self, part: Part, rules: RowRules, rejected: Sequence[Text]) -> dict[str, int]:
        """By source: how many of the rejected rows belong to another partition."""

    def table(self, backend: Any, files: Sequence[Text]) -> Expr:
        """Parquet files as one table; columns that some files lack are NULL there."""

    def arrow(self, backend: Any, table: pa.Table) -> Expr:
        """A small Arrow table as a table of the engine."""

    def keep(self, backend: Any, table: Expr) -> Expr:
        """The table's rows, computed once."""

    def repeats(self, hashed: Expr, by: Sequence[str]) -> list[KeyCounts]:
        """How often keys occur. hashed: their 64-bit hashes, beside the columns `by` (one at most) to count them by."""

    def copy(
        self, backend: Any, table: Expr, zone: str, partitions: Sequence[str], values: Mapping[str, Any]
    ) -> list[OutputFile]:
        """Write a table to Parquet, for a zone, at least a file per value of ``_partition``.

        partitions: all values that ``_partition`` can have. values: all that other text columns can have,
        where they are few.
        """
