"""What was said of a file is said again when what it was said by has changed; and quarantine says it of the right row."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from lakes import DAY, View, actions, check_law, csv, gz, listing, make_dataset, put, run

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow import rejects
from lake_pipeline.formats import texts
from lake_pipeline.storage import Lake

BAD = csv("c1,1,2026-03-01", "c2,bad,2026-03-01")


def promise(lake: Lake, dataset: Dataset, **files: bytes | None) -> None:
    """A producer's manifest that lists files, each with the hash of a content where one is given."""
    listed = [
        {"name": f"{n}.csv", **({"sha256": hashlib.sha256(body).hexdigest()} if body else {})}
        for n, body in files.items()
    ]
    put(lake, dataset, "_MANIFEST.json", json.dumps({"files": listed}).encode())


@pytest.mark.parametrize("others", [{}, {"a": None}], ids=["alone", "with another"])
@pytest.mark.parametrize("wrong", ["not listed", "another hash"])
def test_a_corrected_manifest_loses_no_row(
    lake_folder: Lake, tmp_path: Path, others: dict[str, None], wrong: str
) -> None:
    sales = make_dataset(tmp_path / "defs", producer_manifest="required")
    put(lake_folder, sales, "c.csv", BAD)
    for name in others:
        put(lake_folder, sales, f"{name}.csv", csv("a1,1,2026-03-01"))
    promise(lake_folder, sales, **others, **({} if wrong == "not listed" else {"c": b"another"}))
    run(lake_folder, sales)
    (code,) = check_law(lake_folder, sales).file_codes()["c.csv"]
    assert code == ("NOT_IN_MANIFEST" if wrong == "not listed" else "CHECKSUM_MISMATCH")
    promise(lake_folder, sales, **others, c=BAD)
    assert actions(run(lake_folder, sales)) == {DAY: "published"}
    view = check_law(lake_folder, sales)
    assert view.codes("c.csv") == [["CAST_FAILED"]]
    assert view.file_codes() == {}
    assert view.status()[DAY].balance.landed == 2 + len(others)


def test_a_forced_run_that_judges_otherwise_replaces_what_was_rejected(
    lake_folder: Lake, sales: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(lake_folder, sales, "a.csv", csv("a1,1,2026-03-01", "a2,bad,2026-03-01"))
    run(lake_folder, sales)
    make = rejects.RowEntries.__call__

    def otherwise(self: Any, rows: Any) -> Any:
        for entry in make(self, rows):
            yield {**entry, "reasons": [{**r, "message": "said otherwise"} for r in entry["reasons"]]}

    monkeypatch.setattr(rejects.RowEntries, "__call__", otherwise)
    run(lake_folder, sales, force=True)
    (reject,) = check_law(lake_folder, sales).rejects("a.csv")
    assert [r["message"] for r in reject["reasons"]] == ["said otherwise"]


def test_the_same_verdict_again_is_the_same_file(lake_folder: Lake, sales: Dataset) -> None:
    put(lake_folder, sales, "a.csv", csv("a1,1,2026-03-01", "a2,bad,2026-03-01"))
    run(lake_folder, sales)
    before = {k for k in listing(lake_folder)["quarantine"] if "/data/" in k}
    run(lake_folder, sales, force=True)
    assert {k for k in listing(lake_folder)["quarantine"] if "/data/" in k} == before


def test_a_duplicate_is_loaded_when_its_original_counts_no_more(lake_folder: Lake, sales: Dataset) -> None:
    one, other = csv("x1,1,2026-03-01"), csv("y1,1,2026-03-01")
    for name in ("a.csv", "b.csv", "c.csv"):
        put(lake_folder, sales, name, one)
        run(lake_folder, sales)
    duplicate = ["DUPLICATE_CONTENT"]
    assert check_law(lake_folder, sales).file_codes() == {"b.csv": duplicate, "c.csv": duplicate}
    put(lake_folder, sales, "a.csv", other)
    assert actions(run(lake_folder, sales)) == {DAY: "published"}
    view = check_law(lake_folder, sales)
    assert (view.values(), view.file_codes()) == (["x1", "y1"], {"c.csv": duplicate})
    (refused,) = [o for o in view.receipts() if o.reason]
    assert '/b.csv"' in refused.message
    assert actions(run(lake_folder, sales)) == {DAY: "unchanged"}


def test_a_duplicate_of_a_file_that_is_gone_stays_one(lake_folder: Lake, sales: Dataset) -> None:
    for name in ("a.csv", "b.csv"):
        put(lake_folder, sales, name, csv("x1,1,2026-03-01"))
    run(lake_folder, sales)
    lake_folder.zone("raw").delete([sales.template.fill(DAY, "a.csv")])
    run(lake_folder, sales)
    view = check_law(lake_folder, sales)
    assert (view.values(), view.file_codes()) == (["x1"], {"b.csv": ["DUPLICATE_CONTENT"]})


def spanning(number: int) -> str:
    """A record of a few lines."""
    return f'"{number}\n{"x" * 40}\n",{number % 900},2026-03-01'


@pytest.mark.parametrize("form", ["few lines", "many lines", "blank lines", "spanning header"])
def test_a_reject_shows_its_own_text_and_line_in_a_big_file(
    lake_folder: Lake, sales: Dataset, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(texts, "PART_BYTES", 4_000)
    rows = [spanning(n) if form == "many lines" else f"{n},{n % 900},2026-03-01" for n in range(700)]
    for n in (3, 4, 5):
        rows[n] = spanning(n) if form != "blank lines" else f"\n\n{rows[n]}"
    bad = {n: f"bad-{n},bad,2026-03-01" for n in (0, 5, 150, 400, 699)} | {
        300: '"bad-300\n\n",bad,2026-03-01'
    }
    for n, row in bad.items():
        rows[n] = row
    header = 'id,amount,day,"of\ntwo"' if form == "spanning header" else "id,amount,day"
    rows = [f"{row},x" for row in rows] if form == "spanning header" else rows
    text = csv(*rows, header=header)
    put(lake_folder, sales, "a.csv.gz", gz(text))
    run(lake_folder, sales)
    view = check_law(lake_folder, sales)
    assert_rejects_stand_where_they_say(view, "a.csv.gz", text.decode())
    assert len(view.rejects("a.csv.gz")) == len(bad)
    records = [r["_record"] for r in (*view.curated, *view.quarantine)]
    assert len(set(records)) == len(records) == 700


def assert_rejects_stand_where_they_say(view: View, name: str, text: str) -> None:
    """Each reject's raw text begins on its line, and is the text that its reason quotes."""
    lines = text.split("\n")
    for reject in view.rejects(name):
        raw = reject["raw"]
        assert raw.startswith(("bad-", '"bad-'))
        count = raw.count("\n") + 1
        assert "\n".join(lines[reject["line"] - 1 :][:count]) == raw
