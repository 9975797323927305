"""State that changes by appending: the newest document of a log is the state, the others are its history.

A change is a conditional write of the next number, so of two that decide at once one wins and the other
looks again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from lake_pipeline.storage import Lake
from lake_pipeline.storage.lake import LogContention, dump, last_documents

State = dict[str, Any]
MOST_TRIES = 100


def newest(lake: Lake, folder: str) -> tuple[int, State | None]:
    """The number and the newest document of a log in the zone ops; (0, None) before the first."""
    number, key = last_documents(lake.zone("ops"), folder).get("", (0, ""))
    return number, json.loads(lake.zone("ops").read(key)) if number else None


def newest_below(lake: Lake, folder: str) -> dict[str, State]:
    """The newest document of every log below `folder`, by the log's path below it: one listing."""
    store = lake.zone("ops")
    return {name: json.loads(store.read(key)) for name, (_, key) in last_documents(store, folder).items()}


def change(lake: Lake, folder: str, decide: Callable[[State | None], Mapping[str, Any] | None]) -> bool:
    """Append what `decide` makes of the newest document; returns whether it made anything.

    `decide` is asked again when another writer was faster. Raises `LogContention` when that happens for ever.
    """
    for _ in range(MOST_TRIES):
        number, state = newest(lake, folder)
        made = decide(state)
        if made is None:
            return False
        if lake.zone("ops").create(f"{folder}/{number + 1:06}.json", dump(dict(made))):
            return True
    raise LogContention(f"{folder}: {MOST_TRIES} changes in a row lost to other writers.")
