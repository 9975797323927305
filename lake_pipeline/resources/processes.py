"""The processes of runs: how each is named in its run's tags, and whether it is still there."""

from __future__ import annotations

import os
import socket
from pathlib import Path

PROCESS_TAG = "lake/process"


def process_name(pid: int | None = None) -> str:
    """A process of this machine (None: this one), since it started: ``host/pid/ticks``."""
    number = os.getpid() if pid is None else pid
    return f"{socket.gethostname()}/{number}/{started_at(number)}"


def started_at(pid: int) -> str:
    """When a process started, in the kernel's ticks; ``""`` where there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def is_gone(name: str) -> bool:
    """Whether a process that `process_name` named has ended; never of another machine's."""
    return pid_of(name) is not None and started_at(pid_of(name) or 0) != name.rpartition("/")[2]


def pid_of(name: str) -> int | None:
    """The number of a process of this machine; None for another machine's, and for what is no name."""
    host, _, rest = name.partition("/")
    pid = rest.partition("/")[0]
    return int(pid) if host == socket.gethostname() and pid.isdigit() else None
