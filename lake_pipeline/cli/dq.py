"""`lake dq`: evaluate a DQDL ruleset on a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lake_pipeline import dqdl
from lake_pipeline.cli.common import Json, engine_of, open_lake
from lake_pipeline.cli.output import View, show, table
from lake_pipeline.errors import UsageError

NAME = "dq"
File = Annotated[Path, typer.Argument(help="A CSV, TSV, JSON Lines, JSON or Parquet file.", metavar="FILE")]
Rules = Annotated[str, typer.Option("--rules", help="A .dqdl file, or the ruleset itself.")]


def command(file: File, rules: Rules, as_json: Json = False) -> None:
    """Evaluate a ruleset (AWS Glue's DQDL) on FILE; exit code 1 when a rule does not pass."""
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    try:
        ruleset = dqdl.parse(text_of(rules))
    except dqdl.DQDLSyntaxError as e:
        raise UsageError(str(e)) from e
    with engine_of(open_lake()) as engine:
        evaluation = dqdl.evaluate(ruleset, engine.any_file(engine.ibis(), file))
    document = {
        "file": str(file),
        "passed": evaluation.passed,
        "outcomes": [
            {"rule": str(o.rule), "outcome": o.status, "metrics": dict(o.metrics), "reason": o.reason}
            for o in evaluation.outcomes
        ],
    }

    def render(out: Console) -> None:
        rows = [(o.status, str(o.rule), o.reason or "") for o in evaluation.outcomes]
        out.print(table("", ("outcome", "rule", "reason"), rows))
        passed = sum(o.passed for o in evaluation.outcomes)
        out.print(f"{passed} of {len(evaluation.outcomes)} rules passed")

    raise typer.Exit(show(View(document, render, int(not evaluation.passed)), as_json))


def text_of(rules: str) -> str:
    """The ruleset: the content of a file, or the text itself."""
    path = Path(rules)
    if "\n" not in rules and len(rules) < 4096 and path.is_file():
        return path.read_text(encoding="utf-8")
    if "[" not in rules:
        raise UsageError(
            f'--rules "{rules}" is neither a file nor a ruleset such as "Rules = [ RowCount > 0 ]".'
        )
    return rules
