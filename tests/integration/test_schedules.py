"""Runs, forced runs and compactions of one partition, interleaved step by step in any order.

Files land meanwhile, and runs die. At every moment readers see of each file all its rows or none, and once; and
when all has come to rest, the law holds and the partition is what a run alone would have made it.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from compacting import split
from crashing import Killed, lake_at
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from lakes import DAY, View, actions, check_law, csv, make_dataset, put, run

from lake_pipeline.flow.compact import compact
from lake_pipeline.flow.context import working
from lake_pipeline.flow.publish import AuditedBeside
from lake_pipeline.storage import Lake, ObjectStore
from lake_pipeline.storage.lake import Overtaken
from lake_pipeline.storage.objects import ObjectChanged
from lake_pipeline.storage.tables import Tables

STEPS = (
    (Tables, "look"),
    (Tables, "admit"),
    (Tables, "replace"),
    (ObjectStore, "create"),
    (ObjectStore, "write"),
    (ObjectStore, "adopt"),
)
PATIENCE = 120  # seconds, after which something hangs


class Actor(threading.Thread):
    """A run in a thread of its own that waits before each of its steps until it is let go on: one moves at a time."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.work, self.killed, self.ended = work, False, False
        self.error: BaseException | None = None
        self._go, self._waits = threading.Semaphore(0), threading.Semaphore(0)
        self.start()

    def run(self) -> None:
        self._go.acquire()
        try:
            self.work()
        except BaseException as e:
            self.error = e
        self.ended = True
        self._waits.release()

    def step(self) -> None:
        """Called by the run itself: wait."""
        self._waits.release()
        assert self._go.acquire(timeout=PATIENCE)
        if self.killed:
            raise Killed

    def advance(self, steps: int) -> None:
        """Let it go on for so many steps, or to its end."""
        for _ in range(steps):
            if self.ended:
                return
            self._go.release()
            assert self._waits.acquire(timeout=PATIENCE), "it hangs"

    def kill(self) -> None:
        self.killed = True
        self.advance(1000)


def paced(step: Callable[..., Any]) -> Callable[..., Any]:
    """The step, before which an actor waits."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        actor = threading.current_thread()
        if isinstance(actor, Actor):
            actor.step()
        return step(*args, **kwargs)

    return wrapped


class Schedules(RuleBasedStateMachine):
    """One partition, at most three actors at once."""

    @initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        for owner, name in STEPS:
            self.patch.setattr(owner, name, paced(getattr(owner, name)))
        self.folder = Path(tempfile.mkdtemp())
        keep = {"key": ["id"], "order_by": ["amount"], "losers": "quarantine"}
        self.dataset = make_dataset(self.folder / "defs", deduplicate=keep)
        self.landed: dict[str, int] = {}
        self.actors: list[Actor] = []
        self.number = 0
        self.land("a")
        self.land("b")
        run(self.lake, self.dataset)
        split(self.lake, self.dataset, DAY)

    @property
    def lake(self) -> Lake:
        """The lake, opened anew."""
        return lake_at(self.folder / "lake")

    def _run(self, force: bool) -> None:
        run(self.lake, self.dataset, force=force)

    def _compact(self) -> None:
        with working(self.lake, self.dataset, "compact") as work:
            compact(work, [DAY])

    @rule(name=st.sampled_from("abc"))
    def land(self, name: str) -> None:
        """A file lands, or overwrites another of its name: two rows that are fine, one that is not, one too many."""
        self.number += 1
        n = self.landed[name] = self.number
        rows = (f"{name}-{n}-1,1,2026-03-01", f"{name}-{n}-2,2,2026-03-01", f"{name}-{n}-3,x,2026-03-01")
        put(self.lake, self.dataset, f"{name}.csv", csv(*rows, f"{name}-{n}-1,2,2026-03-01"))

    @precondition(lambda self: sum(not a.ended for a in self.actors) < 3)
    @rule(kind=st.sampled_from(["run", "run", "force", "compact"]))
    def begin_work(self, kind: str) -> None:
        """Somebody starts, and does nothing yet."""
        work = self._compact if kind == "compact" else lambda: self._run(kind == "force")
        self.actors.append(Actor(work))

    @precondition(lambda self: any(not a.ended for a in self.actors))
    @rule(which=st.integers(0, 2), steps=st.integers(1, 9))
    def advance(self, which: int, steps: int) -> None:
        """One of them goes on."""
        living = [a for a in self.actors if not a.ended]
        living[which % len(living)].advance(steps)
        self.look()

    @precondition(lambda self: any(not a.ended for a in self.actors))
    @rule(which=st.integers(0, 2))
    def kill(self, which: int) -> None:
        """One of them dies."""
        living = [a for a in self.actors if not a.ended]
        living[which % len(living)].kill()
        self.look()

    def look(self) -> None:
        """What readers of curated see: of each file that they see, one version, whole, and once."""
        ids = Counter(View(self.lake, self.dataset).values())
        assert set(ids.values()) <= {1}, f"doubled: {ids}"
        versions = {id_.rpartition("-")[0] for id_ in ids}
        assert set(ids) == {f"{v}-{row}" for v in versions for row in (1, 2)}, f"in part: {ids}"
        names = [v.partition("-")[0] for v in versions]
        assert len(names) == len(set(names)), f"two versions: {ids}"
        assert {"a", "b"} <= set(names), f"lost: {ids}"

    def teardown(self) -> None:
        """All comes to rest; then the law holds, and nothing is left to do."""
        if not hasattr(self, "folder"):
            return
        try:
            while any(not a.ended for a in self.actors):
                for actor in self.actors:
                    actor.advance(3)
            self.look()
            for actor in self.actors:
                if actor.error is not None and not isinstance(actor.error, Killed):
                    assert isinstance(actor.error, Overtaken | AuditedBeside | ObjectChanged), actor.error
            run(self.lake, self.dataset)
            view = check_law(self.lake, self.dataset)
            assert view.values() == sorted(f"{k}-{n}-{row}" for k, n in self.landed.items() for row in (1, 2))
            assert view.status()[DAY].balance.quarantined == 2 * len(self.landed)
            assert actions(run(self.lake, self.dataset)) == {DAY: "unchanged"}
        finally:
            self.patch.undo()
            shutil.rmtree(self.folder)


TestSchedules = Schedules.TestCase
TestSchedules.settings = settings(
    max_examples=10,
    stateful_step_count=16,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),  # to shrink a failure takes minutes
    suppress_health_check=list(HealthCheck),
)
