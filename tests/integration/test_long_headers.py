"""A header or a first record that is longer than what is looked at to understand a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from lakes import actions, check_law, csv, make_dataset, put, run

from lake_pipeline.formats.texts import HEAD
from lake_pipeline.storage import Lake

LONG = "ä" * HEAD
FORMS = {"plain": "{}", "quoted": '"{}"', "with a line break": '"a\n{}"'}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_header_that_is_too_long_refuses_its_file_and_says_so(
    form: str, lake_folder: Lake, tmp_path: Path
) -> None:
    """Its names are known in part only: a column would be missed, or another one made up."""
    sales = make_dataset(tmp_path / "defs")
    put(lake_folder, sales, "good.csv", csv("a1,1,2026-03-01"))
    put(lake_folder, sales, "long.csv", csv("b1,1,2026-03-01,x", header=f"id,amount,day,{form.format(LONG)}"))
    assert "published" in actions(run(lake_folder, sales)).values()
    view = check_law(lake_folder, sales)
    assert view.values() == ["a1"]
    assert view.file_codes() == {"long.csv": ["HEADER_MISMATCH"]}
    (message,) = (r["message"] for row in view.quarantine for r in row["reasons"])
    assert "longer than 64 KB" in message


def test_a_long_first_record_without_a_header_is_a_row_like_others(lake_folder: Lake, tmp_path: Path) -> None:
    sales = make_dataset(
        tmp_path / "defs",
        columns={"id": {"logicalType": "string"}, "note": {"logicalType": "string"}},
        formats=[{"type": "csv", "header": False}],
    )
    put(lake_folder, sales, "a.csv", f'a1,"{LONG}"\na2,short\n'.encode())
    assert "published" in actions(run(lake_folder, sales)).values()
    assert check_law(lake_folder, sales).values() == ["a1", "a2"]


def test_a_header_that_just_fits_is_read(lake_folder: Lake, tmp_path: Path) -> None:
    sales = make_dataset(tmp_path / "defs")
    last = "x" * (HEAD - len("id,amount,day,\n"))
    put(lake_folder, sales, "a.csv", csv("a1,1,2026-03-01,x", header=f"id,amount,day,{last}"))
    assert "published" in actions(run(lake_folder, sales)).values()
    assert check_law(lake_folder, sales).values() == ["a1"]
