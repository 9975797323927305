"""Iceberg commits: atomic, repeatable, and without a lost update; on a folder and on S3."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake
from lake_pipeline.storage.tables import CommitConflict, IncompatibleSchema

SCHEMA = pa.schema([("id", pa.int64()), ("_partition", pa.string())])
NAME = "curated.orders"


def put(lake: Lake, tmp_path: Path, partition: str, name: str, table: pa.Table | None = None) -> str:
    """Write a data file of one row and return its URI."""
    path = tmp_path / f"{name}.parquet"
    pq.write_table(pa.table({"id": [1], "_partition": [partition]}, SCHEMA) if table is None else table, path)
    store, key = lake.zone("curated"), f"orders/data/{partition.replace(':', '%3A')}/{name}.parquet"
    store.write(key, path)
    return store.uri(key)


def replace(lake: Lake, drop: list[str], add: list[str], schema: pa.Schema = SCHEMA) -> int:
    """Commit."""
    return lake.tables.replace(NAME, schema, drop=drop, add=add, properties={"run": "1"})


def uris(lake: Lake, *partitions: str) -> list[str]:
    """The files a reader sees."""
    return [f.uri for f in lake.tables.files(NAME, partitions or None)]


def test_before_the_first_commit(lake_root: Lake) -> None:
    tables = lake_root.tables
    assert (tables.table(NAME), tables.snapshot(NAME), tables.files(NAME), tables.names()) == (
        None,
        None,
        [],
        [],
    )
    assert tables.arrow_schema(NAME) is None


def test_replace(lake_root: Lake, tmp_path: Path) -> None:
    a = put(lake_root, tmp_path, "2026-02-25", "a")
    b = put(lake_root, tmp_path, "2026-02-26", "b")
    first = replace(lake_root, [], [a, b])
    assert uris(lake_root) == sorted([a, b])
    assert uris(lake_root, "2026-02-25") == [a]
    assert lake_root.tables.snapshot(NAME) == first
    c = put(lake_root, tmp_path, "2026-02-25", "c")
    second = replace(lake_root, [a], [c])
    assert second != first
    assert uris(lake_root) == sorted([b, c])
    (found,) = lake_root.tables.files(NAME, ["2026-02-25"])
    assert (found.partition, found.rows) == ("2026-02-25", 1)
    assert found.size > 0
    assert lake_root.tables.names() == [NAME]


def test_a_commit_can_be_repeated(lake_root: Lake, tmp_path: Path) -> None:
    a = put(lake_root, tmp_path, "p", "a")
    b = put(lake_root, tmp_path, "p", "b")
    replace(lake_root, [], [a])
    done = replace(lake_root, [a], [b])
    assert replace(lake_root, [a], [b]) == done
    assert replace(lake_root, [b], [b]) == done, "a file that is dropped and added stays"
    assert uris(lake_root) == [b]
    assert len(lake_root.tables.table(NAME).snapshots()) <= 3  # type: ignore[union-attr]
    replace(lake_root, [b], [])
    assert uris(lake_root) == []


def test_the_lake_opened_anew_sees_the_same(lake_root: Lake, tmp_path: Path) -> None:
    a = put(lake_root, tmp_path, "p", "a")
    replace(lake_root, [], [a])
    again = Lake(lake_root.settings)
    assert uris(again) == [a]
    table = again.tables.table(NAME)
    assert table is not None
    assert table.scan().to_arrow().to_pylist() == [{"id": 1, "_partition": "p"}]


@pytest.mark.parametrize("partition", ["2026-02-25-07:00", "a b+c%d=é", "all"])
def test_partition_values(lake_root: Lake, tmp_path: Path, partition: str) -> None:
    a = put(lake_root, tmp_path, partition, "a")
    replace(lake_root, [], [a])
    assert uris(lake_root, partition) == [a]
    assert uris(lake_root, "other") == []
    assert uris(lake_root, *(str(n) for n in range(300)), partition) == [a], (
        "also above what pyiceberg prunes"
    )


def test_rows_of_two_partitions_in_one_file_are_refused(lake_root: Lake, tmp_path: Path) -> None:
    mixed = pa.table({"id": [1, 2], "_partition": ["p", "q"]}, SCHEMA)
    a = put(lake_root, tmp_path, "p", "a", mixed)
    with pytest.raises(Exception, match="partition"):
        replace(lake_root, [], [a])
    assert uris(lake_root) == []


def test_columns_are_added(lake_root: Lake, tmp_path: Path) -> None:
    a = put(lake_root, tmp_path, "p", "a")
    replace(lake_root, [], [a])
    reasons = pa.list_(pa.struct([("code", pa.string()), ("value", pa.string())]))
    wider = SCHEMA.append(pa.field("note", pa.string())).append(pa.field("reasons", reasons))
    row = {"id": 2, "_partition": "p", "note": "n", "reasons": [{"code": "X", "value": None}]}
    b = put(lake_root, tmp_path, "p", "b", pa.Table.from_pylist([row], wider))
    replace(lake_root, [], [b], wider)
    table = lake_root.tables.table(NAME)
    assert table is not None
    rows = sorted(table.scan().to_arrow().to_pylist(), key=lambda r: int(r["id"]))
    assert rows == [{"id": 1, "_partition": "p", "note": None, "reasons": None}, row]
    c = put(lake_root, tmp_path, "p", "c")
    replace(lake_root, [], [c])
    assert len(uris(lake_root)) == 3, "files of the narrower schema still fit"


def test_an_int_may_become_a_long_and_nothing_becomes_a_text(lake_root: Lake, tmp_path: Path) -> None:
    narrow = pa.schema([("id", pa.int32()), ("_partition", pa.string())])
    replace(
        lake_root,
        [],
        [put(lake_root, tmp_path, "p", "a", pa.table({"id": [1], "_partition": ["p"]}, narrow))],
        narrow,
    )
    replace(lake_root, [], [put(lake_root, tmp_path, "p", "b")])
    replace(
        lake_root,
        [],
        [put(lake_root, tmp_path, "p", "d", pa.table({"id": [3], "_partition": ["p"]}, narrow))],
        narrow,
    )
    assert len(uris(lake_root)) == 3, "and files of ints still come in"
    text = pa.schema([("id", pa.string()), ("_partition", pa.string())])
    c = put(lake_root, tmp_path, "p", "c", pa.table({"id": ["x"], "_partition": ["p"]}, text))
    with pytest.raises(IncompatibleSchema, match="orders cannot take the new columns"):
        replace(lake_root, [], [c], text)
    assert len(uris(lake_root)) == 3


def test_of_concurrent_replaces_no_update_is_lost(lake_root: Lake, tmp_path: Path) -> None:
    """Four writers replace the same file of one partition: whoever is told of success is seen."""
    old = put(lake_root, tmp_path, "p", "old")
    other = put(lake_root, tmp_path, "q", "other")
    replace(lake_root, [], [old, other])
    new = [put(lake_root, tmp_path, "p", f"new{n}") for n in range(4)]
    writers = [Lake(lake_root.settings) for _ in new]

    def attempt(n: int) -> bool:
        try:
            replace(writers[n], [old], [new[n]])
        except CommitConflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(attempt, range(4)))
    assert any(won)
    assert uris(lake_root, "q") == [other]
    seen = uris(lake_root, "p")
    assert seen == sorted(uri for uri, ok in zip(new, won, strict=True) if ok)


def test_concurrent_writers_of_different_partitions_all_get_through_in_the_end(
    lake_root: Lake, tmp_path: Path
) -> None:
    new = [put(lake_root, tmp_path, f"p{n}", "a") for n in range(4)]
    writers = [Lake(lake_root.settings) for _ in new]

    def persist(n: int) -> int:
        for attempts in range(1, 30):
            try:
                replace(writers[n], [], [new[n]])
            except CommitConflict:
                continue
            return attempts
        return 0

    with ThreadPoolExecutor(4) as pool:
        attempts = list(pool.map(persist, range(4)))
    assert all(attempts), attempts
    assert uris(lake_root) == sorted(new)


def test_a_new_lake_can_be_opened_by_many_at_once(tmp_path: Path) -> None:
    for n in range(10):
        settings = Settings.at(str(tmp_path / f"lake{n}"))
        start = Barrier(8)

        def opened(_: int, settings: Settings = settings, start: Barrier = start) -> list[str]:
            start.wait()
            return Lake(settings).tables.names()

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(opened, range(8))) == [[]] * 8
