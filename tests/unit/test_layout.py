"""The layout holds: imports point one way, frameworks stay in their place, files stay small and belong to nobody."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lake_pipeline"

# Room by room, what it may import from the rest of the package. A room that is not here has no place yet.
BASE = {"errors", "reasons", "settings", "machine"}
CORE = {*BASE, "storage", "dqdl", "contracts", "datasets", "formats", "engines", "flow", "health"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "machine": set(),
    "reasons": {"errors"},
    "settings": {"errors", "machine"},
    "storage": {"errors", "settings"},
    "dqdl": {"errors"},
    "contracts": {"errors", "dqdl"},
    "datasets": {*BASE, "dqdl", "contracts"},
    "formats": {*BASE, "storage", "contracts", "datasets"},
    "engines": {*BASE, "storage", "dqdl", "contracts", "datasets", "formats"},
    "flow": CORE - {"flow", "health"},
    "health": CORE - {"health", "engines", "formats"},
    "jobs": CORE,
    "arrivals": CORE,
    "resources": {*CORE, "arrivals"},
    "assets": {*CORE, "resources"},
    "components": {*CORE, "arrivals", "resources", "assets"},
    "defs": {*CORE, "components"},
    "demo": CORE,
    "definitions": {*CORE, "resources", "components", "defs"},
    "cli": {*CORE, "arrivals", "resources", "components", "defs", "demo", "definitions"},
}
# A distribution that has a place of its own: the rooms or files that may import it.
PLACES: dict[str, set[str]] = {
    "dagster": {"resources", "assets", "components", "defs", "definitions", "cli"},
    "boto3": {"resources", "components", "cli"},
    "botocore": {"resources", "components", "cli"},
    "duckdb": {"engines/duckdb.py"},
    "pyspark": {"engines/spark.py", "engines/spark_session.py", "engines/spark_daemon.py", "flow/away.py"},
    "rich": {"cli"},
    "typer": {"cli"},
}
# Longer than a file should be, and why it may.
LONG: dict[str, str] = {
    "docs/dqdl.md": "an example of every rule type, and every case that differs from a reference"
}
MOST_LINES = 400
# What ties a file to one machine or one package index. Written so that this file does not match.
FOREIGN = {
    "a path of one machine": re.compile(r"(?<![\w.])/(?:work|root|Users|home/[a-z]+|tmp/v)/"),
    "an index of packages": re.compile(
        r"(?:extra-)?index[-_]url\s*[ =]|https?://[^\s\"']*/simple(?:/|\b)", re.IGNORECASE
    ),
}


@dataclass(frozen=True)
class Import:
    """One imported module, and where the import stands."""

    path: Path
    line: int
    module: str

    @property
    def room(self) -> str:
        """The room of the importing file: `flow` of `lake_pipeline/flow/scan.py`, `` of the package itself."""
        room = self.path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        return "" if room == "__init__" else room

    @property
    def place(self) -> str:
        """The importing file, as `PLACES` writes it."""
        return self.path.relative_to(PACKAGE).as_posix()

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.module}"


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file, also those inside functions and under TYPE_CHECKING."""
    package = ["lake_pipeline", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(path, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            # `from lake_pipeline import dqdl` imports a room, not a name of the package
            names = [f"{module}.{alias.name}" for alias in node.names]
            yield from (
                Import(path, node.lineno, name) for name in (names if module == "lake_pipeline" else [module])
            )


SOURCES = sorted(PACKAGE.rglob("*.py"))
IMPORTS = [found for path in SOURCES for found in imports(path)]


def rooms() -> set[str]:
    """The package's rooms, as they are."""
    return {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in SOURCES} - {"__init__"}


def test_the_imports_were_read() -> None:
    assert len(IMPORTS) > len(SOURCES)
    assert any(i.room == "engines" and i.module == "duckdb" for i in IMPORTS)


def test_every_room_has_its_place() -> None:
    assert rooms() <= MAY_IMPORT.keys()


def test_the_order_has_no_circle() -> None:
    done: set[str] = set()
    while ready := {room for room, below in MAY_IMPORT.items() if room not in done and below <= done}:
        done |= ready
    assert done == set(MAY_IMPORT)


def test_imports_point_one_way() -> None:
    wrong = []
    for found in IMPORTS:
        parts = found.module.split(".")
        if parts[0] != "lake_pipeline" or not found.room or len(parts) == 1:
            continue
        if parts[1] != found.room and parts[1] in rooms() and parts[1] not in MAY_IMPORT[found.room]:
            wrong.append(str(found))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", PLACES)
def test_a_framework_is_imported_only_in_its_place(name: str) -> None:
    def is_it(module: str) -> bool:
        top = module.partition(".")[0]
        return top == name or (name == "dagster" and top.startswith("dagster_"))

    wrong = [str(i) for i in IMPORTS if is_it(i.module) and not {i.room, i.place} & PLACES[name]]
    assert not wrong, "\n".join(wrong)


def test_the_core_loads_no_framework() -> None:
    """Importing all of it, as a Glue job does, loads neither Dagster nor what only commands need."""
    modules = [
        ".".join(["lake_pipeline", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(
            ".__init__"
        )
        for path in SOURCES
        if path.relative_to(PACKAGE).parts[0].removesuffix(".py") in {*CORE, "arrivals"}
        and path.name != "spark.py"
    ]
    assert len(modules) > len(CORE)
    code = (
        f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "print(*sorted(loaded & {'dagster', 'boto3', 'botocore', 'typer'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr


def files() -> list[Path]:
    """What belongs to the project: all but the folders that tools and runs make."""
    tops = [p for p in ROOT.iterdir() if p.name == ".ci" or not p.name.startswith(".") or p.is_file()]
    made = {"__pycache__", ".work", "build", "dist"}
    found = [p for top in tops for p in ([top] if top.is_file() else top.rglob("*"))]
    parts = {path: path.relative_to(ROOT).parts for path in found if path.is_file()}
    return sorted(
        p for p, names in parts.items() if not any(n in made or n.endswith(".egg-info") for n in names)
    )


def text_of(path: Path) -> str:
    """A file's text; what is not UTF-8 is data, and empty here."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_file_names_a_machine_or_an_index() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number} names {what}: {line.strip()[:80]}"
        for path in files()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        for what, pattern in FOREIGN.items()
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line", ["cd /wor" + "k/main", 'p = "/roo' + 't/x"', "--index-" + "url x", "pip_index_" + "url = x"]
)
def test_what_names_a_machine_or_an_index_is_seen(line: str) -> None:
    assert any(pattern.search(line) for pattern in FOREIGN.values())


def test_files_stay_readable() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): text_of(path).count("\n") for path in files()}
    assert {name: n for name, n in lengths.items() if n > MOST_LINES and name not in LONG} == {}
    assert {name for name in LONG if lengths.get(name, 0) <= MOST_LINES} == set(), "exceptions nobody needs"
