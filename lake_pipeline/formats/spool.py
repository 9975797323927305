"""Bring one landed object to local disk, checked on the way: the envelope of a file.

One pass over the bytes hashes, decompresses, transcodes to UTF-8 and counts what later stages need to
know. Large text files are cut into parts at record boundaries, so that work on them is parallel and
bounded; where the parts lie depends on the content alone, so that a repeated run makes the same ones.
"""

from __future__ import annotations

import codecs
import hashlib
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Self

import numpy as np
import zstandard

from lake_pipeline.datasets.config import Csv, Format, Parquet
from lake_pipeline.reasons import Reason
from lake_pipeline.storage import ObjectMeta

PART_BYTES = 32 * 1024 * 1024
BIG = 1024 * 1024  # bytes that are worth another thread
BOM = b"\xef\xbb\xbf"
SPACE, LINE_FEED = ord(" "), ord("\n")
BLOCK = 128 * 1024  # bytes that are looked at while they are in the cache
KEPT = 16  # bytes remembered of the text before, for what stands across two chunks


class Refused(Exception):
    """The file cannot go on; the reason says why. Caught where files are judged, never by users."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.reason = Reason(code, message)


@dataclass(frozen=True)
class Spooled:
    """A landed object on local disk: UTF-8 text (or Parquet), decompressed, in one or more parts.

    sha256: of the object's bytes as landed. starts: how many lines precede each part. lines: line breaks
    in the text, one more where the last line has none. quotes: whether the format's quote character
    occurs; nul: whether a NUL byte does; odd_quotes: whether a quote may stand beside a space outside its
    field.
    """

    format: Format
    parts: tuple[Path, ...]
    sha256: str
    starts: tuple[int, ...] = (0,)
    lines: int = 0
    quotes: bool = False
    nul: bool = False
    odd_quotes: bool = False
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


def format_of(name: str, formats: Iterable[Format]) -> Format:
    """The format whose suffix the name ends in, the longest winning; raises `Refused`."""
    found = [(len(e), f) for f in formats for e in f.endings if name.lower().endswith(e)]
    if not found:
        known = ", ".join(e for f in formats for e in f.endings)
        raise Refused("UNSUPPORTED_SUFFIX", f'"{name}" ends in none of {known}.')
    return max(found, key=lambda pair: pair[0])[1]


def check_size(meta: ObjectMeta, smallest: int, largest: int) -> None:
    """The size limits of landed bytes; raises `Refused`."""
    if meta.size == 0:
        raise Refused("EMPTY_FILE", "The file has 0 bytes.")
    if meta.size < smallest:
        raise Refused("FILE_TOO_SMALL", f"The file has {meta.size} bytes; at least {smallest} are expected.")
    if meta.size > largest:
        raise Refused("FILE_TOO_LARGE", f"The file has {meta.size} bytes; at most {largest} are allowed.")


def spool(chunks: Iterable[memoryview], name: str, form: Format, target: Path) -> Spooled:
    """Write the object to `target` (with ``.1``, ``.2`` … for further parts); raises `Refused`.

    `target` is a path without suffix; the parts' names sort in their order.
    """
    sha = hashlib.sha256()
    with Behind() as hashing:
        found = _spool(hashed(chunks, sha, hashing), name, form, target)
    return replace(found, sha256=sha.hexdigest())


def _spool(chunks: Iterator[bytes], name: str, form: Format, target: Path) -> Spooled:
    plain = decompressed(chunks, compression_of(name, form))
    if isinstance(form, Parquet):
        with target.open("wb") as out:
            for chunk in plain:
                out.write(chunk)
        return Spooled(form, (target,), sha256="")
    encoding = form.encoding if isinstance(form, Csv) else "utf-8"
    quote, delimiter = (form.quote, form.separator) if isinstance(form, Csv) else ("", "")
    writer = PartWriter(target, quote.encode(), delimiter.encode())
    with closing(writer):
        for chunk in line_feeds(utf8(plain, encoding)):
            writer.write(chunk)
    if writer.blank:
        raise Refused("EMPTY_FILE", "The file has nothing but white space in it.")
    return writer.spooled(form)


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


def hashed(chunks: Iterable[memoryview], sha: hashlib._Hash, behind: Behind) -> Iterator[bytes]:
    """The chunks, fed to the hash as they pass."""
    for chunk in chunks:
        data = bytes(chunk)
        behind.do(sha.update, data)
        yield data


def compression_of(name: str, form: Format) -> str:
    """``none``, ``gzip`` or ``zstd``: as the format says, or by the suffix."""
    if form.compression != "auto":
        return form.compression
    lower = name.lower()
    return "gzip" if lower.endswith(".gz") else "zstd" if lower.endswith((".zst", ".zstd")) else "none"


def decompressed(chunks: Iterator[bytes], compression: str) -> Iterator[bytes]:
    """The plain bytes; raises `Refused` for a damaged or truncated stream.

    Several members may follow one another; zeros after a gzip member are padding, as gunzip sees it.
    """
    if compression == "none":
        yield from chunks
        return
    make: Callable[[], object] = (
        (lambda: zlib.decompressobj(wbits=31))
        if compression == "gzip"
        else zstandard.ZstdDecompressor().decompressobj
    )
    current, pending, begun = make(), b"", False
    padding = b"\0" if compression == "gzip" else b""
    try:
        for chunk in chunks:
            pending = chunk
            while pending := pending if begun else pending.lstrip(padding):
                begun = True
                yield current.decompress(pending)  # type: ignore[attr-defined]
                pending = current.unused_data if current.eof else b""  # type: ignore[attr-defined]
                if current.eof:  # type: ignore[attr-defined]
                    current, begun = make(), False
    except (zlib.error, zstandard.ZstdError) as e:
        raise Refused("BAD_COMPRESSION", f"The file is not valid {compression}: {e}.") from e
    if begun:
        raise Refused(
            "BAD_COMPRESSION", f"The {compression} stream ends in the middle; the file is truncated."
        )


def utf8(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The text as UTF-8 without byte order mark; raises `Refused` where it is not in `encoding`."""
    name = codecs.lookup(encoding).name
    decoder = codecs.getincrementaldecoder(name)(errors="strict")
    at, first = 0, True
    for chunk in chunks:
        plain = name in {"utf-8", "ascii"} and chunk.isascii() and not decoder.getstate()[0]
        text = chunk if plain else _decode(decoder, chunk, at, encoding)
        at += len(chunk)
        if first and text:
            text = _without_bom(text)
            first = not text
        yield text
    yield _decode(decoder, b"", at, encoding, final=True)


def _without_bom(text: bytes) -> bytes:
    """Tools that prepend a byte order mark prepend another to a file that has one."""
    while text.startswith(BOM):
        text = text.removeprefix(BOM)
    return text


def _decode(
    decoder: codecs.IncrementalDecoder, chunk: bytes, at: int, encoding: str, final: bool = False
) -> bytes:
    try:
        return decoder.decode(chunk, final).encode()
    except UnicodeDecodeError as e:
        held = len(e.object) - len(chunk)
        raise Refused(
            "BAD_ENCODING",
            f"The file is not {encoding}: byte {at - held + e.start} is 0x{e.object[e.start]:02x} ({e.reason}).",
        ) from e


def line_feeds(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The text; where its lines end in lone CRs, as the first chunk tells, with every line break an LF."""
    first = next((c for c in chunks if c), b"")
    if b"\n" in first or b"\r" not in first.rstrip():
        yield first
        yield from chunks
        return
    after = False
    for chunk in chain((first,), chunks):
        text = chunk[1:] if after and chunk[:1] == b"\n" else chunk
        after = chunk.endswith(b"\r") if chunk else after
        yield text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


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
        if len(self._head) < 65536:
            self._head += text[:65536]
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
            header=self._head.decode(errors="ignore"),
        )
