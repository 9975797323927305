"""What a run brings along: the lake, the dataset, engines, a scratch folder, and who it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.engines.engine import Engine
from lake_pipeline.errors import UsageError
from lake_pipeline.flow.choice import Choice, Ran, Size, choose
from lake_pipeline.flow.state import DEFAULT_PROFILE
from lake_pipeline.storage import Lake

Q = TypeVar("Q")
A = TypeVar("A")

# (what is being done, how much of it is done, how much there is)
Progress = Callable[[str, int, int], None]


def silent(_: str) -> None:
    """A log that nobody reads."""


_watcher: ContextVar[Progress | None] = ContextVar("lake_progress", default=None)


@contextmanager
def watched(progress: Progress) -> Iterator[None]:
    """Have somebody watch the progress of all work within."""
    token = _watcher.set(progress)
    try:
        yield
    finally:
        _watcher.reset(token)


def tell(doing: str, done: int, total: int) -> None:
    """Tell whoever watches how far the work is."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(doing, done, total)


@dataclass(frozen=True)
class Step(Generic[Q, A]):
    """A piece of computing that can be done elsewhere: a function from what is asked to what came of it.

    Both are values of plain types, which `pydantic` writes as JSON. It commits nothing: what it makes is
    neither visible nor remembered before the one who asked has looked at the answer.
    """

    name: str
    function: Callable[[Work, Q], A]
    request: type[Q]
    answer: type[A]


class Elsewhere(Protocol):
    """Has steps done by a job, e.g. of AWS Glue."""

    def do(self, work: Work, step: Step[Any, Any], request: Any, size: Size) -> tuple[Any, dict[str, Any]]:
        """The answer, and facts of the job run."""


@dataclass(frozen=True)
class Engines:
    """What steps can be done by besides DuckDB: makers, called when a step needs them."""

    spark: Callable[[Lake, Path], Engine] | None = None
    glue: Elsewhere | None = None


EMBEDDED = Engines()


@dataclass(frozen=True)
class Work:
    """One run's work on one dataset.

    engine: for what is done here; engines: for steps that are done elsewhere. reference: the lake whose
    curated tables rules compare with. force: whether what is done is done again. about: the run's metadata
    (run_id, dataset, partition, source, threshold_profile, replay_id). after: what is to be done when a stage has
    succeeded.
    """

    lake: Lake
    dataset: Dataset
    engine: Engine
    folder: Path
    run_id: str = "local"
    at: datetime = field(default_factory=now)
    reference: Lake | None = None
    force: bool = False
    engines: Engines = EMBEDDED
    opened: ExitStack = field(default_factory=ExitStack)
    made: dict[str, Engine] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)
    after: list[Callable[[], None]] = field(default_factory=list)

    @property
    def tags(self) -> dict[str, Any]:
        """What receipts, reports and outcomes say of the run besides its id."""
        profile = self.about.get("threshold_profile", DEFAULT_PROFILE)
        return {"threshold_profile": profile, "replay_id": self.about.get("replay_id", "")}

    @property
    def context(self) -> tuple[str, str, datetime]:
        """(contract version, run id, when), as a quarantine entry has it."""
        return self.dataset.contract.version, self.run_id, self.at

    def finish(self) -> None:
        """Do what waited for a stage's success: the lake has by now what came of it."""
        while self.after:
            self.after.pop(0)()

    def do(self, step: Step[Q, A], request: Q, size: Size) -> tuple[A, Ran]:
        """Have a step done by the engine that the dataset names, or that its size asks for."""
        choice = choose(self.dataset.config, size, self.lake.settings.memory)
        facts: dict[str, Any] = {}
        if choice.engine == "glue":
            answer, facts = self._glue(choice).do(self, step, request, size)
        elif choice.engine == "spark":
            answer = step.function(replace(self, engine=self._spark(choice)), request)
        else:
            answer = step.function(self, request)
        return answer, Ran(choice.engine, choice.reason, facts)

    def _glue(self, choice: Choice) -> Elsewhere:
        if self.engines.glue is None:
            raise UsageError(
                f"{choice.reason}, but this run has no Glue: start it through Dagster or `lake run`."
            )
        return self.engines.glue

    def _spark(self, choice: Choice) -> Engine:
        if self.engines.spark is None:
            raise UsageError(
                f"{choice.reason}, but this run has no Spark: start it through Dagster or `lake run`."
            )
        if "spark" not in self.made:
            folder = self.opened.enter_context(self.lake.spool(shared=True))
            self.made["spark"] = self.engines.spark(self.lake, folder)
            self.opened.callback(self.made["spark"].close)
        return self.made["spark"]


@contextmanager
def working(
    lake: Lake,
    dataset: Dataset,
    run_id: str,
    reference: Lake | None = None,
    *,
    engines: Engines = EMBEDDED,
    force: bool = False,
    about: Mapping[str, str] | None = None,
) -> Iterator[Work]:
    """A run's work, with an engine and a scratch folder that end with it."""
    from lake_pipeline.engines.duckdb import DuckDB  # a job on Glue has none

    with ExitStack() as opened:
        folder = opened.enter_context(lake.spool())
        engine = DuckDB.of(lake.settings, folder)
        opened.callback(engine.close)
        work = Work(
            lake,
            dataset,
            engine,
            folder,
            run_id,
            reference=reference,
            force=force,
            engines=engines,
            opened=opened,
            about=about or {},
        )
        yield work
        work.finish()
