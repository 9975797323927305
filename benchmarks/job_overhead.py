"""What `GlueJobs` itself costs for each job run: `python -m benchmarks.job_overhead [RUNS]`.

A Glue on loopback answers at once, and pauses take no time: what is left is this project's and boto3's work,
with the records of a lake in a folder. The calls alone, made by boto3 without any of ours, are beside it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "shared"))

from glue_endpoint import Endpoint, glue_endpoint  # noqa: E402

from lake_pipeline.resources.glue.calls import Timing  # noqa: E402
from lake_pipeline.resources.glue.request import JobRequest  # noqa: E402
from lake_pipeline.resources.glue.runs import JobRunner  # noqa: E402
from lake_pipeline.storage import ObjectStore  # noqa: E402


def main() -> None:
    """Print the median of each in milliseconds."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with glue_endpoint() as endpoint, tempfile.TemporaryDirectory() as folder:
        endpoint.job("validate")
        ours, bare = resource(endpoint, Path(folder), runs), calls(endpoint, runs)
    print(f"GlueJobs: {ours:.1f} ms for a job run, of which boto3's calls alone {bare:.1f} ms ({runs} runs)")


def resource(endpoint: Endpoint, folder: Path, runs: int) -> float:
    """Start, wait, read the result, by the resource's runner."""
    client = endpoint.client()
    runner = JobRunner(
        client, ObjectStore(str(folder)), timing=Timing(time.monotonic, lambda _: None, lambda: 1.0)
    )
    taken = []
    for number in range(runs):
        begin = time.perf_counter()
        runner.run(JobRequest("validate", f"orders/{number}", {"contract": "s3://b/c"}))
        taken.append(time.perf_counter() - begin)
    client.close()
    return statistics.median(taken) * 1000


def calls(endpoint: Endpoint, runs: int) -> float:
    """The calls that no launcher can do without: StartJobRun, and GetJobRun for each of three states."""
    endpoint.play = lambda _: iter(("STARTING", "RUNNING", "SUCCEEDED"))
    client = endpoint.client()
    taken = []
    for _ in range(runs):
        begin = time.perf_counter()
        run = client.start_job_run(JobName="validate")["JobRunId"]
        for _ in range(3):
            client.get_job_run(JobName="validate", RunId=run)
        taken.append(time.perf_counter() - begin)
    client.close()
    return statistics.median(taken) * 1000


if __name__ == "__main__":
    main()
