"""Looks at the listing: all that landed is found once, and what events missed is counted."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from arriving import MemoryQueue, event_of, places_of, requested
from lakes import DAY, NEXT, csv, make_dataset, put, run

from lake_pipeline.arrivals.look import SWEEP_EVERY, frontier, look, mark_of
from lake_pipeline.arrivals.tick import Ticked, drain
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.storage import Lake, ObjectStore

DAYS = [f"2026-03-{n:02}" for n in range(1, 9)]


class Looker:
    """A listing sensor's life."""

    def __init__(self, lake: Lake, dataset: Dataset, **more: Any) -> None:
        self.lake, self.dataset, self.more = lake, dataset, more
        self.cursor = ""

    def look(self, after: timedelta = timedelta(), **more: Any) -> Ticked:
        datasets = {self.dataset.name: self.dataset}
        done = look(self.lake, datasets, self.cursor, now() + after, **{**self.more, **more})
        self.cursor = done.cursor
        return done

    def lands(self, name: str = "a.csv", partition: str = DAY, text: str = "a") -> str:
        return put(self.lake, self.dataset, name, csv(f"{text},1,{partition}"), partition)

    def found(self, **more: Any) -> list[str]:
        """The partitions that a look asks runs for."""
        return [p for r in self.look(**more).requests for p in r.partitions]


@pytest.fixture
def sales(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path / "defs", arrivals={"max_wait_seconds": 0})


@pytest.fixture
def looker(lake_root: Lake, sales: Dataset) -> Looker:
    return Looker(lake_root, sales)


def test_what_landed_is_asked_for_once(looker: Looker) -> None:
    looker.lands()
    looker.lands(partition=NEXT)
    assert looker.found() == [DAY, NEXT]
    assert looker.found() == []
    run(looker.lake, looker.dataset, DAY, NEXT)
    assert [looker.found() for _ in range(SWEEP_EVERY + 1)] == [[]] * (SWEEP_EVERY + 1)


def test_what_runs_have_taken_is_not_asked_for_by_a_first_look(looker: Looker) -> None:
    looker.lands()
    run(looker.lake, looker.dataset)
    looker.lands(partition=NEXT)
    assert looker.found() == [NEXT]


def test_a_new_file_and_an_overwritten_one_open_their_partition(looker: Looker) -> None:
    for partition in (DAY, NEXT):
        looker.lands(partition=partition)
    looker.found()
    run(looker.lake, looker.dataset, DAY, NEXT)
    looker.lands("b.csv")
    assert looker.found() == [DAY]
    run(looker.lake, looker.dataset)
    looker.lands("a.csv", NEXT, text="other")
    assert looker.found() == [NEXT]
    run(looker.lake, looker.dataset, NEXT)
    looker.lands("a.csv", NEXT, text="third")
    assert looker.found() == [NEXT]


def test_deleted_keys_start_nothing_and_stop_nothing(looker: Looker) -> None:
    key = looker.lands()
    looker.found()
    run(looker.lake, looker.dataset)
    looker.lake.zone("raw").delete([key])
    assert looker.found() == []
    looker.lands("b.csv")
    assert looker.found() == [DAY]


def test_equal_timestamps(lake_folder: Lake, sales: Dataset) -> None:
    looker = Looker(lake_folder, sales)
    for n, name in enumerate(("b.csv", "a.csv", "c.csv")):
        path = Path(lake_folder.zone("raw").root) / looker.lands(name, text=str(n))
        os.utime(path, (1_700_000_000, 1_700_000_000))
        assert looker.found() == [DAY]
        run(lake_folder, sales)


