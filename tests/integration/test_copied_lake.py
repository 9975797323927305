"""A lake that was copied or restored is the lake it was; a file that was replaced is another, whatever it looks like."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from lakes import DAY, View, actions, check_law, csv, make_dataset, put, run

from lake_pipeline.datasets import Dataset
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake


@pytest.fixture
def sales(tmp_path: Path) -> Dataset:
    """The dataset `sales`."""
    return make_dataset(tmp_path / "defs")


def restored(tmp_path: Path) -> Lake:
    """The lake as a backup brings it back: its files' times and content, and other inodes."""
    lake = tmp_path / "lake"
    shutil.copytree(lake, tmp_path / "backup")
    shutil.rmtree(lake)
    shutil.copytree(tmp_path / "backup", lake)
    shutil.rmtree(tmp_path / "backup")
    return Lake(Settings.at(str(lake)))


def replaced(lake: Lake, key: str, body: bytes) -> None:
    """Put another file of the same size in the place of one, with its time."""
    path = Path(lake.zone("raw").root) / key
    was = path.stat()
    assert len(body) == was.st_size
    other = path.with_name("other")
    other.write_bytes(body)
    os.utime(other, ns=(was.st_atime_ns, was.st_mtime_ns))
    other.replace(path)


def test_a_restored_lake_has_nothing_to_do(sales: Dataset, tmp_path: Path) -> None:
    lake = Lake(Settings.at(str(tmp_path / "lake")))
    put(lake, sales, "a.csv", csv("a1,1,2026-03-01"))
    put(lake, sales, "bad.csv", csv("b1,none,2026-03-01", "b2,2,2026-03-01"))
    run(lake, sales)
    before = View(lake, sales)
    rows = before.curated, before.quarantine
    lake = restored(tmp_path)
    assert View(lake, sales).status()[DAY].state == "published"
    assert actions(run(lake, sales)) == {DAY: "unchanged"}
    after = check_law(lake, sales)
    assert (after.curated, after.quarantine) == rows
    assert after.status()[DAY].state == "published"
    put(lake, sales, "c.csv", csv("c1,1,2026-03-01"))
    assert actions(run(lake, sales)) == {DAY: "published"}
    assert check_law(lake, sales).values() == ["a1", "b2", "c1"]


def test_what_was_restored_can_be_read_again(sales: Dataset, tmp_path: Path) -> None:
    """Reads are pinned to the file as it is now, not to the inode that it had."""
    lake = Lake(Settings.at(str(tmp_path / "lake")))
    put(lake, sales, "a.csv", csv("a1,1,2026-03-01"))
    run(lake, sales)
    lake = restored(tmp_path)
    stricter = make_dataset(tmp_path / "defs", version="2.0.0", rules="RowCount < 10")
    assert actions(run(lake, stricter)) == {DAY: "published"}
    assert check_law(lake, stricter).values() == ["a1"]


def test_a_file_that_looks_like_the_one_it_replaced_is_another(sales: Dataset, tmp_path: Path) -> None:
    lake = Lake(Settings.at(str(tmp_path / "lake")))
    key = put(lake, sales, "a.csv", csv("a1,1,2026-03-01"))
    run(lake, sales)
    replaced(lake, key, csv("a2,2,2026-03-01"))
    assert actions(run(lake, sales)) == {DAY: "published"}
    assert check_law(lake, sales).values() == ["a2"]
    assert actions(run(lake, sales)) == {DAY: "unchanged"}
    lake = restored(tmp_path)
    assert actions(run(lake, sales)) == {DAY: "unchanged"}
    assert check_law(lake, sales).values() == ["a2"]
    replaced(lake, key, csv("a1,1,2026-03-01"))
    run(lake, sales)
    assert check_law(lake, sales).values() == ["a1"]
    assert View(lake, sales).status()[DAY].state == "published"
