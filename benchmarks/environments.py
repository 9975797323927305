"""A virtual environment for each peer, made once below `benchmarks/.work`."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
WORK = HERE / ".work"
PEERS = HERE / "peers"

# What each environment holds; "" is the project's own, which runs what is measured as "bare DuckDB" too.
REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "polars": ("polars==2.1.0",),
    "pandera": ("pandera[polars]==0.35.0", "polars==2.1.0"),
    "dlt": ("dlt[duckdb,filesystem,parquet]==1.31.0", "duckdb==2.0.0", "pyarrow==26.0.1"),
    "floe": ("floe-python==0.7.0",),
    "spark": ("pyspark==3.5.6",),
    # as people install it: with the extra `spark`, pandera imports pyspark.pandas, which takes a second
    "project": ("-c", f"{ROOT}/constraints.txt", "-e", f"{ROOT}[demo]"),
    "postgres": ("-c", f"{ROOT}/constraints.txt", "-e", f"{ROOT}[demo]", "dagster-postgres==0.29.27"),
}


def python(name: str = "") -> Path:
    """The interpreter of an environment; installs it where it is missing or other versions are asked for."""
    if not name:
        return Path(sys.executable)
    folder, wanted = WORK / f"venv-{name}", "\n".join(REQUIREMENTS[name])
    stamp = folder / "requirements"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"   setting up the environment of {name}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        install = [
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "--disable-pip-version-check",
            "-q",
            "install",
        ]
        subprocess.run([*install, *REQUIREMENTS[name]], check=True, stderr=subprocess.DEVNULL)
        stamp.write_text(wanted)
    return folder / "bin" / "python"


def lake(name: str = "project") -> Path:
    """The command `lake` of an environment."""
    return python(name).parent / "lake"
