"""Objects, logs and listings: the same on a folder and on S3."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake, ObjectStore, files
from lake_pipeline.storage.lake import Overtaken, last_documents, partition_folder
from lake_pipeline.storage.objects import (
    CHUNK_BYTES,
    FILE_CHUNK_BYTES,
    ObjectChanged,
    ObjectMissing,
    StorageRefused,
)

KEYS = (
    "plain.csv",
    "with space.csv",
    "plus+plus.csv",
    "per%cent.csv",
    "per%20cent.csv",
    "equals=x/date=2026-02-25/a&b.csv",
    "ünï/cödé 名前 🛩️.csv",
    "quote'd\"#?[x]{y}~^`|;:@!$(),.csv",
    "deep/er/and/deeper/x",
    "dots..in..name",
    "trailing.dot.",
    "CASE.csv",
    "case.csv",
)


@pytest.fixture
def raw(lake_root: Lake) -> ObjectStore:
    """The raw zone of both kinds of lake."""
    return lake_root.zone("raw")


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    """Listed keys."""
    return sorted(o.key for o in store.list(prefix))


def test_keys_are_used_exactly_as_they_are(raw: ObjectStore) -> None:
    for key in KEYS:
        raw.write(key, key.encode())
    assert keys(raw) == sorted(KEYS)
    for meta in raw.list():
        assert raw.read(meta.key) == meta.key.encode()
        assert b"".join(raw.stream(meta)) == meta.key.encode()
        assert raw.head(meta.key) == meta
        assert meta.size == len(meta.key.encode())
        assert meta.modified.utcoffset() is not None
        assert raw.key(raw.uri(meta.key)) == meta.key


@pytest.mark.parametrize("key", ["../x", "a/../../x", "a/..", "..", "/x", "a//b", "a/./b"])
def test_keys_that_leave_the_zone_or_are_none(raw: ObjectStore, key: str) -> None:
    """Refused, or a key like any other; never a file outside the zone."""
    try:
        raw.write(key, b"x")
    except StorageRefused as e:
        assert key in str(e)
        assert keys(raw) == []
        return
    (found,) = raw.list()
    assert raw.read(found.key) == b"x"
    assert ".." not in found.key.split("/")


def test_a_prefix_is_a_folder(raw: ObjectStore) -> None:
    for key in ("orders/1", "orders/2/3", "orders_eu/1", "x"):
        raw.write(key, b"x")
    assert keys(raw, "orders") == keys(raw, "orders/") == ["orders/1", "orders/2/3"]
    assert keys(raw, "order") == []
    assert keys(raw, "none/such") == []


def test_an_empty_zone_lists_nothing(lake_root: Lake) -> None:
    assert keys(lake_root.zone("ops")) == []
    assert lake_root.log("ops", "a/b").last() is None
    assert not lake_root.zone("ops").exists("x")


def test_more_objects_than_one_page(raw: ObjectStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: raw.write(f"many/{n:04}", b""), range(1100)))
    assert len(keys(raw, "many")) == 1100


def test_missing(raw: ObjectStore) -> None:
    for act in (raw.read, raw.head):
        with pytest.raises(ObjectMissing, match='There is no object "no/such"'):
            act("no/such")
    assert not raw.exists("no/such")


def test_streams_are_pinned_to_what_was_listed(raw: ObjectStore) -> None:
    raw.write("k", b"old content")
    (meta,) = raw.list()
    raw.write("k", b"new content")
    with pytest.raises(ObjectChanged, match='"k" was overwritten'):
        b"".join(raw.stream(meta))
    (now,) = raw.list()
    assert b"".join(raw.stream(now)) == b"new content"
    assert (now.etag, now.version) != (meta.etag, meta.version)
    raw.delete(["k"])
    with pytest.raises(ObjectChanged, match='"k" disappeared'):
        b"".join(raw.stream(now))


def test_big_objects_come_in_chunks(raw: ObjectStore, tmp_path: Path) -> None:
    body = bytes(range(256)) * (CHUNK_BYTES // 256 * 3) + b"end"
    source = tmp_path / "body"
    source.write_bytes(body)
    raw.write("big", source)
    (meta,) = raw.list()
    chunks = [bytes(c) for c in raw.stream(meta)]
    assert b"".join(chunks) == body
    assert len(chunks) > 1
    raw.write("big", b"x")
    with pytest.raises(ObjectChanged):
        list(raw.stream(meta))


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path, store = tmp_path / "k", ObjectStore(str(tmp_path))
    path.write_bytes(b"x" * (FILE_CHUNK_BYTES + 1))
    chunks = store.stream(store.head("k"))
    next(chunks)
    with path.open("r+b") as file:
        file.seek(FILE_CHUNK_BYTES)
        file.write(b"y")
    with pytest.raises(ObjectChanged, match='"k" was changed while it was read'):
        next(chunks)


def test_a_listed_file_is_read_as_a_file(tmp_path: Path) -> None:
    """Else everything works, and is slow: the etag is not what obstore makes of a file any more."""
    store = ObjectStore(str(tmp_path))
    store.write("k", b"old")
    (meta,) = store.list()
    file = files.opened(str(tmp_path / "k"), meta.etag)
    assert file is not None
    file.close()
    store.write("k", b"new content")
    assert files.opened(str(tmp_path / "k"), meta.etag) is None
    assert files.opened(str(tmp_path / "gone"), meta.etag) is None


def test_a_file_of_ones_own_is_put_once_and_stays(raw: ObjectStore, tmp_path: Path) -> None:
    for body in (b"one", b"two"):
        own = tmp_path / body.decode()
        own.write_bytes(body)
        raw.adopt("a/b.parquet", own)
        assert raw.read("a/b.parquet") == body
        own.unlink()
        assert raw.read("a/b.parquet") == body
    assert keys(raw) == ["a/b.parquet"]


def test_a_conditional_write_wins_once(raw: ObjectStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(lambda n: raw.create("only/one", b"%d" % n), range(8)))
    assert sum(won) == 1
    assert raw.read("only/one") == b"%d" % won.index(True)
    assert raw.create("only/one", b"late") is False


def test_delete(raw: ObjectStore) -> None:
    for key in KEYS:
        raw.write(key, b"x")
    raw.delete([*KEYS, "was/never/there"][: len(KEYS)])
    assert keys(raw) == []
    raw.delete([])


def test_fetch(raw: ObjectStore, tmp_path: Path) -> None:
    for key in ("a/data 1+%=é.parquet", "b"):
        raw.write(key, key.encode())
        for _ in range(2):
            path = raw.fetch(key, tmp_path / "cache")
            assert path.read_bytes() == key.encode()
    with pytest.raises(ObjectMissing):
        raw.fetch("c", tmp_path / "cache").read_bytes()


def test_copy_from_another_zone(lake_root: Lake, tmp_path: Path) -> None:
    raw, held = lake_root.zone("raw"), lake_root.zone("quarantine")
    raw.write("a b", b"content")
    (meta,) = raw.list()
    for _ in range(2):
        held.copy_from(raw, meta, "files/x/a b", tmp_path)
    assert held.read("files/x/a b") == b"content"
    raw.write("a b", b"another")
    with pytest.raises(ObjectChanged):
        held.copy_from(raw, meta, "files/y", tmp_path)
    assert keys(held) == ["files/x/a b"]


def test_of_many_writers_of_a_log_who_know_the_same_one_gets_the_next_number(lake_root: Lake) -> None:
    log = lake_root.log("ops", "manifests/orders/2026-02-25")

    def append(n: int) -> bool:
        try:
            log.append({"n": n}, after=0)
        except Overtaken:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(append, range(24)))
    assert sum(won) == 1
    assert (log.last_number(), log.last()) == (1, {"n": won.index(True)})
    assert log.append({"n": won.index(True)}, after=0) == 1, "its own document, whose answer was lost"
    assert log.append({"n": "é"}, after=1) == 2
    with pytest.raises(Overtaken, match="another run has written number 2 meanwhile"):
        log.append({"n": "again"}, after=1)
    assert log.last() == {"n": "é"}


def test_last_documents_in_one_listing(lake_root: Lake) -> None:
    for partition, count in (("2026-02-25", 2), ("2026-02-25-07:00", 1), ("all", 11)):
        for n in range(count):
            lake_root.log("ops", f"outcomes/orders/{partition_folder(partition)}").append({"n": n}, after=n)
    lake_root.log("ops", "outcomes/orders_eu/x").append({}, after=0)
    found = last_documents(lake_root.zone("ops"), "outcomes/orders")
    assert {name: number for name, (number, _) in found.items()} == {
        "2026-02-25": 2,
        partition_folder("2026-02-25-07:00"): 1,
        "all": 11,
    }
    assert all(lake_root.zone("ops").exists(key) for _, key in found.values())


def test_versions_of_a_versioned_bucket(s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With versioning a stream still reads what was listed, if it is still there: nothing is lost to a race."""
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    store = ObjectStore(f"s3://{s3_server.bucket(versioned=True)}/raw")
    store.write("k", b"one")
    meta = store.head("k")
    store.write("k", b"two")
    assert meta.version
    assert store.head("k").version != meta.version
    assert b"".join(store.stream(meta)) == b"one"


def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    del tmp_path
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    assert ObjectStore("s3://some-bucket/p").uri("a b") == "s3://some-bucket/p/a b"


def test_wrong_credentials_are_refused_not_retried(s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = s3_server.bucket()
    for name, value in {**s3_server.env, "AWS_SECRET_ACCESS_KEY": "wrong"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageRefused, match="refused access"):
        list(ObjectStore(f"s3://{bucket}").list())


def test_spool_folders_go(lake_folder: Lake) -> None:
    with lake_folder.spool() as one, lake_folder.spool() as two:
        (one / "x").write_text("x")
        assert one != two
    assert list((lake_folder.settings.home / "spool").iterdir()) == []


def test_a_bucket_per_zone() -> None:
    settings = Settings.at("s3://acme-{zone}")
    assert [settings.zone_url(zone) for zone in ("raw", "ops")] == ["s3://acme-raw", "s3://acme-ops"]
