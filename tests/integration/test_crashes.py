"""Kill a run at every effect it has on storage: a plain re-run ends where an undisturbed run ends."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crashing import Killed, killing, lake_at, same
from lakes import DAY, NEXT, View, check_law, csv, json_lines, make_dataset, put, run

from lake_pipeline.datasets import Dataset
from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.errors import Transient
from lake_pipeline.flow.state import Memory
from lake_pipeline.storage import Lake
from lake_pipeline.storage.lake import Overtaken
from lake_pipeline.storage.tables import Tables


def content(lake: Lake, dataset: Dataset) -> dict[str, Any]:
    """What a lake holds, without times, ids of runs and snapshots, and names of files."""
    view = check_law(lake, dataset)
    names = {r.id: r.uri.rpartition("/")[2] for p in (DAY, NEXT) for r in view.receipts(p)}
    rows = {
        zone: sorted(
            str([names.get(r["_source"]), *sorted((k, v) for k, v in r.items() if k not in MOVING)])
            for r in found
        )
        for zone, found in (("curated", view.curated), ("validated", view.validated))
    }
    rejected = sorted(
        str(
            (
                r["_partition"],
                names.get(r["_source"]),
                r["line"],
                r["raw"],
                [x["code"] for x in r["reasons"]],
                r["rows"],
            )
        )
        for r in view.quarantine
    )
    receipts = sorted(
        (names[r.id], r.rows, r.valid, r.quarantined, r.reason) for p in (DAY, NEXT) for r in view.receipts(p)
    )
    states = {p: (s.state, s.balance, s.reasons) for p, s in view.status().items()}
    return {
        **rows,
        "quarantine": rejected,
        "receipts": receipts,
        "states": states,
        "files": sorted(view.kept_files()),
    }


MOVING = ("_source",)


def first(lake: Lake, dataset: Dataset) -> None:
    """Two partitions; one is refused by its gate. Two layouts, so that a batch has several data files."""
    put(lake, dataset, "a.csv", csv("a1,1,2026-03-01", "a2,x,2026-03-01", "a3,-3,2026-03-01"))
    put(
        lake,
        dataset,
        "b.jsonl",
        json_lines({"id": "b1", "amount": 1}, {"id": "b2", "amount": "?"}, {"id": "a1"}),
    )
    put(lake, dataset, "bad.txt", b"?")
    put(lake, dataset, "a.csv", csv("n1,1,2026-03-02", "n2,1,2026-03-02", "n2,x,2026-03-02"), NEXT)
    put(lake, dataset, "b.csv", csv("7,n2", "8,n3", header="amount,id"), NEXT)


def second(lake: Lake, dataset: Dataset) -> None:
    """A key is overwritten and a file is new: rows go and come; the other partition is put right."""
    put(lake, dataset, "a.csv", csv("a4,4,2026-03-01", "a5,x,2026-03-01"))
    put(lake, dataset, "c.csv", csv("c1,1,2026-03-01"))
    put(lake, dataset, "b.csv", csv("8,n3", "9,?id", header="amount,id"), NEXT)


def spoiled(lake: Lake, dataset: Dataset) -> None:
    """New files that the gate refuses, after a publish."""
    put(lake, dataset, "z.csv", csv("same,1,2026-03-01", "same,2,2026-03-01", "z,x,2026-03-01"))
    put(lake, dataset, "z.csv", csv("fine,1,2026-03-02"), NEXT)


STORIES: dict[str, tuple[Callable[[Lake, Dataset], None], ...]] = {
    "first run": (first,),
    "overwritten": (first, second),
    "refused": (first, second, spoiled),
}


@pytest.fixture
def sales(tmp_path: Path) -> Dataset:
    formats = [{"type": "csv"}, {"type": "jsonl"}]
    keep = {"key": ["id"], "order_by": ["amount"], "losers": "quarantine"}
    rules = 'ColumnValues "id" != "same", ColumnValues "id" != "n2"'
    return make_dataset(tmp_path / "defs", formats=formats, deduplicate=keep, rules=rules)


def tell(path: Path, story: str, dataset: Dataset) -> Lake:
    """A lake just before the last run of a story."""
    lake = lake_at(path)
    *before, last = STORIES[story]
    for landing in before:
        landing(lake, dataset)
        run(lake, dataset, DAY, NEXT)
    last(lake, dataset)
    return lake


def visible(lake: Lake, dataset: Dataset) -> set[str]:
    return set(map(str, View(lake, dataset).curated))


@pytest.mark.parametrize("story", STORIES)
def test_a_kill_at_any_effect_loses_nothing(
    story: str, sales: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(tmp_path / "lake", story, sales)
    shutil.copytree(tmp_path / "lake", tmp_path / "before", copy_function=same)
    lake = lake_at(tmp_path / "lake")
    old = visible(lake, sales)
    with killing(-1) as effects:
        run(lake, sales, DAY, NEXT)
    expected, new = content(lake, sales), visible(lake, sales)
    assert effects.count > 10
    for fatal in range(1, effects.count + 1):
        lake = restored(tmp_path)
        with killing(fatal), pytest.raises(Killed):
            run(lake, sales, DAY, NEXT)
        # a publish is one commit: readers see what was there before, or what passed the gate
        assert visible(lake_at(tmp_path / "lake"), sales) in (old, new)
        lake = lake_at(tmp_path / "lake")
        with monkeypatch.context() as patch:
            if story == "first run":
                in_another_order(patch)
            run(lake, sales, DAY, NEXT)
        assert content(lake, sales) == expected, f"killed at {fatal} of {effects.count}"
    result = run(lake, sales, DAY, NEXT)
    assert {c.action for c in result.curated.values()} <= {"unchanged", "still refused"}


def in_another_order(patch: pytest.MonkeyPatch) -> None:
    """Which of several data files is written first depends on threads: a file's name must not."""
    backwards = itertools.count(999, -1)
    patch.setattr(DuckDB, "number", lambda _: next(backwards))


