"""Landed objects on their way to an engine: spooled, looked into, judged as files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.schema as sch
import pyarrow.parquet as pq

from lake_pipeline.contracts import Contract, DriftEvent, classify
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.config import Csv, Json, Jsonl, Parquet
from lake_pipeline.engines.engine import JsonTexts, Place
from lake_pipeline.flow.context import tell
from lake_pipeline.flow.nested import nested_events
from lake_pipeline.flow.state import Entry
from lake_pipeline.flow.undeclared import Undeclared
from lake_pipeline.flow.unforeseen import about, passes
from lake_pipeline.formats import delimited
from lake_pipeline.formats.columnar import parquet_columns, with_plain_columns
from lake_pipeline.formats.json_arrays import chunks
from lake_pipeline.formats.json_depth import DEEPEST, TOO_DEEP, depth, too_deep
from lake_pipeline.formats.packs import SMALL, Packs, on_disk
from lake_pipeline.formats.spool import Refused, check_size, format_of, spool
from lake_pipeline.formats.texts import Spooled
from lake_pipeline.reasons import Reason
from lake_pipeline.storage import ObjectStore

# What a file itself says of its columns: a JSON structure, Parquet's schema; or why it cannot be read.
Shape: TypeAlias = Mapping[str, object] | sch.Schema | Reason | None

SPOOLERS = 4
SHORT = 4096  # characters of a header that is remembered, and how many are
TASK_FILES = 32  # that a thread takes at once


@dataclass(frozen=True)
class Candidate:
    """One object that is being validated. Either it is spooled and has columns, or it is refused.

    shape: what its own text says of its columns, for formats that say it everywhere and not in a header. kept_whole:
    columns of which ``_rescued`` has the original text in every row.
    """

    entry: Entry
    partition: str
    spooled: Spooled | None = None
    shape: Shape = None
    columns: ibis.Schema | None = None
    drift: tuple[DriftEvent, ...] = ()
    refused: Reason | None = None
    repaired: delimited.Repaired | None = None
    kept_whole: tuple[str, ...] = ()
    records: int = 0
    valid: int = 0

    @property
    def layout(self) -> tuple[object, ...]:
        """What candidates that share a scan have in common."""
        return self.file.format, tuple(self.schema.items()), self.kept_whole

    @property
    def file(self) -> Spooled:
        """The file on local disk; for candidates that were not refused before they were spooled."""
        assert self.spooled is not None
        return self.spooled

    @property
    def schema(self) -> ibis.Schema:
        """The file's columns; for candidates that were not refused before they were known."""
        assert self.columns is not None
        return self.columns

    def refuse(self, reason: Reason, records: int = 0) -> Candidate:
        """The same object as a refused file."""
        return replace(self, refused=reason, records=records)


@dataclass(frozen=True)
class Look:
    """Brings entries to where they can be read, and looks into them; see `Engine.near`."""

    store: ObjectStore
    dataset: Dataset

    def __call__(self, entries: list[tuple[Entry, str]], place: Place) -> list[Candidate]:
        """The entries as candidates, in their order."""
        found: list[Candidate] = []
        for candidate in spool_all(self.store, self.dataset, entries, place):
            tell("reading", len(found), len(entries))
            found.append(candidate)
        declared = {c.name for c in self.dataset.landed_columns}
        return [_kept(c, place) for c in with_shapes(found, declared, place.json)]


def _kept(candidate: Candidate, place: Place) -> Candidate:
    if candidate.refused or candidate.spooled is None:
        return candidate
    parts = tuple(place.keep(p) if isinstance(p, Path) else p for p in candidate.spooled.parts)
    if parts == candidate.spooled.parts:
        return candidate
    return replace(candidate, spooled=replace(candidate.spooled, parts=parts))


