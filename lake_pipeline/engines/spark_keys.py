"""Find out on Spark's executors whether a key occurs twice, by sorting 64-bit hashes.

A grouping of SQL's costs about four times as much where most keys are different: it keeps a hash map of all keys
on both sides of a shuffle, and shuffles a row for each. Here a task sends its hashes in blocks, one for each range.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

BLOCKS = pa.schema([("by", pa.string()), ("range", pa.int32()), ("hashes", pa.binary())])
COUNTS = pa.schema([("by", pa.string()), ("keys", pa.int64()), ("twice", pa.bool_())])
HELD = 1 << 20  # hashes that are sorted at once
Hashes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Blocks:
    """From rows (``by``, ``hash``) to blocks of sorted hashes, by value of ``by`` and range of hashes.

    ranges: of equal width, how many.
    """

    ranges: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held: defaultdict[str, list[Hashes]] = defaultdict(list)
        rows = 0
        for batch in batches:
            rows += batch.num_rows
            for by, hashes in groups(batch):
                held[by].append(hashes)
            if rows >= HELD:
                yield self._blocks(held)
                held.clear()
                rows = 0
        if rows:
            yield self._blocks(held)

    def _blocks(self, held: dict[str, list[Hashes]]) -> pa.RecordBatch:
        starts = [2**64 * i // self.ranges - 2**63 for i in range(1, self.ranges)]
        found: list[tuple[str, int, bytes]] = []
        for by, parts in held.items():
            hashes = at_most_twice(np.sort(np.concatenate(parts)))
            blocks = np.split(hashes, np.searchsorted(hashes, np.array(starts, np.int64)))
            found.extend((by, i, block.tobytes()) for i, block in enumerate(blocks) if block.size)
        return pa.record_batch([list(column) for column in zip(*found, strict=True)], schema=BLOCKS)


def at_most_twice(hashes: Hashes) -> Hashes:
    """Sorted hashes, none more than twice: a key that most rows have must not be one task's, as often as it occurs."""
    kept = np.ones(hashes.size, np.bool_)
    kept[2:] = hashes[2:] != hashes[:-2]
    return hashes[kept]


def groups(batch: pa.RecordBatch) -> Iterator[tuple[str, Hashes]]:
    """The hashes of each value of ``by``."""
    values = batch["by"].dictionary_encode()
    hashes = batch["hash"].to_numpy()
    if len(values.dictionary) == 1:
        yield values.dictionary[0].as_py(), hashes
        return
    for i, by in enumerate(values.dictionary.to_pylist()):
        yield by, hashes[values.indices.to_numpy() == i]


def counts(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """From blocks to how many hashes there are, and whether one occurs twice: of each ``by`` and range."""
    blocks: defaultdict[tuple[str, int], list[Hashes]] = defaultdict(list)
    for batch in batches:
        for row in batch.to_pylist():
            blocks[row["by"], row["range"]].append(np.frombuffer(row["hashes"], np.int64))
    for (by, _), parts in blocks.items():
        hashes = np.sort(np.concatenate(parts), kind="stable")  # which takes what is sorted already as it is
        different = 1 + int(np.count_nonzero(hashes[1:] != hashes[:-1]))
        yield pa.record_batch([[by], [different], [different < hashes.size]], schema=COUNTS)
