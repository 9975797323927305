"""A local Glue for tests: real HTTP in Glue's JSON 1.1 protocol, whose runs follow a script or are processes.

What moto cannot play: states in sequence, throttling, connections that break before or after the effect, runs
that stop, and runs that really run a command line. GetLogEvents of CloudWatch Logs is answered as well.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KEYS = {"aws_access_key_id": "glue", "aws_secret_access_key": "glue-secret", "region_name": "us-east-1"}
BEGAN = 1772409590  # 2026-03-01T23:59:50Z
FINAL = ("SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED")


@dataclass(frozen=True)
class Fault:
    """An answer that is an error. drop: the connection is closed without one. after: once the call had its effect."""

    code: str = "ThrottlingException"
    status: int = 400
    message: str = "Rate exceeded"
    drop: bool = False
    after: bool = False


class Refusal(Exception):
    """An error that the call itself deserves."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(code, 400, message)


@dataclass
class Run:
    """A job run. play: the states it has, one for each look at it; what writes objects stands between."""

    id: str
    job: str
    parameters: dict[str, Any]
    play: Iterator[str] = field(default_factory=lambda: iter(()))
    state: str = "STARTING"
    extra: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    stopped: bool = False

    @property
    def arguments(self) -> dict[str, str]:
        found: dict[str, str] = self.parameters.get("Arguments") or {}
        return found

    def look(self) -> None:
        """One step further: the next state of the play, or what the process does."""
        if self.process is None:
            self.state = next(self.play, self.state)
        elif self.state not in FINAL:
            code = self.process.poll()
            self.state = "RUNNING" if code is None else "SUCCEEDED" if code == 0 else "FAILED"
            if code:
                self.extra["ErrorMessage"] = f"Command failed with exit code {code}"
            if code is not None and self.stopped:
                self.state = "STOPPED"

    def described(self) -> dict[str, Any]:
        known = ("WorkerType", "NumberOfWorkers", "MaxCapacity", "ExecutionClass", "Timeout")
        given = {k: v for k, v in self.parameters.items() if k in known}
        return {
            **{"Id": self.id, "JobName": self.job, "JobRunState": self.state, "Arguments": self.arguments},
            **{"Attempt": 0, "ExecutionTime": 90, "LogGroupName": "/aws-glue/jobs", "StartedOn": BEGAN},
            **given,
            **self.extra,
        }


Play = Callable[[Run], Iterable[str]]
OnStart = Callable[[str, str, dict[str, str]], Sequence[str]]


def play(
    *states: str, first: Callable[[Run], None] | None = None, **extra: Any
) -> Callable[[Run], Iterator[str]]:
    """Runs that have these states; `first` happens before the first look."""

    def played(run: Run) -> Iterator[str]:
        run.extra.update(extra)
        if first:
            first(run)
        yield from states

    return played


def succeeds(run: Run) -> Iterator[str]:
    """The play of a run whose script does its work and leaves its completion record."""
    yield "STARTING"
    yield "RUNNING"
    complete(run)
    yield "SUCCEEDED"


def complete(run: Run, **more: Any) -> None:
    """Write the completion record as a script does, with more in it or something else."""
    own = {"run_key": run.arguments["--lake-run-key"], "attempt": run.arguments["--lake-attempt"]}
    put(run.arguments["--lake-result"], json.dumps({**own, "job_run_id": run.id, "rows": 3, **more}))


def say(run: Run, number: int, *messages: dict[str, Any] | str) -> None:
    """Write a chunk of messages as a script does."""
    lines = (m if isinstance(m, str) else json.dumps(m) for m in messages)
    put(f"{run.arguments['--lake-messages']}/{number:06}.jsonl", "\n".join(lines) + "\n")


def log(message: str, level: str = "INFO") -> dict[str, Any]:
    """A log line as a message."""
    return {"method": "log", "params": {"message": message, "level": level}}


def put(uri: str, text: str) -> None:
    """Write an object of a lake in a folder."""
    path = Path(uri.removeprefix("file://"))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}#part")
    part.write_text(text, encoding="utf-8")
    part.rename(path)


