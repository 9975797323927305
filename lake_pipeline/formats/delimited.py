"""Delimited text: what its header says, and where its records are when an engine's reader gives up.

The engine's own strict reader is the normal path. This module is the careful one: for the header of
every file, and for the records of files that have structural faults, so that every fault costs exactly
its own record.
"""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from lake_pipeline.datasets.config import Csv
from lake_pipeline.formats.packs import Text
from lake_pipeline.formats.spool import Refused
from lake_pipeline.formats.texts import HEAD, LINE_FEED

OTHER_DELIMITERS = (",", ";", "\t", "|", ":")
# A quoted field that spans more lines than this is taken for an unbalanced quote.
MAX_LINES_PER_RECORD = 1000
BATCH_LINES = 500
BOM = "\ufeff"
csv.field_size_limit(256 * 1024 * 1024)


@dataclass(frozen=True)
class Malformed:
    """A record that cannot be parsed: its first line (1-based, as in the file), its text, and why."""

    line: int
    raw: str
    fault: str


@dataclass(frozen=True)
class Repaired:
    """A file's sound records, written to `path` one after another, and its faulty ones.

    lines: the first line of each sound record in the original, by its index. tall: of those that span
    several lines, how many, by their first line.
    """

    path: Text
    lines: Sequence[int]
    longest: int
    malformed: tuple[Malformed, ...]
    tall: Mapping[int, int] = field(default_factory=dict)


