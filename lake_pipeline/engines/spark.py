"""Spark judging rows: what is Spark's own is here and in the files beside it.

It is not an `engine:` of datasets yet: that wants staging, files on shared storage and a way to launch it.

All rows stay with the executors; what comes to the driver are counts, and rejects in batches. Paths must
be readable by every executor: a folder that all share, or the scratch folder of a local master.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
import pyarrow.parquet as pq

from lake_pipeline.engines.casts import Expr
from lake_pipeline.engines.parts import OutputFile, Part, PartResult
from lake_pipeline.engines.rows import LINEAGE, REJECTED, RESCUED, RowRules, explained, validated
from lake_pipeline.engines.spark_dialect import SparkDialect
from lake_pipeline.engines.spark_scans import BROKEN, Reader, arrow_schema, describe, spark_columns
from lake_pipeline.errors import Terminal

if TYPE_CHECKING:  # Spark is an extra: this module can be imported without it
    from pyspark.sql import DataFrame, SparkSession

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.json.enablePartialResults": "false",
    "spark.sql.jsonGenerator.ignoreNullFields": "false",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.mapKeyDedupPolicy": "LAST_WIN",
}
RAW = {"_partition": "string", "_source": "string", "_record": "int64", "_sound": "boolean"}


class SparkFailed(Terminal):
    """Spark cannot compute what it was asked for."""


class Spark:
    """A Spark session as an engine, with `folder` as the place for what it writes."""

    dialect = SparkDialect()

    def __init__(self, folder: Path, session: SparkSession) -> None:
        self.folder, self.session = folder, session
        for name, value in SETTINGS.items():
            session.conf.set(name, value)
        self.workers = 4  # statements beside one another; Spark shares its cores among them
        self._backend = ibis.pyspark.connect(session)
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Nothing: the session is its owner's."""

    def ibis(self) -> Any:
        """The Ibis backend on this session."""
        return self._backend

    def number(self) -> int:
        """A number that no other statement of this engine has."""
        with self._lock:
            return next(self._numbers)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn Spark's exceptions into ours, where a user's own expressions are run."""
        from pyspark.errors import PySparkException

        try:
            yield
        except PySparkException as e:
            raise SparkFailed(str(e).split("\n", 1)[0]) from e

    def validate(self, part: Part, rules: RowRules, out: Path) -> PartResult:
        """Type and judge every row of a part; good rows to Parquet below `out`, rejects with reasons."""
        n = self.number()
        raw = self._raw(part, n)
        rows = validated(raw, rules, self.dialect)
        rows = rows.mutate(_p=rows["_partition"])
        written = self._write(self._frame(rows), out / str(n), [REJECTED, "_p"])
        good = [OutputFile(p, k[1], rows) for p, rows, k in written if k[0] == "false"]
        bad = [p for p, _, k in written if k[0] == "true"]
        broken = self._broken(bad)
        if broken:
            return PartResult(broken=broken, error="records that do not fit the columns")
        return PartResult(
            good=tuple(good),
            rejected=tuple(bad),
            counts=self._counts([f.path for f in good], bad),
            coerced=self._rescued([f.path for f in good]),
        )

    def _raw(self, part: Part, n: int) -> Expr:
        """The raw table of a part: every file is read by one task."""
        from ibis.backends.pyspark.datatypes import PySparkSchema

        columns = spark_columns(part.columns)
        reader = Reader(part.format, tuple(columns.names), arrow_schema(columns))
        kinds = "path string, source string, partition string, skip_header boolean, before bigint"
        files = self.session.createDataFrame(describe(part.files), kinds).repartition(len(part.files))
        schema = ibis.schema({**dict(columns.items()), **RAW})
        files.mapInArrow(reader, PySparkSchema.from_ibis(schema)).createOrReplaceTempView(f"raw_{n}")
        return ibis.table(schema, name=f"raw_{n}")

    def _frame(self, table: Expr) -> DataFrame:
        return self.session.sql(str(ibis.to_sql(table, dialect="pyspark", pretty=False)))

    def _write(
        self, frame: DataFrame, folder: Path, keys: Sequence[str]
    ) -> list[tuple[Path, int, tuple[str, ...]]]:
        """Write rows to Parquet, apart by `keys`: [(path, rows, values)], sorted by path."""
        frame.write.partitionBy(*keys).parquet(str(folder))
        found = []
        for path in sorted(folder.rglob("*.parquet")):
            rows = pq.read_metadata(path).num_rows
            values = tuple(unquote(p.partition("=")[2]) for p in path.relative_to(folder).parts[:-1])
            if rows:
                found.append((path, rows, values))
        return found

    def _read(self, paths: Sequence[Path]) -> DataFrame:
        return self.session.read.parquet(*map(str, paths))

    def _broken(self, rejected: Sequence[Path]) -> frozenset[str]:
        if not rejected:
            return frozenset()
        rows = self._read(rejected).filter(f"_record = {BROKEN}").select("_source").distinct().collect()
        return frozenset(row[0] for row in rows)

    def _counts(self, good: Sequence[Path], bad: Sequence[Path]) -> dict[str, tuple[int, int]]:
        counts: dict[str, list[int]] = {}
        for index, paths in enumerate((good, bad)):
            if paths:
                for source, rows in self._read(paths).groupBy("_source").count().collect():
                    counts.setdefault(source, [0, 0])[index] = rows
        return {source: (pair[0], pair[1]) for source, pair in counts.items()}

    def _rescued(self, good: Sequence[Path]) -> dict[str, dict[str, int]]:
        if not good:
            return {}
        rescued = self._read(good).filter(f"{RESCUED} IS NOT NULL")
        kept = rescued.selectExpr("_source", f"explode(from_json({RESCUED}, 'map<string,string>')) AS (k, v)")
        found: dict[str, dict[str, int]] = {}
        for source, column, rows in (
            kept.filter("v IS NOT NULL").groupBy("_source", "k").count().orderBy("_source", "k").collect()
        ):
            found.setdefault(source, {})[column] = rows
        return found

    def explain(self, part: Part, rules: RowRules, rejected: Sequence[Path]) -> Iterator[pa.RecordBatch]:
        """The rejected rows of a part with all their reasons, in order, in batches."""
        explained_rows = self._explained(part, rules, rejected).orderBy("_partition", "_source", "_record")
        schema = pa.schema(
            [
                ("_partition", pa.string()),
                ("_source", pa.string()),
                ("_record", pa.int64()),
                (
                    "reasons",
                    pa.list_(pa.struct([(n, pa.string()) for n in ("code", "column", "value", "message")])),
                ),
                ("original", pa.string()),
            ]
        )
        rows = explained_rows.toLocalIterator(prefetchPartitions=True)
        while batch := [row.asDict(recursive=True) for row in itertools.islice(rows, 20_000)]:
            yield pa.RecordBatch.from_pylist(batch, schema=schema)

    def elsewhere(self, part: Part, rules: RowRules, rejected: Sequence[Path]) -> dict[str, int]:
        """By source: how many of the rejected rows belong to another partition."""
        rows = self._explained(part, rules, rejected).filter(
            "exists(reasons, r -> r.code = 'PARTITION_MISMATCH')"
        )
        return dict(rows.groupBy("_source").count().collect())

    def _explained(self, part: Part, rules: RowRules, rejected: Sequence[Path]) -> DataFrame:
        n = self.number()
        self._read(rejected).createOrReplaceTempView(f"rejects_{n}")
        schema = {**{name: dt.string for name in LINEAGE}, "_record": dt.int64, RESCUED: dt.string}
        columns = ibis.schema({**dict(spark_columns(part.columns).items()), **RAW})
        reasons = explained(ibis.table(schema, name=f"rejects_{n}"), rules, columns, self.dialect)
        self._frame(reasons).createOrReplaceTempView(f"reasons_{n}")
        return self.session.sql(
            f"SELECT o._partition, r._source, r._record, r.reasons, o.{RESCUED} AS original "
            f"FROM reasons_{n} r JOIN rejects_{n} o ON r._source = o._source AND r._record = o._record"
        )
