"""Bring one landed object to local disk, checked on the way: the envelope of a file.

One pass over the bytes hashes, decompresses, transcodes to UTF-8 and counts what later stages need to
know. Large text files are cut into parts at record boundaries, so that work on them is parallel and
bounded; where the parts lie depends on the content alone, so that a repeated run makes the same ones.
"""

from __future__ import annotations

import codecs
import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path

import zstandard

from lake_pipeline.datasets.config import Csv, Format, Parquet
from lake_pipeline.formats.packs import SMALL, Packs
from lake_pipeline.formats.texts import Behind, PartWriter, Spooled, small
from lake_pipeline.reasons import Reason
from lake_pipeline.storage import ObjectMeta

BOM = b"\xef\xbb\xbf"
# Bytes that are decompressed at once. Deflate makes at most 1,032 of one (zlib's documentation), Zstandard at most
# 128 KB of a block of 4 (RFC 8878, 3.1.1.2): never more than some 32 MB at a time.
SLICES = {"gzip": 8 * 1024, "zstd": 1024}
GATHERED = 1024 * 1024


class Refused(Exception):
    """The file cannot go on; the reason says why. Caught where files are judged, never by users."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.reason = Reason(code, message)


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


def spool(
    chunks: Iterable[bytes | memoryview],
    name: str,
    form: Format,
    target: Path,
    packs: Packs | None = None,
    most: int | None = None,
) -> Spooled:
    """Write the object to `target` (with ``.1``, ``.2`` … for further parts); raises `Refused`.

    most: how many bytes a compressed one may have when it is decompressed.
    `target` is a path without suffix; the parts' names sort in their order. A small delimited text goes to
    `packs`, where there are any, and to `target` only when it is asked for as a file.
    """
    sha = hashlib.sha256()
    with Behind() as hashing:
        compression = compression_of(name, form)
        plain = decompressed(hashed(chunks, sha, hashing), compression)
        found = _spool(plain if compression == "none" else limited(plain, most), form, target, packs)
    return replace(found, sha256=sha.hexdigest())


def _spool(plain: Iterator[bytes], form: Format, target: Path, packs: Packs | None) -> Spooled:
    if isinstance(form, Parquet):
        with target.open("wb") as out:
            for chunk in plain:
                out.write(chunk)
        return Spooled(form, (target,), sha256="")
    texts = line_feeds(utf8(plain, form.encoding if isinstance(form, Csv) else "utf-8"))
    if packs is not None and isinstance(form, Csv):
        begin, all_of_it = beginning(texts, SMALL)
        if all_of_it:
            _check_blank(not begin.strip())
            return small(begin, packs.add(begin, target), form)
        texts = chain((begin,), texts)
    quote, delimiter = (form.quote, form.separator) if isinstance(form, Csv) else ("", "")
    writer = PartWriter(target, quote.encode(), delimiter.encode())
    with closing(writer):
        for chunk in texts:
            writer.write(chunk)
    _check_blank(writer.blank)
    return writer.spooled(form)


def _check_blank(blank: bool) -> None:
    if blank:
        raise Refused("EMPTY_FILE", "The file has nothing but white space in it.")


def beginning(texts: Iterator[bytes], limit: int) -> tuple[bytes, bool]:
    """What is read until `limit` bytes are there or the text ends, and whether it is the whole text."""
    taken: list[bytes] = []
    size = 0
    for text in texts:
        taken.append(text)
        size += len(text)
        if size >= limit:
            return b"".join(taken), False
    return b"".join(taken), True


def hashed(chunks: Iterable[bytes | memoryview], sha: hashlib._Hash, behind: Behind) -> Iterator[bytes]:
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
    current, begun = make(), False
    padding = b"\0" if compression == "gzip" else b""
    try:
        for chunk in sliced(chunks, SLICES[compression]):
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


def sliced(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in slices."""
    for chunk in chunks:
        yield from (chunk[at : at + size] for at in range(0, len(chunk), size))


def limited(chunks: Iterator[bytes], most: int | None) -> Iterator[bytes]:
    """The same bytes, small chunks gathered; raises `Refused` when there are more than `most`."""
    taken: list[bytes] = []
    size = total = 0
    for chunk in chunks:
        taken.append(chunk)
        size += len(chunk)
        total += len(chunk)
        if most is not None and total > most:
            raise Refused(
                "FILE_TOO_LARGE", f"The file has more than {most} bytes decompressed; no more are allowed."
            )
        if size >= GATHERED:
            yield b"".join(taken)
            taken, size = [], 0
    yield b"".join(taken)


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
