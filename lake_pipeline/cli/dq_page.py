"""The report of `lake dq --html`: one file that needs nothing else, for people, screens of any size, and paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

MARKS = {"Passed": "✓", "Failed": "✗", "Error": "!"}
# What did not pass stands first; within an outcome, the ruleset's order stays.
ORDER = ("Error", "Failed", "Passed")
NOT_PASSED = {"Failed": "failed", "Error": "could not be evaluated"}
STYLE = """
:root { color-scheme: light dark; --ink: #1b2330; --soft: #566173; --page: #f6f7f9; --card: #fff; --line: #d9dee6;
  --good: #14693a; --good-bg: #e2f4e9; --bad: #a3171f; --bad-bg: #fdeaea; --odd: #7a4a00; --odd-bg: #fdf0d8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf2; --soft: #a3aec0; --page: #12161d; --card: #1b212b;
  --line: #333c4a; --good: #7fd8a4; --good-bg: #16372a; --bad: #ff9c9c; --bad-bg: #44191d; --odd: #f2c879;
  --odd-bg: #3d2d10; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 2rem 1.25rem 3rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .75rem; }
.when { color: var(--soft); margin: 0 0 1.5rem; }
.verdict { display: flex; flex-wrap: wrap; gap: .75rem 2rem; align-items: center; padding: 1rem 1.25rem;
  border-radius: .6rem; border: 1px solid; }
.verdict strong { font-size: 1.2rem; }
.good { color: var(--good); background: var(--good-bg); border-color: var(--good); }
.bad { color: var(--bad); background: var(--bad-bg); border-color: var(--bad); }
.odd { color: var(--odd); background: var(--odd-bg); border-color: var(--odd); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .6rem; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-size: .94rem; }
caption { text-align: left; color: var(--soft); padding: .7rem 1rem; }
th, td { text-align: left; vertical-align: top; padding: .65rem 1rem; border-top: 1px solid var(--line); }
thead th { font-weight: 600; color: var(--soft); white-space: nowrap; }
tbody th { font-weight: 400; min-width: 15rem; width: 55%; }
code { font: .92em/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.badge { display: inline-block; white-space: nowrap; padding: .1rem .6rem; border-radius: 1rem; border: 1px solid;
  font-weight: 600; font-size: .88rem; }
.reason { overflow-wrap: anywhere; margin: .35rem 0 0; }
dl { margin: 0; display: grid; gap: .15rem; min-width: 19rem; }
dl div { display: flex; flex-wrap: wrap; gap: 0 .75rem; justify-content: space-between; }
dt { color: var(--soft); font-size: .86rem; overflow-wrap: anywhere; }
dd { margin: 0; font-variant-numeric: tabular-nums; white-space: nowrap; }
@media print { body { background: none; } main { max-width: none; padding: 0; } .scroll { overflow: visible; } }
"""


def page(document: Mapping[str, Any], moment: datetime) -> Iterator[str]:
    """The lines of the report of an evaluation, as its JSON document has it."""
    target = str(document.get("file") or document.get("table"))
    counts = {s: sum(o["outcome"] == s for o in document["outcomes"]) for s in ORDER}
    total, passed = len(document["outcomes"]), bool(document["passed"])
    said = f"{counts['Passed']} of {total} rules passed"
    yield "<!DOCTYPE html>"
    yield '<html lang="en">'
    yield '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(said)}: {escape(target)}</title>"
    yield f"<style>{STYLE}</style></head>"
    yield f"<body><main><h1>Data quality of <code>{escape(target)}</code></h1>"
    yield f'<p class="when">Evaluated <time datetime="{moment.isoformat()}">{moment:%Y-%m-%d %H:%M:%S} UTC</time></p>'
    yield f'<div class="verdict {"good" if passed else "bad"}" role="status">'
    yield f"<strong>{'✓ Passed' if passed else '✗ Not passed'}</strong><span>{escape(said)}</span>"
    yield "".join(f"<span>{counts[s]} {word}</span>" for s, word in NOT_PASSED.items() if counts[s])
    yield "</div>"
    yield from outcomes(document["outcomes"])
    yield from analyses(document["analyses"])
    if document["warnings"]:
        yield "<h2>Warnings about the ruleset</h2><ul>"
        yield from (f"<li>{escape(warning)}</li>" for warning in document["warnings"])
        yield "</ul>"
    yield "</main></body></html>"


def outcomes(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The table of rules."""
    if not found:
        return
    yield "<h2>Rules</h2>"
    yield '<div class="scroll" tabindex="0" role="region" aria-label="Rules"><table>'
    yield "<caption>What did not pass stands first.</caption>"
    yield '<thead><tr><th scope="col">Outcome</th><th scope="col">Rule, and why it does not pass</th>'
    yield '<th scope="col">Measured</th></tr></thead><tbody>'
    for outcome in sorted(found, key=lambda o: ORDER.index(o["outcome"])):
        yield f"<tr><td>{badge(outcome['outcome'])}</td>"
        reason = f'<p class="reason">{escape(outcome["reason"])}</p>' if outcome["reason"] else ""
        yield f'<th scope="row"><code>{escape(outcome["rule"])}</code>{reason}</th>'
        yield f"<td>{metrics(outcome['metrics'])}</td></tr>"
    yield "</tbody></table></div>"


def analyses(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The table of analyzers."""
    if not found:
        return
    yield "<h2>Analyzers</h2>"
    yield '<div class="scroll" tabindex="0" role="region" aria-label="Analyzers"><table>'
    yield "<caption>Measured, and not judged.</caption>"
    yield '<thead><tr><th scope="col">Analyzer</th><th scope="col">Measured</th></tr></thead><tbody>'
    for analysis in found:
        measured = metrics(analysis["metrics"]) if analysis["metrics"] else escape(analysis["reason"] or "")
        yield f'<tr><th scope="row"><code>{escape(analysis["analyzer"])}</code></th><td>{measured}</td></tr>'
    yield "</tbody></table></div>"


def badge(outcome: str) -> str:
    """An outcome as a sign, a word and a colour."""
    kind = {"Passed": "good", "Failed": "bad", "Error": "odd"}[outcome]
    return f'<span class="badge {kind}"><span aria-hidden="true">{MARKS[outcome]}</span> {outcome}</span>'


def metrics(found: Mapping[str, float]) -> str:
    """Metrics and their values."""
    if not found:
        return ""
    rows = (f"<div><dt>{escape(name)}</dt><dd>{shown(value)}</dd></div>" for name, value in found.items())
    return f"<dl>{''.join(rows)}</dl>"


def shown(value: float) -> str:
    """A number as people read it: whole ones with separators, others with six digits that count."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:,.6g}"
