"""How deeply JSON is nested: readers recurse, and each gives up at a depth of its own, or takes its process with it."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from lake_pipeline.formats.packs import Text

DEEPEST = 100
TOO_DEEP = f"A record is nested deeper than {DEEPEST} levels, which no file may be."
BLOCK = 1 << 20
OPENING = np.zeros(256, np.int8)
OPENING[[ord("["), ord("{")]] = 1
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')


def too_deep(parts: Iterable[Text]) -> int:
    """The first of the texts' lines, from 1, that is nested deeper than `DEEPEST` levels; 0 where none is."""
    before = 0
    for part in parts:
        with part.open("rb") as text:
            while block := text.read(BLOCK) + text.readline():
                found = _in_block(block)
                if found:
                    return before + found
                before += block.count(b"\n")
    return 0


def _in_block(block: bytes) -> int:
    codes = np.frombuffer(block, np.uint8)
    ends = np.append(np.flatnonzero(codes == ord("\n")), len(block))
    opened = np.concatenate(([0], np.cumsum(OPENING[codes], dtype=np.int64)))[ends + (ends < len(block))]
    doubtful = np.flatnonzero(np.diff(opened, prepend=0) > DEEPEST)  # brackets in strings are counted, too
    for n in doubtful:
        line = block[ends[n - 1] + 1 if n else 0 : ends[n]]
        if depth(line) > DEEPEST:
            return int(n) + 1
    return 0


def depth(text: bytes) -> int:
    """How many levels of lists and objects a JSON text has.

    >>> depth(b'{"a": [[1], [2], "[[["]}')
    3
    """
    codes = np.frombuffer(STRING.sub(b"", text), np.uint8)
    closing = (codes == ord("]")) | (codes == ord("}"))
    steps = OPENING[codes] - closing.astype(np.int8)
    return int(np.cumsum(steps, dtype=np.int64).max(initial=0))
