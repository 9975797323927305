"""The docs are tests: their commands run, their YAML loads, their links lead somewhere, their reference is the code's.

In README.md and docs/, every block fenced as ``bash`` or ``console`` is run, in order, in one shell per page that
starts in an empty home. A ``console`` block has commands after ``$ `` and their output: ``…`` stands for any text in a
line, or, alone, for any lines; white space is not compared. ``# exit code 1`` after a command says so.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from servers import S3Server
from warm_lake import warm_lake

from benchmarks.table import END, START
from lake_pipeline.cli.app import app
from lake_pipeline.contracts import lint
from lake_pipeline.datasets import DatasetConfig
from lake_pipeline.datasets.partitioning import Template
from lake_pipeline.reasons import CODES

ROOT = Path(__file__).parents[2]
PAGES = {
    p.relative_to(ROOT).as_posix(): p
    for p in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
}
RUN = [name for name in PAGES if name != "CONTRIBUTING.md"]
# Commands that are not run here, and why.
NOT_RUN = {
    "make demo": "makes an environment; tests/e2e runs the demo",
    "make dev": "starts a server and stays",
    "make test": "is what runs this",
    "pip install 'lake-pipeline[spark]'": "the tests' own environment has the extra",
    "make glue-bundle": "`make test` builds the bundle, and tests/integration/test_glue_steps.py runs it",
    "lake glue deploy --code s3://acme-lake-code/lake-pipeline --role lake-glue": (
        "needs an account of AWS; tests/e2e/test_glue_deploy.py runs it"
    ),
    "lake dev --aws-local": "starts servers and stays; tests/e2e/test_arrivals.py runs it",
}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line of the page on which the text starts."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Step:
    """A command of a page. output: what it should print, or None where the page does not say."""

    command: str
    line: int
    output: str | None = None

    @property
    def code(self) -> int:
        """The exit code that it should have."""
        found = re.search(r"# exit code (\d+)$", self.command)
        return int(found[1]) if found else 0


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page."""
    text = PAGES[page].read_text(encoding="utf-8")
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(match[1], match[2], text.count("\n", 0, match.start(2)) + 1)


def steps(page: str) -> Iterator[Step]:
    """The commands of a page in their order."""
    for block in blocks(page):
        if block.language == "bash":
            yield Step(block.text, block.line)
        elif block.language == "console":
            yield from console_steps(block)


def console_steps(block: Block) -> Iterator[Step]:
    """The commands of a console block, each with the lines up to the next one."""
    assert block.text.startswith("$ "), f"line {block.line}: a console block starts with a command"
    lines = block.text.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        output = "\n".join(lines[start + 1 : end])
        yield Step(lines[start].removeprefix("$ "), block.line + start, output or None)


def runs(step: Step) -> bool:
    """Whether the step is to be run."""
    return not any(step.command.split("#")[0].strip() == command for command in NOT_RUN)


def pattern_of(output: str) -> re.Pattern[str]:
    """What an output must be: see the module's docstring."""
    lines = [line for line in map(squeezed, output.splitlines()) if line]
    parts = [
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\s*\n" for line in lines
    ]
    return re.compile("".join(parts))


def squeezed(line: str) -> str:
    """A line with single spaces."""
    return " ".join(line.split())


@pytest.fixture(scope="session")
def program() -> Iterator[str]:
    """The text of the command `lake`."""
    with warm_lake() as text:
        yield text


def environment(home: Path, text: str) -> dict[str, str]:
    """A new user's environment, with the command `lake`."""
    programs = home / ".programs"
    programs.mkdir()
    program = programs / "lake"
    program.write_text(text)
    program.chmod(0o755)
    ours = {n: v for n, v in os.environ.items() if not n.startswith(("LAKE_", "AWS_", "DAGSTER_", "COV_"))}
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {**ours, "HOME": str(home), "PATH": path, "COLUMNS": "400", "PYTHONPATH": str(ROOT)}


def run_page(page: str, home: Path, env: dict[str, str]) -> None:
    """Run the steps of a page in one shell, and compare exit codes and outputs."""
    asked = [step for step in steps(page) if runs(step)]
    script = home / ".programs" / "script"
    lines = []
    for i, step in enumerate(asked):
        lines.append(f"{{\n{step.command}\n}} > {home}/.programs/{i}.out 2>&1 < /dev/null")
        lines.append(f"echo $? > {home}/.programs/{i}.code")
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    subprocess.run(["bash", str(script)], cwd=home, env=env, check=True, timeout=300)
    for i, step in enumerate(asked):
        out = (script.parent / f"{i}.out").read_text(encoding="utf-8")
        code = int((script.parent / f"{i}.code").read_text())
        where = f"{page}, line {step.line}: {step.command}\nexit code {code}, and it printed:\n{out}"
        assert code == step.code, where
        if step.output is not None:
            printed = "".join(squeezed(line) + "\n" for line in out.splitlines() if line.strip())
            assert pattern_of(step.output).fullmatch(printed), f"{where}\nexpected:\n{step.output}"