def spool_all(
    store: ObjectStore, dataset: Dataset, items: Sequence[tuple[Entry, str]], place: Place
) -> Iterator[Candidate]:
    """Bring every entry to local disk, in its order; files that fail on the way are refused."""
    if len(items) == 1:
        yield spool_one(store, dataset, *items[0], place.folder)
        return
    shared = Packs(place.folder / "packs") if place.packs else nullcontext()
    with shared as packs, ThreadPoolExecutor(spoolers(store, items)) as pool:

        def some(batch: list[tuple[Entry, str]]) -> list[Candidate]:
            return [
                spool_one(store, dataset, entry, partition, place.folder, packs) for entry, partition in batch
            ]

        for candidates in pool.map(some, batches(items)):
            yield from candidates


def spoolers(store: ObjectStore, items: Sequence[tuple[Entry, str]]) -> int:
    """How many entries are spooled at once: small ones that come over a network are waited for together."""
    if max(entry.size for entry, _ in items) >= SMALL:
        return SPOOLERS
    return SPOOLERS // 2 if store.local else SPOOLERS * 4


def batches(items: Iterable[tuple[Entry, str]]) -> Iterator[list[tuple[Entry, str]]]:
    """The items in their order, small ones several at a time: a thread's task of its own costs more than they do."""
    taken: list[tuple[Entry, str]] = []
    size = 0
    for item in items:
        taken.append(item)
        size += item[0].size
        if size >= SMALL or len(taken) >= TASK_FILES:
            yield taken
            taken, size = [], 0
    if taken:
        yield taken


def spool_one(
    store: ObjectStore,
    dataset: Dataset,
    entry: Entry,
    partition: str,
    folder: Path,
    packs: Packs | None = None,
) -> Candidate:
    """One entry on local disk, its envelope checked."""
    if entry.reason:
        return Candidate(entry, partition, refused=Reason(entry.reason, entry.message))
    meta = entry.meta
    name = entry.key.rpartition("/")[2]
    try:
        form = format_of(name, dataset.config.formats)
        check_size(meta, dataset.config.file_size.min, dataset.config.file_size.max)
        most = dataset.config.file_size.max_inflated
        spooled = spool(store.stream(meta), name, form, folder / entry.id, packs, most)
    except Refused as e:
        return Candidate(entry, partition, refused=e.reason)
    if entry.message.startswith("sha256:") and entry.message != f"sha256:{spooled.sha256}":
        message = f"The producer's manifest promises {entry.message}; the content is sha256:{spooled.sha256}."
        return Candidate(entry, partition, refused=Reason("CHECKSUM_MISMATCH", message))
    return Candidate(entry, partition, spooled)


def refuse_duplicates(candidates: list[Candidate], known: Mapping[str, str]) -> list[Candidate]:
    """Refuse content that another object of the partition has: the earlier one stays.

    known: (partition + sha256) → key of objects validated before.
    """
    seen = dict(known)
    out = []
    for candidate in candidates:
        if candidate.spooled is None or candidate.refused:
            out.append(candidate)
            continue
        mark = f"{candidate.partition}/{candidate.spooled.sha256}"
        if mark in seen and seen[mark] != candidate.entry.key:
            message = f'The content is that of "{seen[mark]}".'
            candidate = candidate.refuse(Reason("DUPLICATE_CONTENT", message))
        else:
            seen[mark] = candidate.entry.key
        out.append(candidate)
    return out


def with_shapes(candidates: list[Candidate], declared: Collection[str], json: JsonTexts) -> list[Candidate]:
    """Look into the files whose columns are not named by a header. declared: the columns that the contract has."""
    candidates = [_lines(c, json) for c in candidates]
    structures = _named_structures([c for c in candidates if _is_json(c)], json)
    return [
        replace(c, shape=structures.get(c.entry.id, {})) if _is_json(c) else _parquet(c, declared)
        for c in candidates
    ]


