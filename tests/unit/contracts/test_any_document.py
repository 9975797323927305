"""Whatever stands in a contract, its author gets problems with places, never a stack trace."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lake_pipeline.contracts import ContractError, load

JUNK: list[Any] = [None, True, 7, "junk", [], {}, [None], {"junk": 1}, [{"junk": 1}]]
Place = tuple[str | int, ...]


def places(value: Any, path: Place = ()) -> Iterator[Place]:
    """Every place in a document, the root left out."""
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def replaced(document: Any, path: Place, junk: Any) -> Any:
    changed = copy.deepcopy(document)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = junk
    return changed


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_junk_at_any_place_never_raises_anything_else(write: Callable[..., Path], junk: Any) -> None:
    path = write()
    document = yaml.safe_load(path.read_text())
    for place in places(document):
        text = yaml.safe_dump(replaced(document, place, junk), sort_keys=False)
        path.write_text(text)
        try:
            assert load(path).hash
        except ContractError as error:
            lines = text.count("\n") + 1
            assert error.problems, place
            assert all(1 <= problem.line <= lines and problem.message for problem in error.problems), place
