"""Have an engine judge one file, and read its answer as Python values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
import pyarrow.parquet as pq

from lake_pipeline.contracts import Column
from lake_pipeline.datasets.config import Csv, Format
from lake_pipeline.engines.engine import Engine
from lake_pipeline.engines.parts import OutputFile, Part, PartFile, PartResult
from lake_pipeline.engines.rows import REASON, RowRules
from lake_pipeline.flow.candidates import readable

EXPLAINED = ibis.schema(
    {
        "_partition": "string",
        "_source": "string",
        "_record": "int64",
        "reasons": dt.Array(REASON),
        "original": "string",
    }
).to_pyarrow()


as_they_are = methodcaller("to_pylist")  # of explained rows: what a Spark worker can import, too


@dataclass(frozen=True)
class Judged:
    """What became of the records of a file: good rows and rejects, both by their number."""

    good: Mapping[int, dict[str, Any]]
    rejects: Mapping[int, dict[str, Any]]
    result: PartResult

    def reasons(self, record: int) -> list[tuple[str, str]]:
        """(code, column) of every reason of a rejected record."""
        return [(r["code"], r["column"]) for r in self.rejects[record]["reasons"]]


def judged(
    engine: Any,
    folder: Path,
    form: Format,
    columns: tuple[Column, ...],
    content: bytes | str | pa.Table,
    *,
    names: tuple[str, ...] | None = None,
    partition: str = "all",
    **rules: Any,
) -> Judged:
    """Validate one file's content against columns.

    names: the file's columns where they are not the contract's. rules: further fields of `RowRules`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "file"
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
        raw = readable(ibis.Schema.from_pyarrow(content.schema))
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        raw = ibis.schema(dict.fromkeys(names or tuple(c.name for c in columns), "string"))
    header = isinstance(form, Csv) and form.header
    part = Part((PartFile(path, "source-1", partition, header),), form, raw)
    return judged_part(engine, part, RowRules(columns, **rules))


def judged_part(engine: Engine, part: Part, rules: RowRules) -> Judged:
    """Validate a part, and read the rows of the answer as Python values."""
    result = engine.validate(part, rules)
    # ParquetFile, because a dataset would add the columns of the hive-style folders
    good = [row for f in result.good for row in pq.ParquetFile(f.path).read().to_pylist()]
    batches = engine.rejects(part, rules, result.rejected, as_they_are, EXPLAINED) if result.rejected else ()
    rejects: list[dict[str, Any]] = []
    for batch in batches:
        rejects += pq.ParquetFile(batch.path).read().to_pylist() if isinstance(batch, OutputFile) else batch
    return Judged({r["_record"]: r for r in good}, {r["_record"]: r for r in rejects}, result)