@pytest.mark.parametrize("page", [p for p in RUN if any(map(runs, steps(p))) and "s3" not in p])
def test_commands_of_a_page_do_what_it_says(page: str, tmp_path: Path, program: str) -> None:
    run_page(page, tmp_path, environment(tmp_path, program))


def test_commands_of_the_s3_page_do_what_it_says(tmp_path: Path, s3_server: S3Server, program: str) -> None:
    s3_server.bucket("acme-lake")
    run_page("docs/guides/s3.md", tmp_path, {**environment(tmp_path, program), **s3_server.env})


def test_every_exemption_is_needed() -> None:
    commands = {step.command.split("#")[0].strip() for page in RUN for step in steps(page)}
    assert NOT_RUN.keys() <= commands


@pytest.mark.parametrize(
    ("expected", "printed", "fits"),
    [
        ("a  b", "a b\n", True),
        ("a …", "a b c\n", True),
        ("…\nz", "x\ny\nz\n", True),
        ("a\n…", "a\n", True),
        ("a", "a\nb\n", False),
        ("a …\nb", "a x\ny\nb\n", False),
        ("a.c", "abc\n", False),
    ],
)
def test_outputs_are_compared(expected: str, printed: str, fits: bool) -> None:
    assert bool(pattern_of(expected).fullmatch(printed)) is fits


YAML_BLOCKS = [
    pytest.param(block, id=f"{page}:{block.line}")
    for page in RUN
    for block in blocks(page)
    if block.language == "yaml"
]
COLUMNS = ("order_id", "amount", "currency", "carrier", "event_ts")


@pytest.mark.parametrize("block", YAML_BLOCKS)
def test_yaml_is_what_its_place_takes(block: Block, tmp_path: Path) -> None:
    found = yaml.safe_load(block.text)
    if isinstance(found, list):
        assert_contract(tmp_path, properties=found)
    elif found.keys() & {"quality", "customProperties", "slaProperties"}:
        assert_contract(tmp_path, **found)
    elif found.keys() <= DatasetConfig.model_fields.keys():
        config = DatasetConfig.model_validate({"landing": "x/", "partitions": {"by": "none"}, **found})
        assert Template(config.landing, config.partitions.by).prefix
    else:
        assert "storage" in found, "neither of a contract, nor of defs.yaml, nor of dagster.yaml"


def assert_contract(folder: Path, **parts: Any) -> None:
    """A contract with these parts has no problems."""
    columns = parts.pop("properties", [{"name": n, "logicalType": "string"} for n in COLUMNS])
    quality = parts.pop("quality", [])
    document = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "example",
        "version": "1.0.0",
        "status": "active",
        "schema": [{"name": "example", "logicalType": "object", "properties": columns, "quality": quality}],
        **parts,
    }
    path = folder / "contract.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    assert not lint(path)


@pytest.mark.parametrize("page", PAGES)
def test_python_compiles(page: str) -> None:
    for block in blocks(page):
        if block.language == "python":
            compile(block.text, f"{page}:{block.line}", "exec")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = prose_of(page)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        file = (PAGES[page].parent / name).resolve() if name else PAGES[page]
        assert file.exists(), f"{page}: there is no {target}"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), (
                f"{page}: there is no heading {target}"
            )


def anchors(text: str) -> set[str]:
    """The headings of a page, as GitHub names them."""
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def prose_of(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(
        r"^```.*?^```$", "", PAGES[page].read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )


FOLDERS = ("lake_pipeline", "docs", "tests", "benchmarks", "glue_scripts", ".ci")
# Names that are documented, in capitals with underscores, and are no reason codes.
OTHER_NAMES = re.compile(r"LAKE_\w+|AWS_\w+|DAGSTER_\w+|SPARK_\w+|INGEST_VALIDATION|DATA_QUALITY")


@pytest.mark.parametrize("page", PAGES)
def test_names_in_the_text_exist(page: str) -> None:
    for text in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose_of(page)):
        if re.fullmatch(rf"(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./]*", text):
            assert (ROOT / text).exists(), f"{page}: there is no {text}"
        if re.fullmatch(r"[A-Z]+(?:_[A-Z]+)+", text) and not OTHER_NAMES.fullmatch(text):
            assert text in CODES, f"{page}: {text} is no reason code"


def test_commands_in_the_text_exist() -> None:
    root: Any = typer.main.get_command(app)
    for page in PAGES:
        for text in re.findall(r"(?<!`)`lake ([^`\n]+)`(?!`)", prose_of(page)):
            command = root
            for word in text.split():
                if word in getattr(command, "commands", {}):
                    command = command.commands[word]
                elif word.startswith("--"):
                    assert word in {o for p in command.params for o in p.opts}, f"{page}: lake {text}"
            assert command is not root, f"{page}: lake {text}"


def test_make_bench_finds_its_place() -> None:
    text = PAGES["docs/benchmarks.md"].read_text(encoding="utf-8")
    assert text.index(START) < text.index(END)


def test_the_reference_is_what_the_code_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    assert not importlib.import_module("make_reference").stale(), "run: python docs/make_reference.py"
