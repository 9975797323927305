"""The command `lake` forked from a process that has loaded its libraries: the docs type it many times.

A server listens on a socket; the program that pages find as `lake` sends it its arguments, folder, environment and
standard streams, and ends with the exit code of the fork. That the command starts by itself, other tests prove.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

LENGTH = struct.Struct("!I")
PROGRAM = """#!{python} -SE
import json, os, socket, struct, sys
said = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [struct.pack("!I", len(said))], [0, 1, 2])
    server.sendall(said)
    sys.exit(struct.unpack("!I", server.recv(4))[0])
"""


@contextlib.contextmanager
def warm_lake() -> Iterator[str]:
    """Start the server; the text of the program that uses it."""
    with tempfile.TemporaryDirectory(prefix="lake-") as folder:
        address = f"{folder}/socket"  # which must be short
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(address)
            listening.listen()
            code = f"from warm_lake import serve; serve({listening.fileno()})"
            env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
            server = subprocess.Popen(
                [sys.executable, "-c", code], env=env, pass_fds=[listening.fileno()], stdin=subprocess.PIPE
            )
        try:
            yield PROGRAM.format(python=sys.executable, address=address)
        finally:
            server.terminate()
            server.communicate()


def serve(listening: int) -> None:
    """Fork for each who connects."""
    from lake_pipeline.resources.launcher import LOADED

    for name in ("lake_pipeline.cli.app", "lake_pipeline.cli.dagster_run", *LOADED):
        import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=listening) as server:
        while True:
            client, _ = server.accept()
            if os.fork() == 0:
                server.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                answer(client)
            client.close()


def answer(client: socket.socket) -> None:
    """Run a command in a fork, and say how it ended."""
    head, streams, _, _ = socket.recv_fds(client, LENGTH.size, 3)
    left = LENGTH.unpack(head)[0]
    said = b""
    while len(said) < left:
        said += client.recv(left - len(said))
    pid = os.fork()
    if pid == 0:
        client.close()
        become(*json.loads(said), streams=streams)
    client.sendall(LENGTH.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF))
    os._exit(0)


def become(arguments: list[str], folder: str, environ: dict[str, str], *, streams: list[int]) -> Any:
    """Be the process of the command."""
    from lake_pipeline.cli import start

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["lake", *arguments]
    start()
