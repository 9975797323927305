"""Run a command in a process of its own: wall time, its own clock, and peak memory with all its children."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SAMPLE_SECONDS = 0.05
KILOBYTE = 1024
SHOWN = 2_000


class BenchmarkError(Exception):
    """A measured command failed; the message ends with what it said last."""


@dataclass(frozen=True)
class Measurement:
    """What a process took.

    seconds: wall time from start to exit. own_seconds: what the command itself measured and printed as its
    last line, without start-up and imports; None where it prints none. peak_mb: the most memory that the
    process and its children held together.
    """

    seconds: float
    own_seconds: float | None
    peak_mb: float

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        return {name: v and round(v, 2) for name, v in asdict(self).items()}


def measure(
    command: Sequence[str | Path], env: Mapping[str, str] | None = None, *, accept: Sequence[int] = (0,)
) -> Measurement:
    """Run `command` and wait for it; raise `BenchmarkError` where its exit code is not one of `accept`."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, **(env or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        sampler = Sampler(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        sampled = sampler.stop()
        output.seek(0)
        said = output.read()
    if process.returncode not in accept:
        text = (
            f"{' '.join(str(p) for p in command)[:SHOWN]}\nended with {process.returncode}:\n{said[-SHOWN:]}"
        )
        raise BenchmarkError(text)
    own_peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else KILOBYTE)
    return Measurement(seconds, own_clock(said), max(own_peak, sampled) / 1e6)


def own_clock(output: str) -> float | None:
    """The number on the last line of a command's output.

    >>> own_clock("1.25"), own_clock("done"), own_clock("")
    (1.25, None, None)
    """
    last = output.strip().rpartition("\n")[2]
    try:
        return float(last)
    except ValueError:
        return None


class Sampler:
    """Adds up the resident memory of a session's processes until stopped (where there is /proc)."""

    def __init__(self, session: int) -> None:
        self.session = session
        self.peak = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        """Sample; one process alone is measured exactly by the kernel, so this only has to see the many."""
        while not self.over.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, session_memory(self.session))

    def stop(self) -> int:
        """The peak, in bytes."""
        self.over.set()
        self.thread.join()
        return self.peak


def session_memory(session: int) -> int:
    """The resident memory, in bytes, of all processes of a session."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # the command's name is in parentheses and may hold spaces; session and rss come after it
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended between the listing and the reading
        if int(fields[3]) == session:
            total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return total