def with_columns(candidates: list[Candidate], dataset: Dataset, there: Mapping[str, str]) -> list[Candidate]:
    """Classify how the columns of every candidate differ from the contract. there: the columns of validated so far."""
    headers = Headers(landed_contract(dataset))
    undeclared = Undeclared(headers.contract, there)
    return [c if c.spooled is None or c.refused else _columned(c, headers, undeclared) for c in candidates]


class Headers:
    """What follows from a header, worked out once for all files that have the same."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.expected = tuple(c.name for c in contract.columns)
        self.required = tuple(c.name for c in contract.columns if c.required)
        self._known: dict[tuple[str, ...], tuple[ibis.Schema, tuple[DriftEvent, ...]]] = {}
        self._names: dict[tuple[int, str], tuple[str, ...]] = {}

    def names(self, spooled: Spooled) -> tuple[str, ...]:
        """The columns that delimited text has; raises `Refused`."""
        form, text = spooled.format, spooled.header
        assert isinstance(form, Csv)
        found = self._names.get((id(form), text))
        if found is None:
            found = delimited.header(text, form, self.expected, self.required)
            if len(text) <= SHORT and len(self._names) < SHORT:
                self._names[id(form), text] = found
        return found

    def layout(self, names: tuple[str, ...]) -> tuple[ibis.Schema, tuple[DriftEvent, ...]]:
        """The columns of delimited text with these names, and how they differ from the contract."""
        if names not in self._known:
            schema = ibis.schema(dict.fromkeys(names, "string"))
            self._known[names] = schema, classify(self.contract, names)
        return self._known[names]


def _is_json(candidate: Candidate) -> bool:
    ready = candidate.spooled is not None and not candidate.refused and candidate.shape is None
    return ready and isinstance(candidate.file.format, Jsonl | Json)


def _parquet(candidate: Candidate, declared: Collection[str]) -> Candidate:
    """A Parquet file with its schema and its number of records, its undeclared columns in plain types."""
    spooled = candidate.spooled
    if spooled is None or candidate.refused or not isinstance(spooled.format, Parquet):
        return candidate
    path = on_disk(spooled.parts[0])
    try:
        with about(candidate.entry.key):
            path = with_plain_columns(path, declared)
            columns = parquet_columns(path)
    except Refused as e:
        return replace(candidate, shape=e.reason)
    lines = int(pq.read_metadata(path).num_rows)
    return replace(candidate, shape=columns, spooled=replace(spooled, parts=(path,), lines=lines))


def _lines(candidate: Candidate, json: JsonTexts) -> Candidate:
    with about(candidate.entry.key):
        return _shallow(_json_lines(candidate, json))


def _named_structures(candidates: list[Candidate], json: JsonTexts) -> dict[str, dict[str, object]]:
    """The structures of all files at once; an error names the file that has it."""
    try:
        return _json_structures(candidates, json)
    except Exception as e:
        if passes(e):
            raise
        for candidate in candidates:
            with about(candidate.entry.key):
                _json_structures([candidate], json)
        raise


def _shallow(candidate: Candidate) -> Candidate:
    """JSON Lines that no reader fails on for their depth; refused where a line is nested deeper."""
    if not _is_json(candidate) or not too_deep(candidate.file.parts):
        return candidate
    return replace(candidate, shape=Reason("MALFORMED_JSON", TOO_DEEP))


def _json_lines(candidate: Candidate, json: JsonTexts) -> Candidate:
    """A JSON array becomes JSON Lines, a part for each chunk of it that fits into memory."""
    spooled = candidate.spooled
    if spooled is None or candidate.refused or not isinstance(spooled.format, Json):
        return candidate
    whole = on_disk(spooled.parts[0])
    with whole.open("ab") as out:
        for part in spooled.parts[1:]:
            out.write(part.read_bytes())
    parts, starts, lines, chunk = list[Path](), list[int](), 0, None
    try:
        for chunk in chunks(whole):
            parts.append(whole.with_name(f"{whole.name}.lines.{len(parts)}"))
            starts.append(lines)
            lines += json.json_array_to_lines(chunk.path, parts[-1])
    except ValueError as e:
        if chunk and depth(chunk.path.read_bytes()) > DEEPEST + 1:
            return replace(candidate, shape=Reason("MALFORMED_JSON", TOO_DEEP))
        fault = (chunk and chunk.fault()) or e  # the same words, whatever engine found it
        message = f"The file is no JSON array of objects: {fault}"
        return replace(candidate, shape=Reason("MALFORMED_JSON", message))
    found = replace(spooled, parts=tuple(parts), starts=tuple(starts), lines=lines)
    return replace(candidate, spooled=found)


def _json_structures(candidates: list[Candidate], json: JsonTexts) -> dict[str, dict[str, object]]:
    """The top-level keys of every JSON file, with the structure of their values."""
    paths = [(c.entry.id, on_disk(p)) for c in candidates for p in c.file.parts]
    if not paths:
        return {}
    found: dict[str, dict[str, object]] = {}
    for (id_, _), structure in zip(paths, json.json_structure([p for _, p in paths]), strict=True):
        found.setdefault(id_, {}).update(structure)
    return found


def landed_contract(dataset: Dataset) -> Contract:
    """The contract as files must keep it: landed names, without derived columns."""
    return replace(dataset.contract, columns=dataset.landed_columns)


def _columned(candidate: Candidate, headers: Headers, undeclared: Undeclared) -> Candidate:
    contract, spooled, shape = headers.contract, candidate.file, candidate.shape
    if isinstance(shape, Reason):
        return candidate.refuse(shape)
    try:
        if isinstance(spooled.format, Csv):
            columns, events = headers.layout(headers.names(spooled))
        elif isinstance(shape, sch.Schema):
            columns, events = readable(shape), classify(contract, shape)
        else:
            if not shape:
                raise Refused("MALFORMED_JSON", "No line of the file is a JSON object with a key.")
            columns = ibis.schema(dict.fromkeys(shape, "string"))
            events = (*classify(contract, tuple(shape), ordered=False), *nested_events(contract, shape))
    except Refused as e:
        return candidate.refuse(e.reason, _records(spooled))
    candidate = replace(candidate, columns=columns, drift=events)
    breaking = [e for e in events if e.breaking]
    if breaking:
        code = "HEADER_MISMATCH" if breaking[0].kind in HEADER_KINDS else "BREAKING_DRIFT"
        message = " ".join(e.detail for e in breaking[:SHOWN])
        return candidate.refuse(Reason(code, message), _records(spooled))
    return replace(candidate, kept_whole=(*_rescued_whole(events), *undeclared.aside(columns)))


HEADER_KINDS = ("required_column_missing", "column_duplicated", "column_case_changed")
SHOWN = 20  # differences that a refusal names


def _records(spooled: Spooled) -> int:
    """How many records a file that is not read has, as far as its lines or its footer tell."""
    return max(spooled.lines - (isinstance(spooled.format, Csv) and spooled.format.header), 0)


def _rescued_whole(events: Iterable[DriftEvent]) -> tuple[str, ...]:
    """Columns with unknown nested fields: their original text is kept for every row."""
    return tuple(
        sorted(
            {
                e.column.split(".")[0].split("[")[0]
                for e in events
                if e.kind == "nested_changed" and not e.breaking
            }
        )
    )


def readable(columns: sch.Schema) -> sch.Schema:
    """Columns in types that engines have: one of nothing but NULL, which Parquet stores as INT32, is that."""
    return sch.Schema({name: _typed(type_) for name, type_ in columns.items()})


def _typed(type_: dt.DataType) -> dt.DataType:
    if isinstance(type_, dt.Struct):
        return dt.Struct({name: _typed(field) for name, field in type_.items()})
    if isinstance(type_, dt.Array):
        return dt.Array(_typed(type_.value_type))
    return dt.int32 if type_.is_null() else type_
