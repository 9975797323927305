"""What is measured: each contender is a function that runs once and returns what it took."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.environments import PEERS, ROOT, WORK, lake, python
from benchmarks.measure import Measurement, measure
from benchmarks.workloads import DAY

Command = list[str | Path]
Contender = Callable[[], Measurement]
# What the peer's script has: two cores of this machine and 4 GB.
SPARK = {"LAKE_SPARK_MASTER": "local[2]", "PYSPARK_SUBMIT_ARGS": "--driver-memory 4g pyspark-shell"}
INSTANCE = "telemetry:\n  enabled: false\n"


def scratch(name: str) -> Path:
    """A new folder for one run's output, on the disk that the inputs are on."""
    WORK.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=WORK))


def peer(environment: str, script: str, *arguments: Path | str) -> Contender:
    """A script of `peers/`, in its own environment; its output goes to a scratch folder."""

    def run() -> Measurement:
        command: Command = [python(environment), PEERS / script, *arguments]
        with tempfile.TemporaryDirectory(prefix="peer-", dir=WORK) as folder:
            return measure(command, {"TMPDIR": folder})

    return run


def lake_run(*files: Path, engine: str = "", memory: str = "") -> Contender:
    """`lake run orders` on files that have landed in a new lake: validation, quarantine, gate and publish.

    engine: another than the dataset's own. memory: of DuckDB, if not its default.
    """

    def run() -> Measurement:
        with tempfile.TemporaryDirectory(prefix="lake-", dir=WORK) as folder:
            env = {**landed(Path(folder), files), **({"LAKE_MEMORY": memory} if memory else {})}
            command: Command = ["run", "orders", "--partition", DAY]
            if not engine:
                return measure([lake(), *command], env)
            env = {**env, "LAKE_DEFS": str(with_engine(Path(folder) / "defs", engine)), **SPARK}
            return measure([lake(""), *command], env)

    return run


def with_engine(root: Path, engine: str) -> Path:
    """The shipped orders with an engine of their own, in a folder for LAKE_DEFS."""
    folder = root / "orders"
    shutil.copytree(ROOT / "lake_pipeline" / "defs" / "orders", folder)
    defs = folder / "defs.yaml"
    defs.write_text(f"{defs.read_text(encoding='utf-8').rstrip()}\n  engine: {engine}\n", encoding="utf-8")
    return root


def lake_rerun(*files: Path) -> Contender:
    """`lake run orders` on a partition that is published already: what a command costs before any work."""

    def run() -> Measurement:
        with tempfile.TemporaryDirectory(prefix="lake-", dir=WORK) as folder:
            env = landed(Path(folder), files)
            command: Command = [lake(), "run", "orders", "--partition", DAY]
            measure(command, env)
            return measure(command, env)

    return run


def landed(folder: Path, files: tuple[Path, ...]) -> Mapping[str, str]:
    """Land files in a new lake; the environment that names it."""
    env = {"LAKE_ROOT": str(folder / "lake"), "LAKE_HOME": "", "LAKE_DEFS": "", "DAGSTER_HOME": ""}
    measure([lake(), "land", "orders", *files, "--partition", DAY], env)
    return env


def empty_job() -> Measurement:
    """Dagster's own start-up: an asset that does nothing, on a new SQLite instance."""
    with tempfile.TemporaryDirectory(prefix="dagster-", dir=WORK) as folder:
        return measure([python("project"), ROOT / "benchmarks" / "empty_job.py", folder])


def demo(environment: str = "project", storage: str = "", *arguments: str) -> Contender:
    """`lake demo`, with Dagster's events in the storage named."""

    def run() -> Measurement:
        with tempfile.TemporaryDirectory(prefix="demo-", dir=WORK) as folder:
            env = {"LAKE_ROOT": f"{folder}/lake", "LAKE_HOME": "", "LAKE_DEFS": ""}
            home = dagster_home(Path(folder) / "dagster", storage)
            return measure([lake(environment), "demo", *arguments], {**env, "DAGSTER_HOME": str(home)})

    return run


def floor(environment: str = "project", storage: str = "", days: int = 366) -> Contender:
    """The demo's events in Dagster without its work."""

    def run() -> Measurement:
        with tempfile.TemporaryDirectory(prefix="floor-", dir=WORK) as folder:
            home = dagster_home(Path(folder) / "dagster", storage)
            command: Command = [python(environment), "-m", "benchmarks.floor", home, str(days)]
            return measure(command, {"PYTHONPATH": str(ROOT), "LAKE_ROOT": f"{folder}/lake", "LAKE_DEFS": ""})

    return run


def dagster_home(folder: Path, storage: str) -> Path:
    """A new Dagster home; storage: a Postgres URL, or "" for Dagster's default, SQLite."""
    folder.mkdir(parents=True)
    lines = f"storage:\n  postgres:\n    postgres_url: {storage}\n" if storage else ""
    (folder / "dagster.yaml").write_text(INSTANCE + lines, encoding="utf-8")
    return folder
