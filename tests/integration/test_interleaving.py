"""Another run, whole, between any two steps of a run: at each reading, each decision and each commit of each table.

Whatever the other one is, no row is lost, doubled or in two places; who was overtaken ends by saying so, or with
the right table; and repeated, it ends where a run alone would have ended.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from compacting import split
from crashing import EFFECTS, Effects, Killed, lake_at, same
from lakes import DAY, View, actions, check_law, csv, make_dataset, put, run

from lake_pipeline.datasets import Dataset
from lake_pipeline.errors import Transient
from lake_pipeline.flow.compact import compact
from lake_pipeline.flow.context import working
from lake_pipeline.storage import Lake, ObjectStore
from lake_pipeline.storage.tables import Tables

# Readings, commits, and decisions: between two of them, another run cannot make a difference.
STEPS = ((Tables, "look"), (Tables, "replace"), (ObjectStore, "create"))


@dataclass
class Steps:
    """Counts the steps of a run, and has `other` happen before the one with the number `at`."""

    at: int = -1
    other: Callable[[], None] = lambda: None
    count: int = 0
    within: bool = False

    def around(self, name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if not self.within:
                self.count += 1
                if self.count == self.at:
                    self.within = True
                    self.other()
                    self.within = False
            return step(*args, **kwargs)

        return wrapped


@contextmanager
def meanwhile(at: int, other: Callable[[], None]) -> Iterator[Steps]:
    """Have `other` happen before step `at` of whatever is done within."""
    steps = Steps(at, other)
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in STEPS:
            patch.setattr(owner, name, steps.around(name, getattr(owner, name)))
        yield steps


KEEP = {"key": ["id"], "order_by": ["amount"], "losers": "quarantine"}


@dataclass(frozen=True)
class Site:
    """A dataset under two contracts, and a lake in a folder that can be put back to what it was."""

    folder: Path
    sales: Dataset
    changed: Dataset

    @property
    def lake(self) -> Lake:
        """The lake, opened anew."""
        return lake_at(self.folder / "lake")

    def restored(self) -> None:
        """As it was before the run."""
        shutil.rmtree(self.folder / "lake", ignore_errors=True)
        shutil.copytree(self.folder / "before", self.folder / "lake", copy_function=same)

    def same(self) -> None:
        """A run of the same files."""
        run(self.lake, self.sales)

    def late(self) -> None:
        """One more file, and a run that takes it."""
        put(self.lake, self.sales, "late.csv", csv("late,1,2026-03-01", "later,x,2026-03-01"))
        run(self.lake, self.sales)

    def late_and_killed(self) -> None:
        """The same, by a run that is killed when it has decided and not yet committed."""
        put(self.lake, self.sales, "late.csv", csv("late,1,2026-03-01", "later,x,2026-03-01"))
        with suppress(Killed), killing_at_commit():
            run(self.lake, self.sales)

    def contract(self) -> None:
        """A run under another contract, by which a row is rejected that was fine."""
        run(self.lake, self.changed)

    def refused(self) -> None:
        """One more file, which the gate refuses until it is overwritten."""
        put(self.lake, self.sales, "late.csv", csv("bad,1,2026-03-01"))
        run(self.lake, self.sales)
        put(self.lake, self.sales, "late.csv", csv("late,1,2026-03-01", "later,x,2026-03-01"))

    def forced(self) -> None:
        run(self.lake, self.sales, force=True)

    def compacted(self) -> None:
        with working(self.lake, self.sales, "compact") as work:
            compact(work, [DAY])


@contextmanager
def killing_at_commit() -> Iterator[None]:
    """Kill before the first commit to curated, and leave the steps that are counted alone."""
    original = Tables.replace

    def replace(self: Tables, seen: Any, *args: Any, **kwargs: Any) -> Any:
        if seen.name.startswith("curated"):
            raise Killed
        return original(self, seen, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tables, "replace", replace)
        yield


def dying_later(other: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    """The other run, whole; who goes on after it dies before his second effect on storage."""
    other()
    effects = Effects(fatal=2)
    for owner, name in EFFECTS:
        patch.setattr(owner, name, effects.around(getattr(owner, name)))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A published partition of three data files; then a file is overwritten, and another is new."""
    rules = 'ColumnValues "id" != "bad"'
    columns: dict[str, dict[str, Any]] = {
        "id": {"logicalType": "string", "required": True},
        "amount": {"logicalType": "number", "logicalTypeOptions": {"minimum": 0, "maximum": 5}},
        "day": {"logicalType": "date"},
    }
    sales = make_dataset(tmp_path / "defs", deduplicate=KEEP, rules=rules)
    changed = make_dataset(tmp_path / "changed", deduplicate=KEEP, rules=rules, columns=columns)
    found = Site(tmp_path, sales, changed)
    lake = lake_at(tmp_path / "before")
    put(lake, sales, "a.csv", csv("a1,1,2026-03-01", "a2,7,2026-03-01", "a3,x,2026-03-01"))
    put(lake, sales, "b.csv", csv("b1,1,2026-03-01"))
    shutil.copytree(tmp_path / "before", tmp_path / "lake")  # tables name their files by where they are
    shutil.rmtree(tmp_path / "before")
    found.same()
    split(found.lake, sales, DAY)
    put(found.lake, sales, "a.csv", csv("a1,2,2026-03-01", "a4,7,2026-03-01", "a5,x,2026-03-01"))
    put(found.lake, sales, "c.csv", csv("c1,1,2026-03-01", "a1,1,2026-03-01", "c2,?,2026-03-01"))
    shutil.copytree(tmp_path / "lake", tmp_path / "before", copy_function=same)
    return found


