"""Iceberg commits: atomic, repeatable, and without a lost update; on a folder and on S3."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import ManifestFile

from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake
from lake_pipeline.storage.lake import CommitConflict, partition_folder
from lake_pipeline.storage.tables import IncompatibleSchema, MisplacedFile, Seen

SCHEMA = pa.schema([("id", pa.int64()), ("_partition", pa.string())])
NAME = "curated.orders"
ODD = ["2026-02-25-07:00", "a b+c%d=é", "all"]


def put(lake: Lake, tmp_path: Path, partition: str, name: str, table: pa.Table | None = None) -> str:
    """Write a data file of one row and return its URI."""
    path = tmp_path / f"{name}.parquet"
    pq.write_table(pa.table({"id": [1], "_partition": [partition]}, SCHEMA) if table is None else table, path)
    store, key = lake.zone("curated"), f"orders/data/{partition_folder(partition)}/{name}.parquet"
    store.write(key, path)
    return store.uri(key)


def replace(lake: Lake, drop: list[str], add: list[str], schema: pa.Schema = SCHEMA) -> int:
    """Commit, on a reading of this moment."""
    return replaced(lake, look(lake), drop, add, schema)


def look(lake: Lake) -> Seen:
    """A reading of all partitions that these tests have."""
    return lake.tables.look(NAME, ["p", "q", "2026-02-25", "2026-02-26", *(f"p{n}" for n in range(8)), *ODD])


def replaced(lake: Lake, seen: Seen, drop: list[str], add: list[str], schema: pa.Schema = SCHEMA) -> int:
    """Commit, on that reading: files (URIs) out and in, in the partitions that their folders name."""
    new: dict[str, list[str]] = {}
    for uri in add:
        new.setdefault(unquote(uri.split("/")[-2]), []).append(uri)
    lake.tables.admit(NAME, schema, new)
    touched = {p for p in seen.partitions if seen.uris(p) & set(drop)} | new.keys()
    wanted = {p: (seen.uris(p) - set(drop)) | set(new.get(p, [])) for p in touched}
    return lake.tables.replace(seen, wanted, {"run": "1"}).snapshot or 0


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
    before = look(lake_root)
    done = replaced(lake_root, before, [a], [b])
    assert replaced(lake_root, before, [a], [b]) == done, "others have brought it to what is wanted"
    assert replace(lake_root, [b], [b]) == done, "a file that is dropped and added stays"
    assert uris(lake_root) == [b]
    assert len(lake_root.tables.table(NAME).snapshots()) == 2  # type: ignore[union-attr]
    replace(lake_root, [b], [])
    assert uris(lake_root) == []


def test_what_others_did_to_the_partition_since_the_reading_is_a_conflict(
    lake_root: Lake, tmp_path: Path
) -> None:
    a, b, c = (put(lake_root, tmp_path, "p", name) for name in "abc")
    replace(lake_root, [], [a])
    before = look(lake_root)
    replace(lake_root, [], [b])
    for drop, add in (([a], [c]), ([], [c]), ([a], [])):
        with pytest.raises(CommitConflict, match="p was changed by another run"):
            replaced(lake_root, before, drop, add)
    replace(lake_root, [b], [])
    assert uris(lake_root) == sorted(before.uris("p")), "the same files as before, and yet it was changed"
    with pytest.raises(CommitConflict):
        replaced(lake_root, before, [a], [c])
    assert uris(lake_root) == [a]


def test_an_empty_table_was_looked_at_too(lake_root: Lake, tmp_path: Path) -> None:
    a, b = (put(lake_root, tmp_path, "p", name) for name in "ab")
    nothing = look(lake_root)
    replace(lake_root, [], [a])
    with pytest.raises(CommitConflict):
        replaced(lake_root, nothing, [], [b])
    assert uris(lake_root) == [a]


def test_snapshots_of_other_partitions_are_no_conflict(lake_root: Lake, tmp_path: Path) -> None:
    """The commit comes on top of them, and nothing of them is lost; what they changed is not overwritten later."""
    a, b = put(lake_root, tmp_path, "p", "a"), put(lake_root, tmp_path, "p", "b")
    q, r = put(lake_root, tmp_path, "q", "q"), put(lake_root, tmp_path, "q", "r")
    replace(lake_root, [], [a, q])
    before = look(lake_root)
    replace(lake_root, [q], [r])
    after = lake_root.tables.replace(before, {"p": [b]}, {})
    assert uris(lake_root) == sorted([b, r])
    assert after.uris("p") == {b}
    with pytest.raises(CommitConflict, match="q was changed"):
        lake_root.tables.replace(after, {"q": [q]}, {})
    again = lake_root.tables.replace(after, {"p": []}, {})
    assert (uris(lake_root), again.uris("p")) == ([r], frozenset())


def test_a_reading_whose_snapshot_is_gone_is_a_conflict(lake_folder: Lake, tmp_path: Path) -> None:
    a, b = put(lake_folder, tmp_path, "p", "a"), put(lake_folder, tmp_path, "q", "b")
    replace(lake_folder, [], [a])
    before = look(lake_folder)
    replace(lake_folder, [], [b])
    table = lake_folder.tables.table(NAME)
    assert table is not None
    assert before.snapshot is not None
    table.maintenance.expire_snapshots().by_id(before.snapshot).commit()
    with pytest.raises(CommitConflict):
        replaced(lake_folder, before, [a], [])
    assert uris(lake_folder) == sorted([a, b])


@pytest.mark.parametrize("lost", [True, False], ids=["answer lost", "came too late"])
def test_a_commit_whose_answer_says_that_it_failed(
    lake_folder: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    """Glue's client repeats by itself: a commit that happened may be answered as one that came too late."""
    a, b = put(lake_folder, tmp_path, "p", "a"), put(lake_folder, tmp_path, "p", "b")
    replace(lake_folder, [], [a])
    original, calls = lake_folder.tables.catalog.commit_table, []

    def commit_table(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) > 1 or lost:
            original(*args, **kwargs)
        if len(calls) == 1:
            raise CommitFailedException("it was changed by another")

    seen = look(lake_folder)
    lake_folder.tables.admit(NAME, SCHEMA, {"p": [b]})
    monkeypatch.setattr(lake_folder.tables.catalog, "commit_table", commit_table)
    lake_folder.tables.replace(seen, {"p": [b]}, {})
    assert len(calls) == (1 if lost else 2)
    table = Lake(lake_folder.settings).tables.table(NAME)
    assert table is not None
    assert table.scan().to_arrow().num_rows == 1, "and all that it consists of is there"
    assert uris(lake_folder) == [b]


