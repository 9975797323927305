"""A queue in memory that speaks SQS's JSON protocol over HTTP: as much of it as draining needs.

moto's server looks at every message of a queue for every message it hands out, so it cannot measure a drain.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Queue:
    """Messages that are handed out once, and forgotten when they are deleted."""

    def __init__(self, bodies: list[str]) -> None:
        self.visible = deque(enumerate(bodies))
        self.hidden: dict[str, str] = {}
        self.lock = threading.Lock()

    def answer(self, action: str, asked: dict[str, Any]) -> dict[str, Any]:
        """The answer to one call."""
        with self.lock:
            return {
                "ReceiveMessage": self.receive,
                "DeleteMessageBatch": self.delete,
                "GetQueueAttributes": self.attributes,
            }[action](asked)

    def receive(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = [self.visible.popleft() for _ in range(min(asked["MaxNumberOfMessages"], len(self.visible)))]
        self.hidden.update((str(number), body) for number, body in found)
        facts = {"ApproximateReceiveCount": "1", "SentTimestamp": "0"}
        return {
            "Messages": [
                {"MessageId": str(n), "ReceiptHandle": str(n), "Body": body, "Attributes": facts}
                for n, body in found
            ]
        }

    def delete(self, asked: dict[str, Any]) -> dict[str, Any]:
        for entry in asked["Entries"]:
            self.hidden.pop(entry["ReceiptHandle"], None)
        return {"Successful": [{"Id": e["Id"]} for e in asked["Entries"]], "Failed": []}

    def attributes(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"Attributes": {"ApproximateNumberOfMessages": str(len(self.visible))}}


@contextmanager
def serving(queue: Queue) -> Iterator[str]:
    """The queue on a port of the loopback; its endpoint."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            """One call."""
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            action = self.headers["X-Amz-Target"].rpartition(".")[2]
            body = json.dumps(queue.answer(action, asked)).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
