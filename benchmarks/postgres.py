"""A Postgres server for the time of a measurement, where `initdb` is on the machine."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Postgres refuses to run as root; one of these owns it then.
PLAIN_USERS = ("postgres", "nobody")


def available() -> bool:
    """Whether the machine has Postgres' programs."""
    return bool(shutil.which("initdb"))


@contextmanager
def server() -> Iterator[str]:
    """A new server on a free port of this machine; its URL."""
    binaries = Path(str(shutil.which("initdb"))).resolve().parent
    with tempfile.TemporaryDirectory(prefix="lake-postgres-") as home:
        user, data, port = plain_user(Path(home)), f"{home}/data", free_port()

        def call(program: str, *arguments: str) -> None:
            command = [str(binaries / program), "-D", data, *arguments]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=home, **user)

        call("initdb", "-U", "lake", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1"
        call("pg_ctl", "-w", "-l", f"{home}/log", "-o", options, "start")
        try:
            yield f"postgresql+psycopg2://lake@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "-m", "immediate", "stop")


def plain_user(home: Path) -> dict[str, Any]:
    """How to run as somebody else than root, whose `home` becomes; nothing where root is not asked."""
    if os.geteuid():
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = next(names[name] for name in PLAIN_USERS if name in names)
    os.chown(home, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
