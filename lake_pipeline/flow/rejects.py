"""Write rejected rows to the quarantine: reasons, the line they stand on, and their raw text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake_pipeline.datasets.config import Csv, Json, Jsonl
from lake_pipeline.engines.parts import OutputFile
from lake_pipeline.flow import quarantine
from lake_pipeline.flow.candidates import Candidate
from lake_pipeline.flow.context import Work
from lake_pipeline.formats import delimited
from lake_pipeline.reasons import INGEST_VALIDATION, Reason
from lake_pipeline.storage import ObjectStore

OF_A_RUN = ("run_id", "first_seen", "last_seen")


class RejectWriter:
    """Collects the quarantine entries of one batch of a partition into one Parquet file.

    Its content is named by what was rejected and why: a run that is repeated finds the file of the one before, and
    another verdict about the same objects is another file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._rows = 0
        self._content = hashlib.sha256()

    def write(self, entries: list[dict[str, Any]]) -> None:
        """Append entries; the file exists from the first on."""
        if not entries:
            return
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._path, quarantine.SCHEMA, compression="zstd")
        table = pa.Table.from_pylist(entries, quarantine.SCHEMA)
        self._writer.write_table(table)
        self._rows += len(entries)
        for batch in table.drop_columns(OF_A_RUN).to_batches():
            self._content.update(batch.serialize())

    def close(self, partition: str) -> OutputFile | None:
        """Finish; the file, or None when there was nothing to write."""
        if self._writer is None:
            return None
        self._writer.close()
        return OutputFile(self._path, partition, self._rows, self._content.hexdigest()[:16])


@dataclass(frozen=True)
class Origin:
    """What all entries of a run have in common. context: (contract version, run id, when)."""

    raw: ObjectStore
    context: tuple[str, str, datetime]

    @classmethod
    def of(cls, work: Work) -> Origin:
        """A run's."""
        return cls(work.lake.zone("raw"), work.context)

    def source(self, candidate: Candidate) -> tuple[str, str, str]:
        """(id, URI, version) of an object, as an entry has it."""
        entry = candidate.entry
        return entry.id, self.raw.uri(entry.key), entry.version or entry.etag


def file_entry(origin: Origin, candidate: Candidate) -> dict[str, Any]:
    """The entry of a refused file."""
    assert candidate.refused is not None
    return quarantine.file_entry(
        partition=candidate.partition,
        reason=candidate.refused,
        source=origin.source(candidate),
        rows=candidate.records,
        context=origin.context,
    )


def malformed_entries(origin: Origin, candidate: Candidate) -> list[dict[str, Any]]:
    """The entries of a file's records that could not be parsed."""
    found = candidate.repaired.malformed if candidate.repaired else ()
    return [
        quarantine.row_entry(
            partition=candidate.partition,
            stage=INGEST_VALIDATION,
            reasons=[Reason("MALFORMED_ROW", f"The record cannot be parsed: {m.fault}.").as_dict()],
            source=origin.source(candidate),
            record=None,
            line=m.line,
            raw=m.raw,
            context=origin.context,
        )
        for m in found
    ]


@dataclass(frozen=True)
class RowEntries:
    """Makes the entries of explained rows (``_source, _record, reasons, original``); their order is by source."""

    origin: Origin
    candidates: Mapping[str, Candidate]

    def __call__(self, rows: pa.RecordBatch) -> Iterator[dict[str, Any]]:
        by_source: dict[str, list[dict[str, Any]]] = {}
        for row in rows.to_pylist():
            by_source.setdefault(row["_source"], []).append(row)
        for source, members in by_source.items():
            candidate = self.candidates[source]
            places = locate(candidate, [row["_record"] for row in members])
            for row in members:
                line, raw = places.get(row["_record"], (None, None))
                yield quarantine.row_entry(
                    partition=candidate.partition,
                    stage=INGEST_VALIDATION,
                    reasons=row["reasons"],
                    source=self.origin.source(candidate),
                    record=row["_record"],
                    line=line,
                    raw=raw if raw is not None else row["original"],
                    context=self.origin.context,
                )


def locate(candidate: Candidate, records: list[int]) -> dict[int, tuple[int | None, str]]:
    """The line and the raw text of some records of an object; nothing for formats without lines."""
    spooled, repaired = candidate.file, candidate.repaired
    form = spooled.format
    if isinstance(form, Jsonl):
        return {
            n: (n, text) for n, text in delimited.raw_lines(spooled.parts, records, spooled.starts).items()
        }
    if isinstance(form, Json):
        return {n: (None, text) for n, text in delimited.raw_lines(spooled.parts, records).items()}
    if not isinstance(form, Csv):
        return {}
    if repaired is not None:
        firsts = {n: repaired.lines[n - 1] for n in records}
        spans = {n: range(line, line + repaired.tall.get(line, 1)) for n, line in firsts.items()}
        wanted = sorted(line for span in spans.values() for line in span)
        texts = delimited.raw_lines(spooled.parts, wanted, spooled.starts)
        return {n: (span.start, "\n".join(texts[line] for line in span)) for n, span in spans.items()}
    if candidate.records != spooled.lines - int(form.header):
        return dict(delimited.raw_records(spooled.parts, form, records, spooled.starts))
    offset = int(form.header)
    texts = delimited.raw_lines(spooled.parts, [n + offset for n in records], spooled.starts)
    return {line - offset: (line, text) for line, text in texts.items()}
