"""A JSON array of any size: validated in chunks with little memory, each record with its own number."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from lakes import DAY, View, actions, check_law, make_dataset, put, run

from lake_pipeline.flow import candidates
from lake_pipeline.formats.json_arrays import chunks
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake


def array(rows: int, bad: set[int], pad: int = 0) -> bytes:
    """An array of records, the bad ones with an amount that is none."""
    found = [
        {"id": f"r{n}" + "x" * pad, "amount": "?" if n in bad else n % 1000, "day": DAY} for n in range(rows)
    ]
    return json.dumps(found, indent=1).encode()


def test_records_keep_their_numbers_across_chunks(
    lake_root: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "chunks", partial(chunks, most=1000, block=100))
    sales = make_dataset(tmp_path / "defs", formats=[{"type": "json"}])
    put(lake_root, sales, "a.json", array(100, {0, 41, 99}))
    assert actions(run(lake_root, sales)) == {DAY: "published"}
    view = check_law(lake_root, sales)
    assert view.values() == sorted(f"r{n}" for n in range(100) if n not in (0, 41, 99))
    assert [(r["_record"], json.loads(r["raw"])["id"]) for r in view.quarantine] == [
        (1, "r0"),
        (42, "r41"),
        (100, "r99"),
    ]


def test_a_fault_late_in_the_array_is_found_where_it_is(
    lake_folder: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sales = make_dataset(tmp_path / "defs", formats=[{"type": "json"}])
    body = array(100, set()).replace(b'"r77"', b'"r77')
    put(lake_folder, sales, "a.json", body)
    run(lake_folder, sales)
    whole = [r["message"] for row in View(lake_folder, sales).quarantine for r in row["reasons"]]
    assert "line 388 column 14 (char 4618)" in whole[0]
    monkeypatch.setattr(candidates, "chunks", partial(chunks, most=1000, block=100))
    put(lake_folder, sales, "a.json", body + b" ")
    run(lake_folder, sales)
    assert View(lake_folder, sales).file_codes() == {"a.json": ["MALFORMED_JSON"]}
    assert whole[0] in [r["message"] for row in View(lake_folder, sales).quarantine for r in row["reasons"]]


def test_an_array_that_is_larger_than_the_engines_memory(tmp_path: Path) -> None:
    where = Settings.from_env(
        {"LAKE_ROOT": str(tmp_path / "lake"), "LAKE_MEMORY": "300MB", "LAKE_THREADS": "2"}
    )
    lake = Lake(where)
    sales = make_dataset(tmp_path / "defs", formats=[{"type": "json"}])
    put(lake, sales, "a.json", array(250_000, {249_999}, pad=450))
    assert actions(run(lake, sales)) == {DAY: "published"}
    (row,) = View(lake, sales).quarantine
    assert row["_record"] == 250_000
