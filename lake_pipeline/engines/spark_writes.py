"""Write rows to Parquet on Spark's executors, and tell the driver what was written, not the rows.

Spark's own writers leave the naming, the counting and the commit of files to Hadoop's committers, of
which S3 has several. Here a task writes its files by itself; those of a task that succeeded count, each
named by its content, so a task that is repeated makes nothing that is not the same again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake_pipeline.engines.engine import Entries
from lake_pipeline.engines.parts import OutputFile
from lake_pipeline.engines.rows import REJECTED, RESCUED
from lake_pipeline.formats.packs import Text
from lake_pipeline.formats.remote import Remote, fetching, shared, store_of

GROUP_ROWS = 122_880
DICTIONARY_BYTES = (
    64 * 1024
)  # of a column's values in a row group; beyond it they hardly repeat, and cost as much again
REPORT = pa.schema([("report", pa.string())])
BROKEN = 0  # the `_record` of a file that cannot be read


@dataclass(frozen=True)
class Target:
    """Where tasks put files: a folder that all see, or one of a store (its root) for each zone."""

    folder: str
    roots: dict[str, str] = field(default_factory=dict)

    @property
    def scratch(self) -> str | None:
        """Where tasks make files: there already, if all see it."""
        return None if self.roots else self.folder

    def keep(self, path: Path, zone: str = "ops") -> Text:
        """A file of this task, where others can read it."""
        if self.roots:
            return shared(path, self.roots[zone], self.folder)
        return path.replace(Path(self.folder) / path.name)

    def clear(self) -> None:
        """Remove what is still below the folder of a store; one of this machine is its owner's."""
        for root in set(self.roots.values()):
            store = store_of(root)
            if keys := [o.key for o in store.list(self.folder)]:
                store.delete(keys)


@dataclass(frozen=True)
class Written:
    """A file of rows, as its task reports it.

    counts: rows by source. rescued: by source and column, the rows that keep original text. broken: the
    sources whose records could not be told apart.
    """

    file: OutputFile
    rejected: bool
    counts: dict[str, int]
    rescued: dict[str, dict[str, int]]
    broken: tuple[str, ...]


@dataclass(frozen=True)
class Writer:
    """Writes the rows of a task, apart by partition and by whether they are rejected.

    names: of the columns. partition: of all rows, which then come without it.
    """

    target: Target
    zone: str
    names: tuple[str, ...]
    partition: str = ""
    make: Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]] | None = None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with fetching(self.target.scratch) as folder:
            files: dict[tuple[str, bool], Growing] = {}
            named = (self._named(batch) for batch in batches)
            for batch in self.make(named) if self.make else named:
                for key, rows in apart(pa.Table.from_batches([batch])):
                    if key not in files:
                        files[key] = Growing(folder / str(len(files)), rows.schema)
                    files[key].write(rows)
            for (partition, rejected), file in files.items():
                report = file.close(self.target, "ops" if rejected else self.zone, partition, rejected)
                yield pa.record_batch([[report]], schema=REPORT)

    def _named(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [*batch.columns]
        if self.partition:
            columns.insert(self.names.index("_partition"), pa.repeat(self.partition, batch.num_rows))
        return pa.RecordBatch.from_arrays(columns, names=list(self.names))


def apart(rows: pa.Table) -> Iterator[tuple[tuple[str, bool], pa.Table]]:
    """The rows of each (partition, whether rejected), without the column that says the latter."""
    for flag in pc.unique(rows[REJECTED]).to_pylist() if REJECTED in rows.column_names else [False]:
        some = rows
        if REJECTED in rows.column_names:
            some = rows.filter(pc.equal(rows[REJECTED], flag)).drop_columns([REJECTED])
        partitions = pc.unique(some["_partition"]).to_pylist()
        for partition in partitions:
            mine = some if len(partitions) == 1 else some.filter(pc.equal(some["_partition"], partition))
            yield (partition, flag), mine


class Growing:
    """A Parquet file that rows are appended to, and what is in it."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._writer = pq.ParquetWriter(
            path, schema, compression="zstd", dictionary_pagesize_limit=DICTIONARY_BYTES
        )
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self._counts: Counter[str] = Counter()
        self._rescued: dict[str, Counter[str]] = {}
        self._broken: set[str] = set()

    def write(self, rows: pa.Table) -> None:
        """Append rows."""
        self._waiting.append(rows)
        self._rows += rows.num_rows
        for value in pc.value_counts(rows["_source"]).to_pylist() if "_source" in rows.column_names else ():
            self._counts[value["values"]] += value["counts"]
        if "_record" in rows.column_names and (lost := rows.filter(pc.equal(rows["_record"], BROKEN))):
            self._broken.update(lost["_source"].to_pylist())
        if RESCUED in rows.column_names and rows[RESCUED].null_count < rows.num_rows:
            self._count_rescued(rows.filter(pc.is_valid(rows[RESCUED])))
        if sum(t.num_rows for t in self._waiting) >= GROUP_ROWS:
            self._flush()

    def _count_rescued(self, rows: pa.Table) -> None:
        for source, text in zip(rows["_source"].to_pylist(), rows[RESCUED].to_pylist(), strict=True):
            counts = self._rescued.setdefault(source, Counter())
            counts.update(name for name, value in json.loads(text).items() if value is not None)

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting).combine_chunks())
            self._waiting = []

    def close(self, target: Target, zone: str, partition: str, rejected: bool) -> str:
        """Finish the file and keep it; the report of it."""
        self._flush()
        self._writer.close()
        with self._path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        named = self._path.with_name(f"{content}.parquet")
        self._path.replace(named)
        return json.dumps(
            {
                "at": place_of(target.keep(named, zone)),
                "partition": partition,
                "rows": self._rows,
                "content": content,
                "rejected": rejected,
                "counts": self._counts,
                "rescued": {} if rejected else {s: dict(sorted(c.items())) for s, c in self._rescued.items()},
                "broken": sorted(self._broken),
            }
        )


def place_of(text: Text) -> Any:
    """Where a file is, as JSON."""
    return [text.root, text.key, text.length] if isinstance(text, Remote) else str(text)


def written(report: str) -> Written:
    """A task's report of a file."""
    said = json.loads(report)
    at = said["at"]
    path = Path(at) if isinstance(at, str) else Remote(*at)
    file = OutputFile(path, said["partition"], said["rows"], said["content"])
    return Written(file, said["rejected"], said["counts"], said["rescued"], tuple(said["broken"]))


@dataclass(frozen=True)
class EntryMaker:
    """Makes entries of rows within a task, batch by batch."""

    entries: Entries
    schema: pa.Schema

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            made = list(self.entries(batch))
            if made:
                yield pa.RecordBatch.from_pylist(made, schema=self.schema)