def content(lake: Lake, dataset: Dataset) -> Any:
    """What readers see, after the law was checked."""
    view = check_law(lake, dataset)
    rejected = sorted((view.file_of(r), str(r["raw"]), r["stage"]) for r in view.quarantine)
    return view.values(), view.values(zone="validated"), rejected, view.status()[DAY].balance


def until_done(site: Site) -> None:
    """A run that is repeated after transient errors, as Dagster repeats it."""
    for left in reversed(range(5)):
        try:
            run(site.lake, site.sales)
        except Transient:
            if not left:
                raise
        else:
            return


LATE = ("late", "late_and_killed", "refused")
RUNS = {"a run": Site.same, "a compaction": Site.compacted}
CASES = [
    *(("a run", other) for other in ("same", "late", "late_and_killed", "contract", "refused", "compacted")),
    *(("a compaction", other) for other in ("same", "late_and_killed", "forced", "compacted")),
]


@pytest.mark.parametrize(("one", "other"), CASES, ids=[f"{a} beside {b}" for a, b in CASES])
def test_another_run_at_any_step(site: Site, one: str, other: str) -> None:
    if other in LATE:
        put(site.lake, site.sales, "late.csv", csv("late,1,2026-03-01", "later,x,2026-03-01"))
    with meanwhile(-1, lambda: None) as steps:
        RUNS[one](site)
    site.same()
    expected = content(site.lake, site.sales)
    assert expected[0] == sorted(["a1", "a4", "b1", "c1", *(["late"] if other in LATE else [])])
    for at in range(1, steps.count + 1):
        site.restored()
        before = View(site.lake, site.sales).values()
        with meanwhile(at, getattr(site, other)) as seen:
            try:
                RUNS[one](site)
            except Transient as e:
                assert "another run" in str(e) or "two runs" in str(e), e
            else:
                if other != "late_and_killed":
                    check_law(site.lake, site.sales)
        assert seen.count >= at
        visible = View(site.lake, site.sales).values()
        assert len(visible) == len(set(visible)), f"doubled at step {at} of {steps.count}"
        assert set(visible) >= {"b1"}, f"lost at step {at} of {steps.count}: {before} became {visible}"
        until_done(site)
        assert content(site.lake, site.sales) == expected, f"at step {at} of {steps.count}"
        assert actions(run(site.lake, site.sales)) == {DAY: "unchanged"}


def test_a_run_that_is_killed_where_another_came_between(site: Site) -> None:
    """The other comes before a step, the run dies soon after it: the next run puts all right."""
    put(site.lake, site.sales, "late.csv", csv("late,1,2026-03-01", "later,x,2026-03-01"))
    with meanwhile(-1, site.same) as steps:
        site.same()
    expected = content(site.lake, site.sales)
    for at in range(1, steps.count + 1):
        site.restored()
        patch = pytest.MonkeyPatch()
        with suppress(Killed, Transient), meanwhile(at, partial(dying_later, site.late, patch)):
            try:
                site.same()
            finally:
                patch.undo()
        until_done(site)
        assert content(site.lake, site.sales) == expected, f"at step {at} of {steps.count}"
