"""The command `lake`: one file per command, and one place that prints."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from types import TracebackType


def main() -> None:
    """Run the command in this process; see `lake_pipeline.cli.app`."""
    from lake_pipeline.cli.app import main as run

    run()


def start() -> None:
    """The console script: `main`, without what Python does for programs that live long.

    What is imported stays until the end, so collecting it while it is imported, and freeing it at the end
    piece by piece, is half of what a short command costs (mypy does the same).
    """
    gc.disable()
    from lake_pipeline.cli.app import main as run

    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
    sys.excepthook = bug
    code = 0
    try:
        run()
    except SystemExit as e:
        if not isinstance(e.code, int | None):
            raise
        code = e.code or 0
    leave(code)


def bug(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    """The trace of what nobody foresaw, and nothing of what C++ libraries tell at Python's own end."""
    traceback.print_exception(kind, error, error.__traceback__)
    leave(1)


def leave(code: int) -> None:
    """End the process at once, when all that was said is written."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = code or 1
    os._exit(code)


__all__ = ["main", "start"]
