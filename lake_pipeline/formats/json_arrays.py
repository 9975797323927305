"""JSON arrays of any size: read as a stream, and cut between elements into arrays that fit into memory.

Only brackets, quotes and commas are looked at. What is wrong in an array is for a parser to find, in the chunk
that it is in; where it is said to be is where it is in the whole text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lake_pipeline.formats.json_texts import elements

CHUNK_BYTES = 8 * 1024 * 1024  # DuckDB holds a chunk several times
BLOCK = 1024 * 1024
LONGEST = 256 * 1024 * 1024  # bytes of one element
ESCAPED = re.compile(rb"\\.", re.DOTALL)
QUOTE, COMMA, OPENING, CLOSING = ord('"'), ord(","), (ord("["), ord("{")), (ord("]"), ord("}"))


@dataclass(frozen=True)
class Chunk:
    """Some elements of an array, as an array of their own in `path`.

    chars, lines, column: the characters, line breaks and characters since the last of these before it.
    """

    path: Path
    chars: int = 0
    lines: int = 0
    column: int = 0

    def fault(self) -> str:
        """Why it is no JSON array, in our words, and where in the whole text; nothing where it is one."""
        text = self.path.read_bytes().decode()
        try:
            elements(text)
        except json.JSONDecodeError as e:
            before = text[: e.pos]
            column = e.pos - before.rfind("\n") if "\n" in before else self.column + e.pos + 1
            line = self.lines + before.count("\n") + 1
            return f"{e.msg}: line {line} column {column} (char {self.chars + e.pos})"
        except ValueError as e:
            return str(e)
        return ""


def chunks(source: Path, most: int = CHUNK_BYTES, block: int = BLOCK) -> Iterator[Chunk]:
    """The array in chunks of about `most` bytes, one file after another; a text that is no array is one chunk.

    Raises ValueError for an element that is too long.
    """
    path = source.with_name(source.name + ".chunk")
    cuts, pending, chars, lines, column = Cuts(), bytearray(), 0, 0, 0
    last = 0  # where the newest cut is in `pending`
    first = True
    with source.open("rb") as text:
        while read := text.read(block):
            at = cuts.last(read)
            last = len(pending) + at if at is not None else last
            pending += read
            if len(pending) < most:
                continue
            if first and pending.strip() and pending.lstrip()[:1] != b"[":
                break  # a parser says so at its beginning
            if last:
                found = bytes(pending[:last])
                # where no element is before it, the comma is the fault
                end = b"]" if found.lstrip()[1:].strip() else b",]"
                yield chunk(path, found + end, chars, lines, column, first)
                decoded = found.decode()
                chars, lines = chars + len(decoded), lines + decoded.count("\n")
                column = len(decoded) - decoded.rfind("\n") - 1 + (0 if "\n" in decoded else column)
                del pending[:last]
                last, first = 0, False
            elif len(pending) > LONGEST:
                raise ValueError(f"An element after char {chars} is longer than {LONGEST} bytes")
    if not first and bytes(pending[1:]).strip() == b"]":
        raise ValueError(f"Expecting value: after the comma before the end (char {chars})")
    yield chunk(path, bytes(pending), chars, lines, column, first)


def chunk(path: Path, text: bytes, chars: int, lines: int, column: int, first: bool) -> Chunk:
    """A chunk that begins with the array's own bracket, or has one in place of the comma before it."""
    path.write_bytes(text if first else b"[" + text[1:])
    return Chunk(path, chars, lines, column)


class Cuts:
    """Finds the commas between the elements of an array, block by block."""

    def __init__(self) -> None:
        self._depth, self._inside, self._held = 0, False, b""

    def last(self, block: bytes) -> int | None:
        """Where the last such comma is in the block; None where there is none."""
        text = self._held + block
        ahead = len(self._held)
        if b"\\" in text:
            text = ESCAPED.sub(b"  ", text)
        self._held = b"\\" if text.endswith(b"\\") else b""
        codes = np.frombuffer(text, np.uint8)
        inside = np.logical_xor.accumulate(codes == QUOTE) ^ self._inside
        steps = np.isin(codes, OPENING).astype(np.int8) - np.isin(codes, CLOSING).astype(np.int8)
        steps[inside] = 0
        depth = np.cumsum(steps, dtype=np.int32) + self._depth
        self._inside, self._depth = bool(inside[-1]), int(depth[-1])
        found = np.flatnonzero((codes == COMMA) & ~inside & (depth == 1))
        return int(found[-1]) - ahead if found.size else None
