"""Spark as an engine: what is Spark's own is here and in the files beside it.

All rows stay with the executors; what comes to the driver is what was written, and counts. Executors read
landed objects and write data files by this project's own code; see `spark_scans.py` and `spark_writes.py`.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa

from lake_pipeline.engines.casts import Expr
from lake_pipeline.engines.engine import Entries, KeyCounts, Place, R, T, schemas_in
from lake_pipeline.engines.parts import OutputFile, Part, PartResult
from lake_pipeline.engines.rows import LINEAGE, RESCUED, RowRules, explained, validated
from lake_pipeline.engines.spark_dialect import SparkDialect
from lake_pipeline.engines.spark_errors import SparkLost, in_our_words
from lake_pipeline.engines.spark_keys import Blocks, counts
from lake_pipeline.engines.spark_scans import ParquetReader, Reader, arrow_schema, describe, spark_columns
from lake_pipeline.engines.spark_session import lend_environment
from lake_pipeline.engines.spark_writes import (
    EntryMaker,
    Target,
    Writer,
    Written,
    place_of,
    written,
)
from lake_pipeline.errors import LakeError
from lake_pipeline.formats.json_texts import PlainJson
from lake_pipeline.formats.packs import Text, size_of
from lake_pipeline.formats.remote import Remote, fetching
from lake_pipeline.storage import Lake, ObjectStore

if TYPE_CHECKING:  # Spark is an extra: this module can be imported without it
    from pyspark.sql import DataFrame, SparkSession

SETTINGS = {
    # As it is for RDDs: Spark keeps Python workers for each environment, and these settings are part of it.
    "spark.sql.execution.pyspark.udf.simplifiedTraceback.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.json.enablePartialResults": "false",
    "spark.sql.jsonGenerator.ignoreNullFields": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.mapKeyDedupPolicy": "LAST_WIN",
}
SHUFFLES = "spark.sql.shuffle.partitions"
OWN_SHUFFLES = 200  # Spark's default, whatever the data
SHUFFLE_BYTES = 16 * 1024 * 1024  # of Parquet, for a task of a shuffle
RAW = {"_partition": "string", "_source": "string", "_record": "int64", "_sound": "boolean"}
TIME = dt.Timestamp("UTC", 6)  # what every timestamp of the lake is; Ibis does not know the digits of Spark's
TASK_BYTES = 32 * 1024 * 1024
ZONES = ("ops", "validated", "curated", "quarantine")


@dataclass(frozen=True)
class Task:
    """A function over items, as a task runs it; an error of ours is an answer, too."""

    function: Callable[[list[Any], Place], list[Any]]
    target: Target

    def __call__(self, items: Iterable[Any]) -> list[Any]:
        with fetching(self.target.scratch) as folder:
            try:
                return self.function(list(items), Place(folder, PlainJson(), self.target.keep))
            except LakeError as e:
                return [e]


class Spark:
    """A Spark session as an engine. folder: where the driver, and `target`: where the executors put files."""

    dialect = SparkDialect()
    gathers = True

    def __init__(self, folder: Path, session: SparkSession, target: Target | None = None) -> None:
        self.folder, self.session = folder, session
        self.workers = 4  # statements beside one another; Spark shares its cores among them
        self._target = target or Target(str(folder))
        for name, value in SETTINGS.items():
            session.conf.set(name, value)
        self._own_shuffles = session.conf.get(SHUFFLES) == str(OWN_SHUFFLES)
        self._backend = ibis.pyspark.connect(session)
        for name in ("execute", "to_pyarrow"):
            setattr(self._backend, name, self._watched(getattr(self._backend, name)))
        self._lost: SparkLost | None = None
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._kept: list[DataFrame] = []

    @classmethod
    def of(cls, lake: Lake, folder: Path, session: SparkSession, name: str = "") -> Spark:
        """The engine for a lake's work. name: of a job, whose files others are to find on shared storage.

        A cluster shares a lake that is a folder, and so `folder` below it; a local master shares all folders.
        """
        session.sparkContext.setLogLevel("FATAL")  # what a failure says is in its exception
        local = str(session.sparkContext.master).startswith("local")
        if local:
            lend_environment(session)
        if lake.zone("ops").local or (local and not name):
            return cls(folder, session)
        return cls.apart(lake, folder, session, name)

    @classmethod
    def apart(cls, lake: Lake, folder: Path, session: SparkSession, name: str = "") -> Spark:
        """The engine for executors that share no folder: what they make goes through the lake's own storage."""
        roots = {zone: lake.zone(zone).root for zone in ZONES}
        return cls(folder, session, Target(f"_staging/{name or folder.name}", roots))

    def close(self) -> None:
        """Forget what was kept, and remove what the executors left; the session is its owner's."""
        if self._own_shuffles:
            self.session.conf.set(SHUFFLES, str(OWN_SHUFFLES))
        for frame in self._kept:
            frame.unpersist()
        self._target.clear()

    def ibis(self) -> Any:
        """The Ibis backend on this session."""
        return self._backend

    def number(self) -> int:
        """A number that no other statement of this engine has."""
        with self._lock:
            return next(self._numbers)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn Spark's exceptions into ours."""
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        try:
            yield
        except (PySparkException, Py4JError, ConnectionError) as e:
            raise in_our_words(e) from None
        if self._lost is not None:  # somebody took it for the answer to a question
            raise self._lost

    def _watched(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """Running an expression, so that a lost cluster is remembered: who checks data takes errors for answers."""

        def watched(*arguments: Any, **more: Any) -> Any:
            try:
                with self.translated():
                    return run(*arguments, **more)
            except SparkLost as e:
                self._lost = e
                raise

        return watched

    def near(self, function: Callable[[list[T], Place], list[R]], items: Sequence[T]) -> list[R]:
        """What a function makes of the items, in tasks of some."""
        if not items:
            return []
        context = self.session.sparkContext
        slices = min(len(items), 4 * context.defaultParallelism)
        task = Task(function, self._target)
        with self.translated():
            found = context.parallelize(items, slices).mapPartitions(task).collect()
        for answer in found:
            if isinstance(answer, LakeError):
                raise answer
        return found

    def reach(self, store: ObjectStore, uri: str) -> Text:
        """A data file of the lake: Spark reads it where it is."""
        key = store.key(uri)
        return Path(store.root) / key if store.local else Remote(store.root, key, 0)

    def validate(self, part: Part, rules: RowRules) -> PartResult:
        """Type and judge every row of a part; good rows to Parquet, rejects with reasons."""
        raw = self._raw(part, self.number())
        frame = self._frame(validated(raw, rules, self.dialect))
        files = self._write(frame, "validated", partition=part.partition)
        broken = frozenset(s for f in files for s in f.broken)
        if broken:
            return PartResult(broken=broken, error="records that do not fit the columns")
        counts: dict[str, tuple[int, int]] = {}
        coerced: dict[str, Counter[str]] = {}
        for file in files:
            for source, rows in file.counts.items():
                good, bad = counts.get(source, (0, 0))
                counts[source] = (good, bad + rows) if file.rejected else (good + rows, bad)
            for source, columns in file.rescued.items():
                coerced.setdefault(source, Counter()).update(columns)
        return PartResult(
            good=tuple(f.file for f in files if not f.rejected),
            rejected=tuple(f.file.path for f in files if f.rejected),
            counts=counts,
            coerced=coerced,
        )

    def _raw(self, part: Part, n: int) -> Expr:
        """The raw table of a part: every file is read by one task, small ones several."""
        from ibis.backends.pyspark.datatypes import PySparkSchema

        columns = spark_columns(part.columns)
        lineage = {n: t for n, t in RAW.items() if n != "_partition" or not part.partition}
        carried = arrow_schema(columns, lineage)
        reader = Reader(part.format, tuple(columns.names), carried, part.longest)
        size = sum(size_of(f.path) for f in part.files)
        context = self.session.sparkContext
        tasks = min(len(part.files), max(size // TASK_BYTES + 1, 2 * context.defaultParallelism))
        rows = context.parallelize([(describe(file),) for file in part.files], tasks)
        files = self.session.createDataFrame(rows, "file string")
        schema = ibis.schema({**dict(columns.items()), **lineage})
        files.mapInArrow(reader, PySparkSchema.from_ibis(schema)).createOrReplaceTempView(f"raw_{n}")
        raw = ibis.table(schema, name=f"raw_{n}")
        return raw.mutate(_partition=ibis.literal(part.partition)) if part.partition else raw

    def _frame(self, table: Expr) -> DataFrame:
        return self.session.sql(str(ibis.to_sql(table, dialect="pyspark", pretty=False)))

    def _write(
        self, frame: DataFrame, zone: str, make: EntryMaker | None = None, partition: str = ""
    ) -> list[Written]:
        """Have the executors write rows to Parquet; what they wrote, sorted by content.

        partition: of all rows, where it is one: it need not go with each.
        """
        names = tuple(frame.columns)  # mapInArrow cannot name a column that has a dot or a backtick in it
        plain = frame.toDF(*(f"c{i}" for i in range(len(names))))
        if partition:
            plain = plain.drop(f"c{names.index('_partition')}")
        writer = Writer(self._target, zone, names, partition, make)
        with self.translated():
            reports = plain.mapInArrow(writer, "report string").collect()
        return sorted((written(row[0]) for row in reports), key=lambda w: w.file.content)

    def rejects(
        self, part: Part, rules: RowRules, rejected: Sequence[Text], entries: Entries, schema: pa.Schema
    ) -> Iterator[OutputFile]:
        """The rejected rows with all their reasons as files of entries, made by the executors."""
        order = ("_partition", "_source", "_record")
        rows = self._explained(part, rules, rejected).repartition("_source").sortWithinPartitions(*order)
        yield from (w.file for w in self._write(rows, "quarantine", EntryMaker(entries, schema)))

    def elsewhere(self, part: Part, rules: RowRules, rejected: Sequence[Text]) -> dict[str, int]:
        """By source: how many of the rejected rows belong to another partition."""
        rows = self._explained(part, rules, rejected).filter(
            "exists(reasons, r -> r.code = 'PARTITION_MISMATCH')"
        )
        with self.translated():
            return dict(rows.groupBy("_source").count().collect())

    def _explained(self, part: Part, rules: RowRules, rejected: Sequence[Text]) -> DataFrame:
        n = self.number()
        self._read(rejected).createOrReplaceTempView(f"rejects_{n}")
        schema = {**{name: dt.string for name in LINEAGE}, "_record": dt.int64, RESCUED: dt.string}
        columns = ibis.schema({**dict(spark_columns(part.columns).items()), **RAW})
        return self._frame(explained(ibis.table(schema, name=f"rejects_{n}"), rules, columns, self.dialect))

    def _read(self, files: Sequence[Text]) -> DataFrame:
        """Parquet files: by Spark's reader, or by tasks of ours where Hadoop knows no S3."""
        reader = self.session.read.option("mergeSchema", "true")
        remote = [f for f in files if isinstance(f, Remote)]
        if self._own_shuffles and not remote:
            least = 2 * self.session.sparkContext.defaultParallelism
            self.session.conf.set(SHUFFLES, str(max(least, sum(map(size_of, files)) // SHUFFLE_BYTES)))
        if not remote:
            return reader.parquet(*map(str, files))
        scheme = self._s3_scheme()
        if scheme:
            return reader.parquet(*(f.uri.replace("s3:", f"{scheme}:", 1) for f in remote))
        return self._read_by_tasks(remote)

    def _s3_scheme(self) -> str:
        """The URL scheme by which this Spark reads S3: Glue's and EMR's own, or hadoop-aws; "" for none."""
        java: Any = self.session.sparkContext._jvm  # noqa: SLF001 - pyspark has no public way to ask
        conf = self.session.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001
        for scheme in ("s3", "s3a"):
            try:
                java.org.apache.hadoop.fs.FileSystem.getFileSystemClass(scheme, conf)
            except Exception as e:
                if "FileSystem" not in str(e) and "ClassNotFound" not in str(e):
                    raise
            else:
                return scheme
        return ""

    def _read_by_tasks(self, files: Sequence[Remote]) -> DataFrame:
        from ibis.backends.pyspark.datatypes import PySparkSchema

        every: list[Text] = [*files]
        found = self.near(schemas_in, every)
        schema = spark_columns(ibis.Schema.from_pyarrow(pa.unify_schemas(found)))
        rows = [(json.dumps(place_of(f)),) for f in files]
        places = self.session.sparkContext.parallelize(rows, len(rows))
        frame = self.session.createDataFrame(places, "place string")
        return frame.mapInArrow(ParquetReader(arrow_schema(schema, ())), PySparkSchema.from_ibis(schema))

    def _view(self, backend: Any, frame: DataFrame, kind: str) -> Expr:
        name = f"{kind}_{self.number()}"
        frame.createOrReplaceTempView(name)
        seen = backend.table(name)
        columns = {n: TIME if t.is_timestamp() else t for n, t in seen.schema().items()}
        return seen.op().copy(schema=ibis.schema(columns)).to_expr()

    def table(self, backend: Any, files: Sequence[Text]) -> Expr:
        """Parquet files as one table; columns that some files lack are NULL there."""
        return self._view(backend, self._read(files), "files")

    def arrow(self, backend: Any, table: pa.Table) -> Expr:
        """A small Arrow table as a table of this session."""
        from ibis.backends.pyspark.datatypes import PySparkSchema

        schema = PySparkSchema.from_ibis(ibis.Schema.from_pyarrow(table.schema))
        rows = [tuple(row.values()) for row in table.to_pylist()]
        return self._view(backend, self.session.createDataFrame(rows, schema), "arrow")

    def keep(self, backend: Any, table: Expr) -> Expr:
        """The table's rows, computed once."""
        frame = self._frame(table).persist()
        self._kept.append(frame)
        return self._view(backend, frame, "kept")

    def repeats(self, hashed: Expr, by: Sequence[str]) -> list[KeyCounts]:
        """How often keys occur, by their sorted hashes."""
        names = ", ".join(name for name in hashed.columns if name not in by)
        group = by[0] if by else "''"
        frame = self._frame(hashed).selectExpr(f"{group} AS by", f"xxhash64({names}) AS hash")
        tasks = self._shuffles()
        blocks = frame.mapInArrow(Blocks(tasks), "by string, range int, hashes binary")
        counted = blocks.repartition(tasks, "by", "range").mapInArrow(
            counts, "by string, keys long, twice boolean"
        )
        with self.translated():
            totals = counted.groupBy("by").agg({"keys": "sum", "twice": "max"}).collect()
        return [KeyCounts(row["by"], row["sum(keys)"], row["max(twice)"]) for row in totals]

    def _shuffles(self) -> int:
        """How many tasks a shuffle has; some vendors' Spark says "auto"."""
        text = str(self.session.conf.get(SHUFFLES))
        return int(text) if text.isdigit() else OWN_SHUFFLES

    def copy(
        self, _: Any, table: Expr, zone: str, partitions: Sequence[str], __: Mapping[str, Any]
    ) -> list[OutputFile]:
        """Write a table to Parquet, at least a file per value of ``_partition``."""
        frame = self._frame(table)
        if len(partitions) > 1:
            frame = frame.repartition("_partition")
        only = partitions[0] if len(partitions) == 1 else ""
        return [w.file for w in self._write(frame, zone, partition=only)]