def test_several_files_wait_together(lake_folder: Lake, tmp_path: Path) -> None:
    sales = make_dataset(tmp_path / "defs", arrivals={"max_wait_seconds": 60})
    looker = Looker(lake_folder, sales)
    looker.lands()
    assert looker.found() == []
    looker.lands("b.csv")
    assert looker.found() == []
    assert looker.found(after=timedelta(seconds=61)) == [DAY]


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every listing of the raw zone: (prefix, after)."""
    found: list[tuple[str, str]] = []
    real = ObjectStore.list

    def list_(store: ObjectStore, prefix: str = "", after: str = "") -> Any:
        if store.root.endswith("/raw"):
            found.append((prefix, after))
        return real(store, prefix, after)

    monkeypatch.setattr(ObjectStore, "list", list_)
    return found


def test_between_sweeps_only_the_newest_partitions_are_listed(
    lake_folder: Lake, sales: Dataset, listings: list[tuple[str, str]]
) -> None:
    looker = Looker(lake_folder, sales)
    for day in DAYS:
        looker.lands(partition=day)
    assert looker.found() == DAYS
    run(lake_folder, sales, *DAYS)
    listings.clear()
    looker.lands("late.csv", DAYS[0])
    looker.lands("new.csv", DAYS[-1])
    late = [looker.found() for _ in range(SWEEP_EVERY)]
    assert listings[0] == ("sales", "sales/2026/03/0")
    assert [after for _, after in listings].count("") == 1
    assert late[0][-1] == DAYS[-1]
    assert sorted({p for looked in late for p in looked}) == [DAYS[0], DAYS[-1]]


def test_late_files_are_found_by_the_sweep(lake_folder: Lake, sales: Dataset) -> None:
    looker = Looker(lake_folder, sales)
    days = [f"2026-{m:02}-15" for m in range(1, 9)]
    for day in days:
        looker.lands(partition=day)
    looker.found()
    run(lake_folder, sales, *days)
    looker.lands("late.csv", days[0])
    assert [looker.found() for _ in range(SWEEP_EVERY)] == [[]] * (SWEEP_EVERY - 1) + [[days[0]]]


@pytest.mark.parametrize(
    ("landing", "by", "start"),
    [
        ("s/{yyyy}/{mm}/{dd}/", "daily", "s/2026/03/0"),
        ("s/{yyyy}/s_{yyyy}{mm}{dd}.csv", "daily", "s/2026/s_2026030"),
        ("s/{yyyy}-{mm}/", "monthly", "s/2026-0"),
        ("s/*/{yyyy}/{mm}/{dd}/", "daily", None),
        ("s/{dd}/{mm}/{yyyy}/", "daily", None),
        ("s/", "none", None),
    ],
)
def test_where_the_newest_partitions_begin(tmp_path: Path, landing: str, by: str, start: str | None) -> None:
    spec = {"by": by} if by == "none" else {"by": by, "start": "2026-01-01"}
    dataset = make_dataset(tmp_path / "defs", "s", landing=landing, partitions=spec)
    keys = ["2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01", "2026-05-01"]
    assert frontier(dataset, dict.fromkeys(keys)) == start


def test_a_mark_is_of_a_set(looker: Looker) -> None:
    assert mark_of(["a1", "b2"]) == mark_of(["b2", "a1"])
    assert len({mark_of(ids) for ids in (["a1"], ["a1", "b2"], ["b2"], [], ["a1", "a1"])}) == 5


def test_beside_a_queue_it_finds_what_events_missed_and_nothing_else(
    lake_folder: Lake, sales: Dataset, tmp_path: Path
) -> None:
    looker = Looker(lake_folder, sales, beside_queue=True)
    queue, later = MemoryQueue(), timedelta(minutes=6)
    waits = make_dataset(tmp_path / "waits", arrivals={"max_wait_seconds": 9999})
    for name, heard in (("asked.csv", sales), ("waiting.csv", waits), ("lost.csv", None)):
        key = looker.lands(name, text=name)
        if heard:
            queue.send(event_of(lake_folder, key))
            drain(lake_folder, places_of(lake_folder, heard), queue, None, now())
    taken = looker.lands("taken.csv", NEXT)
    run(lake_folder, sales, NEXT)
    young = looker.look()
    assert (young.requests, young.done.lost) == ((), {})
    found = looker.look(later)
    assert found.done.lost == {"sales": 1}
    assert [list(r.partitions) for r in found.requests] == [[DAY]]
    by_source = {d["source"]: d["objects"] for d in requested(lake_folder)}
    assert [*by_source["listing"][DAY]] == ["sales/2026/03/01/lost.csv"]
    assert taken not in by_source["listing"]
    assert looker.look(later * 2).done.lost == {}


def test_a_look_that_dies_after_storing_its_requests_asks_again(
    lake_folder: Lake, sales: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lake_pipeline.arrivals.journal import Journal

    looker = Looker(lake_folder, sales)
    looker.lands()
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            looker.look()
    assert looker.found() == [DAY]
    assert len(requested(lake_folder)) == 1


def test_producers_manifests_are_found_too(lake_folder: Lake, tmp_path: Path) -> None:
    sales = make_dataset(tmp_path / "defs", producer_manifest="required", arrivals={"max_wait_seconds": 60})
    looker = Looker(lake_folder, sales)
    looker.lands()
    assert looker.found() == []
    put(lake_folder, sales, "_MANIFEST.json", b'{"files": [{"name": "a.csv"}]}')
    assert looker.found() == [DAY]
    run(lake_folder, sales)
    fresh = Looker(lake_folder, sales, sensor="another")
    assert fresh.found() == []
    put(lake_folder, sales, "_MANIFEST.json", b'{"files": [{"name": "a.csv"}, {"name": "b.csv"}]}')
    assert (looker.found(), fresh.found()) == ([DAY], [])