def test_a_file_of_another_partition_is_not_taken(lake_folder: Lake, tmp_path: Path) -> None:
    a = put(lake_folder, tmp_path, "p", "a")
    with pytest.raises(MisplacedFile, match="is of p, and not of q"):
        lake_folder.tables.admit(NAME, SCHEMA, {"q": [a]})


def test_a_commit_reads_the_manifests_of_its_partitions_only(
    lake_folder: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(8):
        replace(lake_folder, [], [put(lake_folder, tmp_path, f"p{n}", f"a{n}")])
    new = put(lake_folder, tmp_path, "p3", "b")
    reads: list[str] = []
    original = ManifestFile.fetch_manifest_entry

    def fetch(manifest: ManifestFile, *args: Any, **kwargs: Any) -> Any:
        reads.append(manifest.manifest_path)
        return original(manifest, *args, **kwargs)

    monkeypatch.setattr(ManifestFile, "fetch_manifest_entry", fetch)
    seen = lake_folder.tables.look(NAME, ["p3"])
    lake_folder.tables.replace(seen, {"p3": [new]}, {})
    assert len(set(reads)) == 1


def test_the_lake_opened_anew_sees_the_same(lake_root: Lake, tmp_path: Path) -> None:
    a = put(lake_root, tmp_path, "p", "a")
    replace(lake_root, [], [a])
    again = Lake(lake_root.settings)
    assert uris(again) == [a]
    table = again.tables.table(NAME)
    assert table is not None
    assert table.scan().to_arrow().to_pylist() == [{"id": 1, "_partition": "p"}]


@pytest.mark.parametrize("partition", ODD)
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
    before = look(lake_root)
    new = [put(lake_root, tmp_path, "p", f"new{n}") for n in range(4)]
    writers = [Lake(lake_root.settings) for _ in new]

    def attempt(n: int) -> bool:
        try:
            replaced(writers[n], before, [old], [new[n]])
        except CommitConflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(attempt, range(4)))
    assert sum(won) == 1
    assert uris(lake_root, "q") == [other]
    assert uris(lake_root, "p") == [new[won.index(True)]]


def test_concurrent_writers_of_different_partitions_all_get_through(lake_root: Lake, tmp_path: Path) -> None:
    new = [put(lake_root, tmp_path, f"p{n}", "a") for n in range(8)]
    replace(lake_root, [], [put(lake_root, tmp_path, "p", "first")])
    start = Barrier(8)

    def write(n: int) -> None:
        writer = Lake(lake_root.settings)
        seen = look(writer)
        start.wait()
        replaced(writer, seen, [], [new[n]])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert sorted(uris(lake_root)) == sorted([*new, *uris(lake_root, "p")])


def test_a_new_lake_can_be_opened_by_many_at_once(tmp_path: Path) -> None:
    for n in range(10):
        settings = Settings.at(str(tmp_path / f"lake{n}"))
        start = Barrier(8)

        def opened(_: int, settings: Settings = settings, start: Barrier = start) -> list[str]:
            start.wait()
            return Lake(settings).tables.names()

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(opened, range(8))) == [[]] * 8
