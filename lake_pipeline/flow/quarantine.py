"""The quarantine: every rejected row and file with all its reasons, in ``quarantine.<ds>``.

One row of the table per rejected row, or per refused file (``kind``); the file itself, untouched, below
``quarantine/files/``. A data file belongs to one partition and one batch, so that a batch that is
validated again replaces exactly its own rejects.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake_pipeline.reasons import Reason

REASON = pa.struct(
    [("code", pa.string()), ("column", pa.string()), ("value", pa.string()), ("message", pa.string())]
)
TIME = pa.timestamp("us", "UTC")
SCHEMA = pa.schema(
    [
        ("_partition", pa.string()),
        ("kind", pa.string()),
        ("stage", pa.string()),
        ("reasons", pa.list_(REASON)),
        ("source_uri", pa.string()),
        ("source_version", pa.string()),
        ("_source", pa.string()),
        ("_record", pa.int64()),
        ("line", pa.int64()),
        ("raw", pa.string()),
        ("rows", pa.int64()),
        ("contract_version", pa.string()),
        ("run_id", pa.string()),
        ("first_seen", TIME),
        ("last_seen", TIME),
    ]
)
RAW_LIMIT = 1024 * 1024


def row_entry(
    *,
    partition: str,
    stage: str,
    reasons: Iterable[dict[str, Any]],
    source: tuple[str, str, str],
    record: int | None,
    line: int | None,
    raw: str | None,
    context: tuple[str, str, datetime],
) -> dict[str, Any]:
    """A rejected row. source: (id, URI, version); context: (contract version, run id, when)."""
    return {
        "_partition": partition,
        "kind": "row",
        "stage": stage,
        "reasons": list(reasons),
        "source_uri": source[1],
        "source_version": source[2],
        "_source": source[0],
        "_record": record,
        "line": line,
        "raw": raw[:RAW_LIMIT] if raw else raw,
        "rows": 1,
        "contract_version": context[0],
        "run_id": context[1],
        "first_seen": context[2],
        "last_seen": context[2],
    }


def file_entry(
    *,
    partition: str,
    reason: Reason,
    source: tuple[str, str, str],
    rows: int,
    context: tuple[str, str, datetime],
) -> dict[str, Any]:
    """A refused file with its number of records, 0 where they cannot be told."""
    entry = row_entry(
        partition=partition,
        stage="INGEST_VALIDATION",
        reasons=[reason.as_dict()],
        source=source,
        record=None,
        line=None,
        raw=None,
        context=context,
    )
    return {**entry, "kind": "file", "rows": rows}


def write(entries: list[dict[str, Any]], path: Path) -> Path:
    """The entries as one Parquet file."""
    pq.write_table(pa.Table.from_pylist(entries, SCHEMA), path, compression="zstd")
    return path
