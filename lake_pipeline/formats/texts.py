"""Write the text of a file to local disk, and tell what is in it: the bytes are looked at once.

Large text is cut into parts at record boundaries; a small one is a piece of a file it shares with others.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Self

import numpy as np

from lake_pipeline.datasets.config import Csv, Format
from lake_pipeline.formats.packs import Text

PART_BYTES = 32 * 1024 * 1024
BIG = 1024 * 1024  # bytes that are worth another thread
SPACE, LINE_FEED = ord(" "), ord("\n")
BLOCK = 128 * 1024  # bytes that are looked at while they are in the cache
KEPT = 16  # bytes remembered of the text before, for what stands across two chunks
HEAD = 65536  # bytes of a text in which its header is


@dataclass(frozen=True)
class Spooled:
    """A landed object on local disk: UTF-8 text (or Parquet), decompressed, in one or more parts.

    sha256: of the object's bytes as landed. starts: how many lines precede each part. lines: line breaks
    in the text, one more where the last line has none. quotes: whether the format's quote character
    occurs; nul: whether a NUL byte does; odd_quotes: whether a quote may stand beside a space outside its
    field. plain: nothing seen speaks against each line being a record (known of small texts only).
    """

    format: Format
    parts: tuple[Text, ...]
    sha256: str
    starts: tuple[int, ...] = (0,)
    lines: int = 0
    quotes: bool = False
    nul: bool = False
    odd_quotes: bool = False
    plain: bool = False
    header: str = field(default="", compare=False)

    @property
    def careful(self) -> bool:
        """Whether an engine's own reader may take the text for something else without telling."""
        return self.nul or self.odd_quotes

    def blank_lines(self) -> int:
        """How many lines have nothing in them: counted only when somebody asks."""
        count = 0
        for part in self.parts:
            with part.open("rb") as text:
                count += sum(not line.strip(b"\r\n") for line in text)
        return count


class Behind:
    """Work on big buffers that needs no GIL, in order, on a thread behind; small buffers are done at once."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[object]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()
        if self._pool is not None:
            self._pool.shutdown()

    def do(self, work: Callable[[bytes], object], data: bytes) -> None:
        """Do the work on the data, now or soon; not more than a few buffers wait."""
        if self._pool is None and len(data) < BIG:
            work(data)
            return
        self._pool = self._pool or ThreadPoolExecutor(1)
        while len(self._waiting) >= 4:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(work, data))

    def finish(self) -> None:
        """Wait until all is done; raises what the work raised."""
        while self._waiting:
            self._waiting.popleft().result()


@cache
def odd_quotes(quote: bytes, delimiter: bytes) -> re.Pattern[bytes]:
    """Where a quote stands beside spaces outside its field: ``, "a"`` or ``"a" ,`` or ``"a" "b"``.

    DuckDB's reader drops such spaces, and joins such fields, without a word. Doubled quotes within a
    field (JSON in CSV) do not match; other text of quoted fields may, which costs time and nothing else.
    """
    q, d = re.escape(quote), re.escape(delimiter)
    before = rb"(?:[%b\r\n]|\A) +%b(?:(?!%b)|%b[%b\r\n])" % (d, q, q, q, d)
    after = rb"[^%b\r\n%b]%b +(?:[%b\r\n%b]|\Z)|%b%b +%b(?!%b)" % (d, q, q, d, q, q, q, q, q)
    empty = rb"(?:[%b\r\n]|\A)%b%b +" % (d, q, q)
    return re.compile(before + b"|" + after + b"|" + empty)


def _tally(text: bytes, quote: bytes) -> tuple[int, int, bool]:
    """(line breaks, quotes, whether a quote stands beside a space): in blocks that stay in the CPU's cache."""
    codes = np.frombuffer(text, np.uint8)
    breaks = quotes = 0
    beside = False
    for start in range(0, codes.size, BLOCK):
        block = codes[start : start + BLOCK + 1]  # and the first of the next, for what stands across
        breaks += int(np.count_nonzero(block[:BLOCK] == LINE_FEED))
        if not quote:
            continue
        is_quote = block == quote[0]
        found = int(np.count_nonzero(is_quote[:BLOCK]))
        quotes += found
        if found and not beside:
            is_space = block == SPACE
            beside = bool((is_quote[:-1] & is_space[1:]).any() or (is_space[:-1] & is_quote[1:]).any())
    return breaks, quotes, beside


