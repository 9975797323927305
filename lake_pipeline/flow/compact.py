"""Compact: the many small data files of a published partition become few, with the same rows.

A partition to which files came one after another has a data file for each, and engines pay for every
file they open. Compacting changes no row, no verdict and no fingerprint: it decides, as a publish does, by
an outcome, which names other data files; where a run published meanwhile, that stays (`Overtaken`). One
commit replaces files by files, and readers see the ones or the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lake_pipeline.engines.parts import OutputFile
from lake_pipeline.errors import Terminal
from lake_pipeline.flow.choice import Size
from lake_pipeline.flow.context import Step, Work
from lake_pipeline.flow.files import place_all
from lake_pipeline.flow.publish import curated_schema
from lake_pipeline.flow.settle import look, record, settle
from lake_pipeline.flow.state import Memory, Outcome
from lake_pipeline.storage.lake import partition_folder

if TYPE_CHECKING:
    from lake_pipeline.storage.tables import DataFile

SMALL = 64 * 1024 * 1024  # bytes below which a data file is worth joining with others


class RowsChanged(Terminal):
    """Compacting would have changed how many rows there are: a defect, and nothing was replaced."""


@dataclass(frozen=True)
class Request:
    """The data files of each partition that are to become few."""

    files: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Compacted:
    """The files that take their place, staged."""

    files: tuple[OutputFile, ...]


def rewrite(work: Work, request: Request) -> Compacted:
    """Write the rows of each partition's files anew."""
    backend, store = work.engine.ibis(), work.lake.zone("curated")
    made: list[OutputFile] = []
    for partition, uris in request.files.items():
        table = work.engine.table(backend, [work.engine.reach(store, uri) for uri in uris])
        made += work.engine.copy(backend, table, "curated", [partition], {})
    return Compacted(tuple(made))


STEP = Step("compact", rewrite, Request, Compacted)


def compact(work: Work, partitions: Iterable[str], small: int = SMALL) -> dict[str, tuple[int, int]]:
    """Compact the curated files of each published partition with several small ones: (files before, after) of those.

    A partition whose newest attempt was refused waits until it is published again.
    """
    memory = Memory(work.lake, work.dataset)
    state = settle(work, memory, look(work, memory, partitions, ["curated"]))
    seen = state.seen["curated"]
    found = {p: seen.data_files(p) for p, o in state.outcomes.items() if o.state == "published"}
    todo = {p: files for p, files in sorted(found.items()) if sum(f.size < small for f in files) > 1}
    if not todo:
        return {}
    request = Request({p: tuple(f.uri for f in files) for p, files in todo.items()})
    every = [f for files in todo.values() for f in files]
    size = Size(sum(f.size for f in every), len(every), sum(f.size for f in every))
    answer, _ = work.do(STEP, request, size)
    outcomes = [renamed(work, state.outcomes[p], files, answer.files) for p, files in todo.items()]
    record(work, memory, state, {"curated": curated_schema(work)}, outcomes=outcomes)
    return {o.partition: (len(todo[o.partition]), len(o.files)) for o in outcomes}


def renamed(work: Work, published: Outcome, files: list[DataFile], answer: tuple[OutputFile, ...]) -> Outcome:
    """The outcome with the new files in place of the old ones; they are in place."""
    partition = published.partition
    made = [f for f in answer if f.partition == partition]
    if sum(f.rows for f in made) != sum(f.rows for f in files):
        raise RowsChanged(
            f"{work.dataset.name} {partition} has {sum(f.rows for f in files)} rows, compacted "
            f"{sum(f.rows for f in made)}; nothing was replaced. This is a defect: please report it."
        )
    folder = f"{work.dataset.name}/data/{partition_folder(partition)}"
    return replace(
        published, files=tuple(place_all(work, "curated", f"{folder}/{published.fingerprint}", made))
    )
