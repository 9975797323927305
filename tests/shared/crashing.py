"""Runs that die at an effect on storage, and lakes that can be put back to what they were."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake, ObjectStore
from lake_pipeline.storage.tables import Tables


class Killed(BaseException):
    """What no `except Exception` stops, as a kill."""


class Effects:
    """Counts the effects on storage, and kills before the one with the number `fatal`: after the one before it."""

    def __init__(self, fatal: int = -1) -> None:
        self.fatal, self.count = fatal, 0
        self._lock = threading.Lock()

    def around(self, effect: Callable[..., Any]) -> Callable[..., Any]:
        """The effect, at which the run can be killed."""

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                self.count += 1
                if self.count == self.fatal:
                    raise Killed
            return effect(*args, **kwargs)

        return wrapped


EFFECTS = ((ObjectStore, "write"), (ObjectStore, "adopt"), (ObjectStore, "create"), (Tables, "replace"))


@contextmanager
def killing(fatal: int) -> Iterator[Effects]:
    """Have the effect point `fatal` kill whoever comes to it."""
    effects = Effects(fatal)
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in EFFECTS:
            patch.setattr(owner, name, effects.around(getattr(owner, name)))
        yield effects


def lake_at(path: Path) -> Lake:
    return Lake(Settings.at(str(path)))


def same(source: str, target: str) -> None:
    """A hard link, which is enough for objects, as they are only ever replaced; a database is copied."""
    if source.endswith(".db"):
        shutil.copy2(source, target)
    else:
        os.link(source, target)