class PartWriter:
    """Writes text into parts of about `PART_BYTES`, each beginning at a record."""

    def __init__(self, target: Path, quote: bytes, delimiter: bytes) -> None:
        self._target, self._quote = target, quote
        self._odd = odd_quotes(quote, delimiter) if quote else None
        self._odd_seen = False
        self._paths, self._starts = [target], [0]
        self._out = target.open("wb")
        self._behind = Behind()
        self._size = self._breaks = self._quoted = 0
        self._full = False
        self._nul, self.blank, self._last, self._head = False, True, b"", b""

    def write(self, text: bytes) -> None:
        """Append text; where a part is full, go on in the next from the first record that starts after it.

        Where that is depends on the whole text alone, not on how it is cut into calls.
        """
        if not text:
            return
        if len(self._head) < HEAD:
            self._head += text[:HEAD]
        while text:
            if self._full:
                self._next()
            room = PART_BYTES - self._size
            cut = room if room > 0 else self._boundary(text)
            self._append(text[:cut])
            self._full = room <= 0 and cut is not None
            text = b"" if cut is None else text[cut:]

    def _boundary(self, text: bytes) -> int | None:
        """The index after the first line break outside quotes, seen from here; None where there is none."""
        inside = self._quoted % 2 == 1
        at = 0
        while (end := text.find(b"\n", at)) >= 0:
            if self._quote:
                inside ^= text.count(self._quote, at, end) % 2 == 1
            if not inside:
                return end + 1
            at = end + 1
        return None

    def _append(self, text: bytes) -> None:
        self._behind.do(self._out.write, text)
        self._size += len(text)
        breaks, quotes, beside = _tally(text, self._quote)
        self._breaks += breaks
        self._quoted += quotes
        self._nul = self._nul or b"\0" in text
        self.blank = self.blank and not text.strip()
        if self._odd and not self._odd_seen:  # the pattern is slow: it is asked only where it may match
            seam = self._last + text[:KEPT]
            self._odd_seen = bool(self._odd.search(seam)) or (beside and bool(self._odd.search(text)))
        self._last = text[-KEPT:] if len(text) >= KEPT else (self._last + text)[-KEPT:]

    def _next(self) -> None:
        self._behind.finish()
        self._out.close()
        self._paths.append(self._target.with_name(f"{self._target.name}.{len(self._paths)}"))
        self._starts.append(self._breaks)
        self._out = self._paths[-1].open("wb")
        self._size, self._full = 0, False

    def close(self) -> None:
        """Finish the last part."""
        with self._behind:
            self._behind.finish()
        self._out.close()

    def spooled(self, form: Format) -> Spooled:
        """What was written."""
        return Spooled(
            form,
            tuple(self._paths),
            sha256="",
            starts=tuple(self._starts),
            lines=self._breaks + (self._last[-1:] not in (b"", b"\n")),
            quotes=self._quoted > 0,
            nul=self._nul,
            odd_quotes=self._odd_seen,
            header=header_of(self._head, form),
        )


def small(text: bytes, part: Text, form: Csv) -> Spooled:
    """A text that is all here, as `PartWriter` would describe it."""
    quote, delimiter = form.quote.encode(), form.separator.encode()
    quotes = bool(quote) and quote in text
    beside = quotes and (quote + b" " in text or b" " + quote in text)
    first = first_line(text)
    alone = is_record(first, form.separator, form.quote)
    return Spooled(
        form,
        (part,),
        sha256="",
        lines=text.count(b"\n") + (not text.endswith(b"\n")),
        quotes=quotes,
        nul=b"\0" in text,
        odd_quotes=beside and bool(odd_quotes(quote, delimiter).search(text)),
        plain=alone and b"\r" not in text and b"\n\n" not in text,
        header=header_of(text[: max(len(first), HEAD)], form),
    )


def header_of(head: bytes, form: Format) -> str:
    """What of a text's beginning says its columns, and no rows where they can be told apart.

    It travels with the file: from a task on a cluster to the driver, which is not to have the rows.
    """
    if not isinstance(form, Csv):
        return ""
    quote, first = form.quote.encode(), first_line(head)
    alone = is_record(first, form.separator, form.quote) and not (quote and quote in first)
    return (first if alone else head[:HEAD]).decode(errors="ignore")


def first_line(text: bytes) -> bytes:
    """The first line with its end; all of the text where it has none."""
    return text[: text.find(b"\n") + 1] or text


@lru_cache(maxsize=256)
def is_record(line: bytes, delimiter: str, quote: str) -> bool:
    """Whether the line is one record, by itself and whatever follows."""
    if len(line) > HEAD or not line.strip() or b"\r" in line.rstrip(b"\r\n"):
        return False
    if not quote or quote.encode() not in line:
        return True
    try:
        return len(list(csv.reader([line.decode()], delimiter=delimiter, quotechar=quote, strict=True))) == 1
    except csv.Error:
        return False
