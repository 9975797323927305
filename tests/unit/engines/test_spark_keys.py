"""Counting keys by sorted blocks of their hashes gives what counting each one gives."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake_pipeline.engines import spark_keys
from lake_pipeline.engines.spark_keys import Blocks, counts

LEAST, MOST = -(2**63), 2**63 - 1
hashes = st.one_of(st.integers(LEAST, MOST), st.sampled_from([LEAST, -1, 0, 1, MOST]))
rows = st.lists(st.tuples(st.sampled_from(["a", "b"]), hashes), min_size=1)


@given(
    tasks=st.lists(st.lists(rows, max_size=4), max_size=3), ranges=st.integers(1, 9), held=st.integers(1, 20)
)
def test_counts_are_those_of_a_counter(
    tasks: list[list[list[tuple[str, int]]]], ranges: int, held: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spark_keys, "HELD", held)
        blocks = [b for batches in tasks for b in Blocks(ranges)(map(batch, batches))]
    found = [row for b in counts(blocks) for row in b.to_pylist()]
    every = Counter(row for batches in tasks for some in batches for row in some)
    for by in ("a", "b"):
        mine = [n for (group, _), n in every.items() if group == by]
        assert sum(row["keys"] for row in found if row["by"] == by) == len(mine)
        assert any(row["twice"] for row in found if row["by"] == by) == any(n > 1 for n in mine)


def batch(some: list[tuple[str, int]]) -> pa.RecordBatch:
    """Rows as Spark hands them to a task."""
    return pa.record_batch([[by for by, _ in some], [h for _, h in some]], names=["by", "hash"])


def test_a_hash_is_in_the_same_range_in_every_task() -> None:
    wide = pa.record_batch([["a"] * 5, [LEAST, -1, 0, 1, MOST]], names=["by", "hash"])
    narrow = pa.record_batch([["a"], [MOST]], names=["by", "hash"])
    found = {
        (row["range"], value)
        for made in [*Blocks(4)([wide]), *Blocks(4)([narrow])]
        for row in made.to_pylist()
        for value in memoryview(row["hashes"]).cast("q")
    }
    assert found == {(0, LEAST), (1, -1), (2, 0), (2, 1), (3, MOST)}


def test_a_key_that_most_rows_have_is_not_sent_as_often_as_it_occurs() -> None:
    same = pa.record_batch([["a"] * 1000, [7] * 1000], names=["by", "hash"])
    (made,) = Blocks(2)([same])
    assert [len(row["hashes"]) for row in made.to_pylist()] == [2 * 8]
