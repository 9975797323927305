"""What this process may use of its machine: the memory and the processors that its container leaves it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

MB = 1_000_000
USUAL = 1000 * MB  # measured to be enough for 60 million rows: docs/benchmarks.md
LEAST = 300 * MB  # with less DuckDB fails on files that are not large
SHARE = 0.5  # of the container's memory; the rest is Python's, Arrow's, and the files that are being read
CGROUPS = Path("/sys/fs/cgroup")
LIMITS = ("memory.max", "memory/memory.limit_in_bytes")  # of cgroup v2 and v1, as a container sees its own


def default_memory(cgroups: Path = CGROUPS) -> int:
    """Bytes for an engine's own memory: 1 GB, or less where the container has little."""
    limit = memory_limit(cgroups)
    return USUAL if limit is None else max(LEAST, min(USUAL, int(limit * SHARE)))


def memory_limit(cgroups: Path = CGROUPS) -> int | None:
    """The most bytes that this container may have: its own limit and its machine; None where neither is known."""
    found = [int(text) for text in map(_read, (cgroups / name for name in LIMITS)) if text.isdecimal()]
    with suppress(OSError, ValueError):  # not on this system
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min((n for n in found if n > 0), default=None)


def default_threads(cgroups: Path = CGROUPS) -> int:
    """How many threads do work at once: the processors that this process may use, by affinity and by quota."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroups)
    return max(1, min(usable, round(quota))) if quota else usable


def _quota(cgroups: Path) -> float | None:
    """Processors by the scheduler's quota: of cgroup v2, else of v1; None where there is no limit."""
    quota, _, period = _read(cgroups / "cpu.max").partition(" ")
    if not quota:
        quota = _read(cgroups / "cpu/cpu.cfs_quota_us")
        period = _read(cgroups / "cpu/cpu.cfs_period_us")
    if not (quota.isdecimal() and period.isdecimal() and int(period)):
        return None
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
