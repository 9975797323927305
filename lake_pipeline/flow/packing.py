"""Candidates put together into parts, which an engine reads in one scan each.

A big file is several parts, small files share one. Many small delimited texts become a pack: one text whose
lines are led by the index of their file, because opening a file costs more than reading a small one. That is
right only where each line is a record; nobody knows before the text was read, so it is tried, and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from lake_pipeline.datasets.config import Csv
from lake_pipeline.engines.parts import Part, PartFile, PartResult
from lake_pipeline.flow.candidates import Candidate
from lake_pipeline.formats import delimited
from lake_pipeline.formats.delimited import lines_are_records
from lake_pipeline.formats.packs import PACK_BYTES, Piece, Text, on_disk, read_pieces, size_of
from lake_pipeline.formats.texts import PART_BYTES, Spooled

PART_FILES = 2000
PACK_FILES = 5000


def parts_of(candidates: Iterable[Candidate], folder: Path) -> list[Part]:
    """Group candidates by layout into parts. folder: where packs will be written."""
    groups: dict[tuple[object, ...], list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(candidate.layout, []).append(candidate)
    parts: list[Part] = []
    for members in groups.values():
        packed = [m for m in members if can_be_packed(m)]
        if len(packed) == 1:
            packed = []
        parts.extend(packed_parts(packed, folder))
        among = {m.entry.id for m in packed}
        parts.extend(files_of(m for m in members if m.entry.id not in among))
    return parts


def gathered(candidates: Iterable[Candidate]) -> list[Part]:
    """One part for each layout, for an engine that distributes its rows by itself."""
    groups: dict[tuple[object, ...], list[Part]] = {}
    for candidate in candidates:
        for part in _own_parts(candidate):
            groups.setdefault(candidate.layout, []).append(part)
    return [
        replace(
            parts[0], files=tuple(f for p in parts for f in p.files), longest=max(p.longest for p in parts)
        )
        for parts in groups.values()
    ]


def files_of(candidates: Iterable[Candidate]) -> Iterator[Part]:
    """Parts in which each candidate is a file, or several."""
    small: list[Candidate] = []
    for candidate in candidates:
        if candidate.repaired or len(candidate.file.parts) > 1:
            yield from _own_parts(candidate)
        else:
            small.append(candidate)
    yield from _shared_parts(small)


def _own_parts(candidate: Candidate) -> Iterator[Part]:
    spooled, repaired = candidate.file, candidate.repaired
    has_header = isinstance(spooled.format, Csv) and spooled.format.header
    paths = (repaired.path,) if repaired else spooled.parts
    for index, path in enumerate(paths):
        skip = has_header and index == 0 and repaired is None
        before = 0 if repaired else records_before(spooled, index)
        file = PartFile(whole(path), candidate.entry.id, candidate.partition, skip, before)
        yield Part((file,), spooled.format, candidate.schema, repaired.longest if repaired else 0)


def records_before(spooled: Spooled, index: int) -> int:
    """After which number the records of a part are counted."""
    if isinstance(spooled.format, Csv):
        return delimited.records_before(spooled.format, spooled.starts, index)
    return spooled.starts[index]


def whole(text: Text) -> Text:
    """A text as an engine reads it: not as a piece."""
    return on_disk(text) if isinstance(text, Piece) else text


def _shared_parts(candidates: list[Candidate]) -> Iterator[Part]:
    for members in _portions(candidates, PART_FILES, PART_BYTES):
        form = members[0].file.format
        skip = isinstance(form, Csv) and form.header
        files = [PartFile(whole(m.file.parts[0]), m.entry.id, m.partition, skip) for m in members]
        yield Part(tuple(files), form, members[0].schema)


def _portions(candidates: Iterable[Candidate], most: int, largest: int) -> Iterator[list[Candidate]]:
    """The candidates in their order, so many at a time that a portion is bounded."""
    taken: list[Candidate] = []
    size = 0
    for candidate in candidates:
        taken.append(candidate)
        size += size_of(candidate.file.parts[0])
        if len(taken) >= most or size >= largest:
            yield taken
            taken, size = [], 0
    if taken:
        yield taken


def can_be_packed(candidate: Candidate) -> bool:
    """Whether each line of the candidate's text may be a record that can be led by a number.

    With one column an empty line is no record, but an index and nothing would be one.
    """
    spooled, form = candidate.file, candidate.file.format
    if not isinstance(form, Csv) or not isinstance(spooled.parts[0], Piece):
        return False
    sound = spooled.plain and not spooled.careful and candidate.repaired is None
    return sound and len(candidate.schema) > 1 and not any(c.isalnum() for c in form.separator + form.quote)


def packed_parts(candidates: list[Candidate], folder: Path) -> Iterator[Part]:
    """Parts with a pack, which is yet to be written."""
    for members in _portions(candidates, PACK_FILES, PACK_BYTES):
        pack = folder / f"{members[0].entry.id}-{len(members)}.packed"
        files, before = [], 0
        for member in members:
            files.append(PartFile(pack, member.entry.id, member.partition, before=-before))
            before += data_lines(member)
        yield Part(tuple(files), members[0].file.format, members[0].schema, pack=pack)


def data_lines(candidate: Candidate) -> int:
    """The lines of a delimited text without its header."""
    form = candidate.file.format
    return candidate.file.lines - (isinstance(form, Csv) and form.header)


def write_pack(part: Part, candidates: Mapping[str, Candidate]) -> None:
    """Write a part's pack: text by text, without headers, each line led by the index of its file."""
    form, pack = part.format, part.pack
    assert isinstance(form, Csv)
    assert pack is not None
    pieces = [p for f in part.files for p in candidates[f.source].file.parts if isinstance(p, Piece)]
    with pack.open("wb") as out:
        for index, text in enumerate(read_pieces(pieces)):
            lead = b"%d%b" % (index, form.separator.encode())
            start = text.find(b"\n") + 1 or len(text) if form.header else 0
            end = len(text) - text.endswith(b"\n")
            if start < end:
                out.write(lead + text[start:end].replace(b"\n", b"\n" + lead) + b"\n")


def holds(part: Part, result: PartResult, candidates: Mapping[str, Candidate]) -> bool:
    """Whether each line of a pack was a record of its own, so that each row is attributed to its own line.

    A record is at least one line. So where every file has as many records as lines, none has a line of another.
    """
    if result.broken:
        return False
    return all(
        sum(result.counts.get(f.source, (0, 0))) == data_lines(candidates[f.source]) for f in part.files
    )


def taken_apart(part: Part, candidates: Mapping[str, Candidate], folder: Path) -> Iterator[Part]:
    """A pack that does not hold: the texts in which each line is a record as a pack again, the rest as files."""
    form = part.format
    assert isinstance(form, Csv)
    members = [candidates[f.source] for f in part.files]
    texts = read_pieces(p for m in members for p in m.file.parts if isinstance(p, Piece))
    sound = [
        m for m, text in zip(members, texts, strict=True) if lines_are_records(text, form, len(m.schema))
    ]
    again = sound if 1 < len(sound) < len(members) else []
    yield from packed_parts(again, folder)
    among = {m.entry.id for m in again}
    yield from files_of(m for m in members if m.entry.id not in among)