@dataclass
class Endpoint:
    """What the API knows and does. calls: every request that came, as (operation, parameters).

    play: the states of new runs. on_start: instead, the command line that a new run is, from its job's name,
    its id and its arguments; env, cwd and folder (for its output, ``<run id>.log``) are the process's.
    stubborn: runs do not stop. page: runs per page of GetJobRuns. hook: called with each operation before it.
    """

    url: str = ""
    play: Play = succeeds
    on_start: OnStart | None = None
    env: dict[str, str] | None = None
    cwd: Path | None = None
    folder: Path | None = None
    stubborn: bool = False
    page: int = 200
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    logs: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    faults: dict[str, deque[Fault | None]] = field(default_factory=dict)
    hook: Callable[[str, dict[str, Any]], None] = lambda _operation, _parameters: None
    lock: Any = field(default_factory=threading.RLock)

    def job(self, name: str, **definition: Any) -> None:
        """Define a job."""
        self.jobs[name] = {"Name": name, **definition}

    def fail(self, operation: str, *faults: Fault | None) -> None:
        """The next answers of an operation; None is its true one."""
        self.faults.setdefault(operation, deque()).extend(faults)

    def count(self, operation: str) -> int:
        """How often an operation was called."""
        return sum(name == operation for name, _ in self.calls)

    def client(self, service: str = "glue", **config: Any) -> Any:
        """A boto3 client of this endpoint that, unless `config` says otherwise, does not retry by itself."""
        import boto3
        from botocore.config import Config

        settings = {"retries": {"total_max_attempts": 1}, **config}
        return boto3.client(service, endpoint_url=self.url, config=Config(**settings), **KEYS)

    def answer(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any] | Fault:
        """Do one call."""
        try:
            self.hook(operation, parameters)
        except Refusal as e:
            return e.fault
        with self.lock:
            self.calls.append((operation, parameters))
            waiting = self.faults.get(operation)
            fault = waiting.popleft() if waiting else None
            if fault and not fault.after:
                return fault
            try:
                done: dict[str, Any] = OPERATIONS[operation](self, parameters)
            except Refusal as e:
                return e.fault
            return fault or done

    def start_job_run(self, parameters: dict[str, Any]) -> dict[str, Any]:
        name = parameters["JobName"]
        self._job(name)
        run = Run(f"jr_{len(self.runs) + 1:04}", name, parameters)
        if self.on_start is None:
            run.play = iter(self.play(run))
        else:
            run.process = self._process(run, self.on_start(name, run.id, dict(run.arguments)))
        self.runs.append(run)
        return {"JobRunId": run.id}

    def get_job_run(self, parameters: dict[str, Any]) -> dict[str, Any]:
        run = self._run(parameters["JobName"], parameters["RunId"])
        run.look()
        return {"JobRun": run.described()}

    def get_job_runs(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self._job(parameters["JobName"])
        mine = [r for r in reversed(self.runs) if r.job == parameters["JobName"]]
        first = int(parameters.get("NextToken", 0))
        last = first + min(self.page, parameters.get("MaxResults", self.page))
        more = {"NextToken": str(last)} if last < len(mine) else {}
        return {"JobRuns": [r.described() for r in mine[first:last]], **more}

    def batch_stop_job_run(self, parameters: dict[str, Any]) -> dict[str, Any]:
        done, errors = [], []
        for run_id in parameters["JobRunIds"]:
            run = self._run(parameters["JobName"], run_id)
            if run.state in FINAL:
                detail = {"ErrorCode": "InvalidInputException", "ErrorMessage": f"{run_id} is {run.state}"}
                errors.append({"JobName": run.job, "JobRunId": run_id, "ErrorDetail": detail})
                continue
            done.append({"JobName": run.job, "JobRunId": run_id})
            if not self.stubborn:
                self._stop(run)
        return {"SuccessfulSubmissions": done, "Errors": errors}

    def get_job(self, parameters: dict[str, Any]) -> dict[str, Any]:
        return {"Job": self._job(parameters["JobName"])}

    def create_job(self, parameters: dict[str, Any]) -> dict[str, Any]:
        arn = f"arn:aws:glue:us-east-1:123456789012:job/{parameters['Name']}"
        self.tags[arn] = dict(parameters.pop("Tags", {}))
        self.job(parameters.pop("Name"), **parameters)
        return {"Name": [*self.jobs][-1]}

    def update_job(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self._job(parameters["JobName"])
        self.job(parameters["JobName"], **parameters["JobUpdate"])
        return {"JobName": parameters["JobName"]}

    def get_tags(self, parameters: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": self.tags.get(parameters["ResourceArn"], {})}

    def tag_resource(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self.tags.setdefault(parameters["ResourceArn"], {}).update(parameters["TagsToAdd"])
        return {}

    def get_log_events(self, parameters: dict[str, Any]) -> dict[str, Any]:
        stream = self.logs.get((parameters["logGroupName"], parameters["logStreamName"]))
        if stream is None:
            raise Refusal("ResourceNotFoundException", "The specified log stream does not exist.")
        events = [{"timestamp": 0, "message": line, "ingestionTime": 0} for line in stream]
        return {"events": events[-parameters.get("limit", 10000) :]}

    def close(self) -> None:
        """End what still runs."""
        for run in self.runs:
            self._stop(run)
            if run.process is not None:
                run.process.wait(10)

    def _job(self, name: str) -> dict[str, Any]:
        if name not in self.jobs:
            raise Refusal(
                "EntityNotFoundException", f"Failed to start job run due to missing metadata: {name}"
            )
        return self.jobs[name]

    def _run(self, job: str, run_id: str) -> Run:
        for run in self.runs:
            if (run.job, run.id) == (job, run_id):
                return run
        raise Refusal("EntityNotFoundException", f"Job Run {run_id} is not found")

    def _process(self, run: Run, command: Sequence[str]) -> subprocess.Popen[bytes]:
        path = (self.folder / f"{run.id}.log") if self.folder else Path(os.devnull)
        with path.open("wb") as out:
            return subprocess.Popen(
                command, stdout=out, stderr=out, env=self.env, cwd=self.cwd, start_new_session=True
            )

    def _stop(self, run: Run) -> None:
        run.stopped = True
        if run.process is None:
            run.play = iter(("STOPPING", "STOPPED"))
        elif run.process.poll() is None:  # the group: spark-submit is a shell script around Java
            os.killpg(run.process.pid, signal.SIGKILL)
            run.process.wait(10)


OPERATIONS: dict[str, Callable[[Endpoint, dict[str, Any]], dict[str, Any]]] = {
    "StartJobRun": Endpoint.start_job_run,
    "GetJobRun": Endpoint.get_job_run,
    "GetJobRuns": Endpoint.get_job_runs,
    "BatchStopJobRun": Endpoint.batch_stop_job_run,
    "GetJob": Endpoint.get_job,
    "CreateJob": Endpoint.create_job,
    "UpdateJob": Endpoint.update_job,
    "GetTags": Endpoint.get_tags,
    "TagResource": Endpoint.tag_resource,
    "GetLogEvents": Endpoint.get_log_events,
}


class Handler(BaseHTTPRequestHandler):
    """HTTP around an `Endpoint`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    endpoint: Endpoint

    def do_POST(self) -> None:
        parameters = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        done = self.endpoint.answer(operation, parameters)
        if isinstance(done, Fault) and done.drop:
            self.close_connection = True
            return
        body, status = done, 200
        if isinstance(done, Fault):
            body, status = {"__type": done.code, "message": done.message}, done.status
        text = json.dumps(body).encode()
        with suppress(ConnectionError):  # a client that was killed meanwhile
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Says nothing about clients that went away: some tests kill them."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing to say."""


@contextmanager
def glue_endpoint(**settings: Any) -> Iterator[Endpoint]:
    """A Glue on a free port of this machine, until the block ends; its processes end with it."""
    endpoint = Endpoint(**settings)
    handler = type("Bound", (Handler,), {"endpoint": endpoint})
    server = Server(("127.0.0.1", 0), handler)
    endpoint.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
        endpoint.close()


@dataclass
class Time:
    """A clock that only sleeping moves. during: called with the clock before each sleep."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)
    during: Callable[[float], None] = lambda _: None

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.during(self.now)
        self.slept.append(seconds)
        self.now += seconds
