"""An odd file costs itself at most: each lands beside a clean one, in a partition of its own, in one run with a clean one.

It is loaded with a documented meaning, or refused as one file with a reason code; on every engine alike. After all of
them, clean files of the dataset are loaded as if nothing had been.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from lakes import View, check_law, csv
from poison import SHELVES, Odd
from remains import differences
from sites import Site
from under_test import ENGINES

FORMATS = [{"type": t} for t in ("csv", "jsonl", "json", "parquet")]
CLEAN = "2026-02-01"
DAYS = {
    (shelf, odd.name): str(date(2026, 3, 1) + timedelta(days=n))
    for shelf, odds in SHELVES.items()
    for n, odd in enumerate(odds)
}
ODDS = [(shelf, odd) for shelf, odds in SHELVES.items() for odd in odds]


def play(site: Site, shelf: str) -> View:
    """All odd files of a shelf, each in its partition with a clean one; and a clean one after them."""
    sales = site.dataset(formats=FORMATS, partitions={"by": "daily", "start": "2026-01-01"})
    days = [DAYS[shelf, odd.name] for odd in SHELVES[shelf]]
    for odd, day in zip(SHELVES[shelf], days, strict=True):
        site.land(sales, {odd.name: odd.body, "zz-clean.csv": csv(f"clean-{day},1,2026-03-01")}, day)
    site.land(sales, {"a.csv": csv("clean,1,2026-03-01")}, CLEAN)
    site.run(sales, CLEAN, *days)
    later = {
        "later.csv": csv("later,2,2026-03-01"),
        "wider.csv": csv("wider,1,2026-03-01,e", header="id,amount,day,extra"),
    }
    for day in (CLEAN, days[0]):
        site.land(sales, later, day)
    site.run(sales, CLEAN, *days)
    return check_law(site.lake, sales)


@pytest.fixture(scope="module")
def played(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str, str], tuple[Site, View]]:
    """``played(engine, shelf)``: what an engine makes of a shelf, worked out once."""
    known: dict[tuple[str, str], tuple[Site, View] | Exception] = {}

    def of(engine: str, shelf: str) -> tuple[Site, View]:
        if (engine, shelf) not in known:
            site = Site(
                tmp_path_factory.mktemp(f"{engine}-{shelf}"), engine, ENGINES[engine].engines(request)
            )
            try:
                known[engine, shelf] = site, play(site, shelf)
            except Exception as e:  # every test of the shelf fails by it, and none plays it again
                known[engine, shelf] = e
        found = known[engine, shelf]
        if isinstance(found, Exception):
            raise found
        return found

    return of


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("shelf", "odd"), ODDS, ids=[f"{shelf}-{odd.name}" for shelf, odd in ODDS])
def test_an_odd_file_is_loaded_or_refused_alone(
    engine: str, shelf: str, odd: Odd, played: Callable[[str, str], tuple[Site, View]]
) -> None:
    site, view = played(engine, shelf)
    day = DAYS[shelf, odd.name]
    (sales,) = [site.seen[0]["actions"][day]]
    assert sales == "published", "the clean file beside it is published"
    assert view.file_codes().get(odd.name, []) == ([odd.code] if odd.code else [])
    mine = [r for r in view.curated if r["_partition"] == day]
    clean = {f"clean-{day}", "later", "wider"}
    assert f"clean-{day}" in {r["id"] for r in mine}
    assert {r["id"] for r in mine} - clean == (set() if odd.code else set(odd.rows))
    if odd.code or not odd.rows:
        return
    (row,) = [r for r in view.validated if r["_partition"] == day and r["id"] == odd.rows[0]]
    kept = json.loads(row["_rescued"]) if row["_rescued"] else {}
    found = row.get("extra") if row.get("extra") is not None else kept.get("extra")
    if isinstance(found, str) and not isinstance(odd.extra, str):  # another type than the table's: its text
        assert found == text_of(odd.extra)
    else:
        assert found == odd.extra
    if odd.rescued is not None:
        assert {k: kept[k] for k in odd.rescued} == odd.rescued


def text_of(value: Any) -> str:
    """The text of a typed value, as `_rescued` has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shelf", SHELVES)
def test_clean_files_are_loaded_after_all_odd_ones(
    engine: str, shelf: str, played: Callable[[str, str], tuple[Site, View]]
) -> None:
    site, view = played(engine, shelf)
    assert site.seen[0]["actions"][CLEAN] == site.seen[1]["actions"][CLEAN] == "published"
    assert sorted(r["id"] for r in view.curated if r["_partition"] == CLEAN) == ["clean", "later", "wider"]
    assert all(s.state == "published" and s.balance.holds for s in view.status().values())


@pytest.mark.parametrize("engine", [e for e in ENGINES if e != "duckdb"])
@pytest.mark.parametrize("shelf", SHELVES)
def test_engines_agree_on_odd_files(
    engine: str, shelf: str, played: Callable[[str, str], tuple[Site, View]]
) -> None:
    mine, theirs = played(engine, shelf)[0].seen, played("duckdb", shelf)[0].seen
    for number, (one, other) in enumerate(zip(mine, theirs, strict=True), 1):
        assert differences(one, other) == [], f"after run {number}"