def restored(tmp_path: Path) -> Lake:
    """The lake as it was before the last run: the same files, inodes and all."""
    lake = tmp_path / "lake"
    shutil.rmtree(lake)
    shutil.copytree(tmp_path / "before", lake, copy_function=same)
    return lake_at(lake)


def test_more_may_land_between_a_kill_and_the_next_run(sales: Dataset, tmp_path: Path) -> None:
    """After every other kill something sound, and between them something that the gate refuses."""
    tell(tmp_path / "lake", "first run", sales)
    shutil.copytree(tmp_path / "lake", tmp_path / "before", copy_function=same)
    lake = lake_at(tmp_path / "lake")
    with killing(-1) as effects:
        run(lake, sales, DAY, NEXT)
    for fatal in range(1, effects.count + 1):
        lake, spoil = restored(tmp_path), fatal % 2 == 0
        with killing(fatal), pytest.raises(Killed):
            run(lake, sales, DAY, NEXT)
        outcome = Memory(lake, sales).outcomes([DAY]).get(DAY)
        seen = ["a1", "b1"] if outcome else []  # what was decided is done first
        put(lake, sales, "more.csv", csv("same,1,2026-03-01" if spoil else "more,1,2026-03-01"))
        run(lake, sales, DAY, NEXT)
        view = check_law(lake, sales)
        assert view.values() == (seen if spoil else ["a1", "b1", "more"]), (
            f"killed at {fatal} of {effects.count}"
        )
        assert view.status()[DAY].balance.landed == 7


EXIT = """
import os, sys
from pathlib import Path
from lake_pipeline.datasets import load_dataset
from crashing import EFFECTS, lake_at
from lakes import run
left = int(sys.argv[3])
def fatal(effect):
    def wrapped(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os._exit(9)
        return effect(*args, **kwargs)
    return wrapped
for owner, name in EFFECTS:
    setattr(owner, name, fatal(getattr(owner, name)))
run(lake_at(Path(sys.argv[1])), load_dataset(Path(sys.argv[2])), "2026-03-01", "2026-03-02")
"""


def in_process(lake: Lake, dataset: Dataset, left: int) -> subprocess.Popen[bytes]:
    """A run in a process of its own, which ends itself before the effect `left`, without any clean-up."""
    arguments = [sys.executable, "-c", EXIT, lake.settings.root, str(dataset.folder), str(left)]
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    return subprocess.Popen(arguments, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE)


def test_a_process_that_disappears(sales: Dataset, tmp_path: Path) -> None:
    expected = content_after_run(tmp_path / "quiet", sales)
    for left in (9, 14):
        lake = tell(tmp_path / f"lake-{left}", "first run", sales)
        process = in_process(lake, sales, left)
        process.communicate(timeout=60)
        assert process.returncode == 9
        run(lake, sales, DAY, NEXT)
        assert content(lake, sales) == expected
        assert [p.name for p in (lake.settings.home / "spool").iterdir()], (
            "the killed process left only scratch"
        )


def content_after_run(path: Path, sales: Dataset) -> dict[str, Any]:
    lake = tell(path, "first run", sales)
    run(lake, sales, DAY, NEXT)
    return content(lake, sales)


def until_done(lake: Lake, dataset: Dataset, attempts: int = 6) -> None:
    """A run that is repeated after transient errors, as Dagster repeats it."""
    for left in reversed(range(attempts)):
        try:
            run(lake, dataset, DAY, NEXT)
        except Transient:
            if not left:
                raise
        else:
            return


@pytest.mark.parametrize("story", ["first run", "overwritten"])
def test_runs_beside_one_another(story: str, sales: Dataset, tmp_path: Path) -> None:
    quiet = tell(tmp_path / "quiet", story, sales)
    run(quiet, sales, DAY, NEXT)
    expected = content(quiet, sales)
    tell(tmp_path / "lake", story, sales)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            until_done(lake_at(tmp_path / "lake"), sales)
        except BaseException as e:
            failures.append(e)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    lake = lake_at(tmp_path / "lake")
    run(lake, sales, DAY, NEXT)
    assert content(lake, sales) == expected


def test_processes_beside_one_another(sales: Dataset, tmp_path: Path) -> None:
    expected = content_after_run(tmp_path / "quiet", sales)
    lake = tell(tmp_path / "lake", "first run", sales)
    processes = [in_process(lake, sales, -1) for _ in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=90)
        # one that lost a race says so in one of our own errors, and may be repeated
        assert process.returncode == 0 or b"lake_pipeline." in errors.splitlines()[-1], errors.decode()
    until_done(lake, sales)
    assert content(lake, sales) == expected


def test_a_run_that_took_an_older_inventory(sales: Dataset, tmp_path: Path) -> None:
    """One run validates what another, with a newer manifest, validates too: the rows count once."""
    lake = tell(tmp_path / "lake", "first run", sales)
    run(lake, sales, DAY, NEXT, stages=("raw",))
    original = Tables.replace
    nested: list[bool] = []

    def late(self: Tables, *args: Any, **kwargs: Any) -> Any:
        if not nested:
            nested.append(True)
            put(lake, sales, "late.csv", csv("late,1,2026-03-01"))
            run(lake_at(tmp_path / "lake"), sales, DAY, NEXT)
        return original(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tables, "replace", late)
        with pytest.raises(Overtaken, match="newer inventory"):
            run(lake, sales, DAY, NEXT, stages=("validated", "quarantine", "curated"))
    until_done(lake, sales)
    assert check_law(lake, sales).values() == ["a1", "b1", "late"]