def header(text: str, form: Csv, expected: tuple[str, ...], required: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that a file's first record names; raises `Refused` where they cannot be used.

    For a format without a header, the expected columns in their order, checked by their number.
    """
    cut = len(text.encode()) >= HEAD - 3 and is_cut(text, form)  # 3: the bytes of a character that was cut
    if cut and not form.header:
        return expected
    if cut:
        raise Refused(
            "HEADER_MISMATCH", f"The header is longer than {HEAD // 1024} KB; is there a line break after it?"
        )
    first = first_record(text, form.separator, form.quote)
    if not form.header:
        if len(first) != len(expected):
            raise Refused(
                "HEADER_MISMATCH",
                f"The first record has {len(first)} fields; without a header, the contract's "
                f"{len(expected)} columns are expected in their order.",
            )
        return expected
    missing = [name for name in required if name not in first]
    if missing:
        _wrong_delimiter(text, form, required)
        raise Refused(
            "HEADER_MISMATCH", f"Required columns are missing: {', '.join(missing)}. {_found(first)}"
        )
    folded = [name.casefold() for name in first]
    for name in first:
        if not name.strip():
            raise Refused("HEADER_MISMATCH", f"A column has no name. {_found(first)}")
        if folded.count(name.casefold()) > 1:
            raise Refused(
                "HEADER_MISMATCH", f'The column "{name}" stands there more than once. {_found(first)}'
            )
    return first


def first_record(text: str, delimiter: str, quote: str) -> tuple[str, ...]:
    """The fields of the first record of a text that is no blank line."""
    try:
        return tuple(next(filter(None, _reader(io.StringIO(text, newline=""), delimiter, quote)), []))
    except csv.Error as e:
        raise Refused("HEADER_MISMATCH", f"The header cannot be parsed: {e}.") from e


def is_cut(text: str, form: Csv) -> bool:
    """Whether the beginning of a text ends within its first record."""
    lines = io.StringIO(text, newline="")
    try:
        next(filter(None, _reader(lines, form.separator, form.quote)), None)
    except csv.Error:
        return not lines.read()
    return not lines.read() and not text.endswith(("\n", "\r"))


def _wrong_delimiter(text: str, form: Csv, required: tuple[str, ...]) -> None:
    for other in OTHER_DELIMITERS:
        if other == form.separator:
            continue
        try:
            names = first_record(text, other, form.quote)
        except Refused:
            continue
        if all(name in names for name in required):
            raise Refused(
                "WRONG_DELIMITER",
                f"The header is delimited by {other!r}; the format says {form.separator!r}.",
            )


def _found(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return f"The file has: {shown}."[:500]


def _reader(lines: Iterable[str], delimiter: str, quote: str) -> Iterator[list[str]]:
    if not quote:
        return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)
    return csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=True)


def repair(parts: tuple[Text, ...], form: Csv, width: int, target: Path) -> Repaired:
    """Tell the sound records of a file from the faulty ones; writes the sound ones, without the header.

    A record is sound when it parses strictly and has `width` fields. A quote that never closes, or
    closes in the wrong place, makes its own line faulty and no other.
    """
    source = physical_lines(parts)
    if form.header:
        _skip_header(source, form)
    lines = array("Q")  # a list takes five times as much
    malformed: list[Malformed] = []
    tall: dict[int, int] = {}
    longest = 0
    with target.open("w", encoding="utf-8", newline="") as out:
        for line, text, fault in _records(source, form, width):
            if fault:
                malformed.append(Malformed(line, text.rstrip("\r\n"), fault))
                continue
            sound = _plain(text, form)
            out.write(sound)
            longest = max(longest, len(sound.encode()))
            lines.append(line)
            if breaks := text.rstrip("\r\n").count("\n"):
                tall[line] = breaks + 1
    return Repaired(target, lines, longest, tuple(malformed), tall)


def _plain(text: str, form: Csv) -> str:
    """A sound record as every reader understands it: quoted all over where a quote or a BOM is in it."""
    text = text.rstrip("\r\n")
    if not form.quote or (form.quote not in text and not text.startswith(BOM)):
        return text + "\n"
    out = io.StringIO(newline="")
    writer = csv.writer(
        out, delimiter=form.separator, quotechar=form.quote, quoting=csv.QUOTE_ALL, lineterminator="\n"
    )
    writer.writerows(_reader(io.StringIO(text, newline=""), form.separator, form.quote))
    return out.getvalue()


class physical_lines:  # noqa: N801 - an iterator used like a function
    """The lines of a text in parts, numbered from 1, which can be put back."""

    def __init__(self, parts: tuple[Text, ...]) -> None:
        self._lines = self._read(parts)
        self._back: list[tuple[int, str]] = []

    @staticmethod
    def _read(parts: tuple[Text, ...]) -> Iterator[tuple[int, str]]:
        number = 0
        for part in parts:
            with part.open(encoding="utf-8", newline="\n") as text:
                for line in text:
                    number += 1
                    yield number, line

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return self

    def __next__(self) -> tuple[int, str]:
        return self._back.pop() if self._back else next(self._lines)

    def put_back(self, lines: list[tuple[int, str]]) -> None:
        """Give lines back, to be read again in their order."""
        self._back.extend(reversed(lines))


def _skip_header(source: physical_lines, form: Csv) -> None:
    for number, line in source:
        if line.strip():
            if form.quote and line.count(form.quote) % 2:
                _continue(source, [(number, line)], form, width=0)
            return


def _records(source: physical_lines, form: Csv, width: int) -> Iterator[tuple[int, str, str]]:
    """(first line, text, fault or ``""``) of every record; blank lines are no records."""
    while batch := list(islice(source, BATCH_LINES)):
        if _all_sound([text for _, text in batch], form, width):
            yield from ((number, text, "") for number, text in batch)
            continue
        source.put_back(batch)
        for number, line in islice(source, BATCH_LINES):
            if line.strip("\r\n"):
                yield _record(source, number, line, form, width)


def _all_sound(lines: list[str], form: Csv, width: int) -> bool:
    """Whether every line is a sound record by itself; at the speed of the csv module."""
    if any("\0" in line for line in lines):
        return False
    try:
        rows = list(_reader(iter(lines), form.separator, form.quote))
    except csv.Error:
        return False
    return len(rows) == len(lines) and all(len(row) == width for row in rows)


def lines_are_records(text: bytes, form: Csv, width: int) -> bool:
    """Whether every line of a text without its header is a sound record by itself."""
    lines = io.StringIO(text.decode(), newline="\n").readlines()
    return _all_sound(lines[form.header :], form, width)


def _record(source: physical_lines, number: int, line: str, form: Csv, width: int) -> tuple[int, str, str]:
    taken = [(number, line)]
    fault = _fault(line, form, width)
    if fault == OPEN:
        fault = _continue(source, taken, form, width)
    return number, "".join(text for _, text in taken), fault


OPEN = "a quote is opened and not closed"


def _continue(source: physical_lines, taken: list[tuple[int, str]], form: Csv, width: int) -> str:
    """Add lines until the record closes soundly; where it does not, give them back: one line is faulty.

    width: 0 for a record of any width.
    """
    fault = OPEN
    while fault == OPEN and len(taken) < MAX_LINES_PER_RECORD:
        following = next(source, None)
        if following is None:
            break
        taken.append(following)
        if form.quote in following[1]:
            fault = _fault("".join(t for _, t in taken), form, width)
    if not fault:
        return ""
    source.put_back(taken[1:])
    del taken[1:]
    return OPEN


def _fault(text: str, form: Csv, width: int) -> str:
    if "\0" in text:
        return "it contains a NUL byte"
    try:
        rows = list(_reader(io.StringIO(text.rstrip("\r\n"), newline=""), form.separator, form.quote))
    except csv.Error as e:
        return OPEN if "unexpected end of data" in str(e) else f"{e}"
    if len(rows) != 1:
        return f"it holds {len(rows)} records in one line"
    if width and len(rows[0]) != width:
        return f"it has {len(rows[0])} fields, expected {width}"
    return ""


def raw_lines(parts: tuple[Text, ...], numbers: list[int], starts: tuple[int, ...] = (0,)) -> dict[int, str]:
    """The text of some lines (sorted, 1-based) of a file in parts: one fast pass.

    starts: how many lines precede each part; parts without a wanted line are not read.
    """
    found: dict[int, str] = {}
    wanted = iter(numbers)
    target = next(wanted, None)
    seen = 0
    for index, part in enumerate(parts):
        if index + 1 < len(starts) and target is not None and target > starts[index + 1]:
            seen = starts[index + 1]
            continue
        with part.open("rb") as f:
            while target is not None and (block := f.read(1 << 20) + f.readline()):
                ends = np.flatnonzero(np.frombuffer(block, np.uint8) == LINE_FEED)
                if not block.endswith(b"\n"):
                    ends = np.append(ends, len(block))
                while target is not None and target <= seen + len(ends):
                    at = target - seen - 1
                    line = block[ends[at - 1] + 1 if at else 0 : ends[at]]
                    found[target] = line.decode().rstrip("\r")
                    target = next(wanted, None)
                seen += len(ends)
    return found


def count_records(parts: tuple[Text, ...], form: Csv) -> int | None:
    """How many records a file has by the csv module, without its header; None where it is not sound."""
    texts = (text for _, text in physical_lines(parts))
    try:
        rows = sum(1 for row in _reader(texts, form.separator, form.quote) if row)
    except csv.Error:
        return None
    return rows - form.header


def raw_records(
    parts: tuple[Text, ...], form: Csv, records: list[int], starts: tuple[int, ...] = (0,)
) -> dict[int, tuple[int, str]]:
    """(first line, text) of some records (sorted, from 1) of a sound file in which records span lines.

    starts: how many lines precede each part. In each part, records are counted on from the lines before it: see
    `records_before`. Parts without a wanted record are not read.
    """
    found: dict[int, tuple[int, str]] = {}
    for index, part in enumerate(parts):
        first, lines = records_before(form, starts, index), starts[index] if index < len(starts) else 0
        last = records_before(form, starts, index + 1) if index + 1 < len(parts) else records[-1]
        wanted = {n - first for n in records if first < n <= last}
        if wanted:
            texts = _records_of_part(part, form, wanted, header=form.header and index == 0)
            found |= {first + n: (lines + line, text) for n, (line, text) in texts.items()}
    return found


def records_before(form: Csv, starts: tuple[int, ...], index: int) -> int:
    """After which number the records of a part are counted: the lines before it without the header's.

    The lines are known before the records are, and there are as many records at most. So numbers of a file in one
    part, or of one in which each line is a record, have no gaps; others are unique, and in the file's order.
    """
    return max(starts[index] - form.header, 0)


def _records_of_part(part: Text, form: Csv, wanted: set[int], *, header: bool) -> dict[int, tuple[int, str]]:
    """(first line, text) of some records of a part, by their number in it, from 1 without the header."""
    found: dict[int, tuple[int, str]] = {}
    taken: list[tuple[int, str]] = []

    def lines() -> Iterator[str]:
        for number, text in physical_lines((part,)):
            taken.append((number, text))
            yield text

    record = -1 if header else 0
    for row in _reader(lines(), form.separator, form.quote):
        if row:
            record += 1
            if record in wanted:
                found[record] = (taken[0][0], "".join(t for _, t in taken).rstrip("\r\n"))
            if len(found) == len(wanted):
                break
        taken.clear()
    return found
