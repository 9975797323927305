"""`lake dq`: evaluate a DQDL ruleset on a file or a table, propose one, and show the history of metrics."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from lake_pipeline import dqdl
from lake_pipeline.cli import dq_page
from lake_pipeline.cli.common import DatasetName, Json, dataset_of, engine_of, open_lake
from lake_pipeline.cli.output import View, show, table
from lake_pipeline.cli.targets import Target, files_of, published, sources_of, target_of
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.dqdl.plan import leaves
from lake_pipeline.errors import UsageError
from lake_pipeline.flow.history import MetricHistory


class Evaluating(TyperGroup):
    """A group whose first command needs no name: ``lake dq FILE`` is ``lake dq evaluate FILE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name where there is none."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["evaluate", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=Evaluating,
    no_args_is_help=True,
    help="Evaluate data quality rules (AWS Glue's DQDL). Write: lake dq FILE|TABLE --rules FILE|TEXT",
)
Where = Annotated[
    str,
    typer.Argument(
        help="A CSV, TSV, JSON Lines, JSON or Parquet file, or a table of the lake, e.g. curated.orders.",
        metavar="FILE|TABLE",
    ),
]
Rules = Annotated[
    str, typer.Option("--rules", help="A .dqdl file, or the ruleset itself.", metavar="FILE|TEXT")
]
Sources = Annotated[
    list[str] | None,
    typer.Option("--sources", help="A table that rules name; can be repeated.", metavar="NAME=FILE"),
]
Html = Annotated[
    Path | None, typer.Option("--html", help="Write a report, one HTML file, to this place.", metavar="OUT")
]


@app.command("evaluate")
def evaluate(
    target: Where, rules: Rules, sources: Sources = None, as_json: Json = False, html: Html = None
) -> None:
    """Evaluate a ruleset on FILE or TABLE. The word `evaluate` can be left out. Exit code 1: a rule does not pass."""
    ruleset = parsed(rules)
    lake = open_lake()
    with engine_of(lake) as engine:
        backend = engine.ibis()
        found = target_of(lake, engine, backend, target)
        others = sources_of(lake, engine, backend, sources or [])
        if found.file is None:
            others |= published(lake, engine, backend, ruleset.rules, others)
        asked = [*leaves(ruleset.rules), *ruleset.analyzers]
        moment = now()
        evaluation = dqdl.evaluate(
            ruleset, found.table, sources=others, files=files_of(found, asked), now=moment
        )
    document = document_of(found, ruleset, evaluation)
    if html is not None:
        write(html, dq_page.page(document, moment))

    def render(out: Console) -> None:
        rows = [(o["outcome"], o["rule"], o["reason"] or "") for o in document["outcomes"]]
        if rows:
            out.print(table("", ("outcome", "rule", "reason"), rows))
        if document["analyses"]:
            listed = [(a["analyzer"], n, v) for a in document["analyses"] for n, v in a["metrics"].items()]
            listed += [(a["analyzer"], "·", a["reason"]) for a in document["analyses"] if not a["metrics"]]
            out.print(table("measured", ("analyzer", "metric", "value"), listed))
        for warning in ruleset.warnings:
            out.print(f"warning: {warning}", markup=False)
        passed = sum(o.passed for o in evaluation.outcomes)
        out.print(f"{passed} of {len(evaluation.outcomes)} rules passed")
        if html is not None:
            out.print(f"report: {html}", markup=False)

    fine = all(outcome.passed for outcome in evaluation.outcomes)
    raise typer.Exit(show(View(document, render, int(not fine)), as_json))


@app.command("recommend")
def recommend(target: Where, as_json: Json = False) -> None:
    """Propose a ruleset that FILE or TABLE meets. It is of completeness, keys, ranges, sets, patterns."""
    lake = open_lake()
    with engine_of(lake) as engine:
        found = target_of(lake, engine, engine.ibis(), target)
        ruleset = dqdl.recommend(found.table)
    document = {**found.document, "rules": [str(rule) for rule in ruleset.rules], "ruleset": str(ruleset)}
    view = View(document, lambda out: out.print(str(ruleset), markup=False))
    raise typer.Exit(show(view, as_json))


@app.command("history")
def history(dataset: DatasetName, as_json: Json = False) -> None:
    """Show what the stored audits of DATASET measured. That is what dynamic rules look back at."""
    lake = open_lake()
    found = MetricHistory(lake, dataset_of(lake, dataset)).everything()
    document = [{"partition": partition, "metrics": dict(metrics)} for partition, metrics in found]

    def render(out: Console) -> None:
        rows = [(partition, name, f"{value:.12g}") for partition, its in found for name, value in its.items()]
        if not rows:
            out.print(f"Nothing of {dataset} has been audited yet. Try: lake run {dataset}", markup=False)
            return
        out.print(table("", ("partition", "metric", "value"), rows))

    raise typer.Exit(show(View(document, render), as_json))


def document_of(target: Target, ruleset: dqdl.Ruleset, evaluation: dqdl.Evaluation) -> dict[str, Any]:
    """The JSON form."""
    return {
        **target.document,
        "passed": all(outcome.passed for outcome in evaluation.outcomes),
        "outcomes": [
            {"rule": str(o.rule), "outcome": o.status, "metrics": dict(o.metrics), "reason": o.reason}
            for o in evaluation.outcomes
        ],
        "analyses": [
            {"analyzer": str(a.analyzer), "metrics": dict(a.metrics), "reason": a.reason}
            for a in evaluation.analyses
        ],
        "warnings": list(ruleset.warnings),
    }


def parsed(rules: str) -> dqdl.Ruleset:
    """The ruleset of a file or text; raises `UsageError` that shows where it is wrong."""
    try:
        return dqdl.parse(text_of(rules))
    except dqdl.DQDLSyntaxError as e:
        raise UsageError(str(e)) from e


def text_of(rules: str) -> str:
    """The ruleset: the content of a file, or the text itself."""
    if is_file(rules):
        try:
            return Path(rules).read_text(encoding="utf-8-sig")  # editors on Windows write a mark
        except (OSError, UnicodeDecodeError) as e:
            raise UsageError(f"--rules {rules} cannot be read: {e}") from e
    if "[" not in rules:
        raise UsageError(
            f'--rules "{rules}" is neither a file nor a ruleset such as "Rules = [ RowCount > 0 ]".'
        )
    return rules


def is_file(text: str) -> bool:
    """Whether a text names a file or a pipe; one that is too long to be a name does not."""
    try:
        return Path(text).exists() and not Path(text).is_dir()
    except (OSError, ValueError):
        return False


def write(path: Path, lines: Iterable[str]) -> None:
    """Write a report; raises `UsageError` where it cannot be."""
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as e:
        raise UsageError(f"--html {path} cannot be written: {e.strerror}.") from e
