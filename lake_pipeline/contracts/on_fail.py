"""What happens when a rule fails: `severity`, and the custom property `on_fail` of a quality entry."""

from __future__ import annotations

import re
from typing import get_args

from lake_pipeline import dqdl
from lake_pipeline.contracts.document import Node
from lake_pipeline.contracts.model import OnFail, Severity
from lake_pipeline.contracts.problems import Reporter, Span
from lake_pipeline.dqdl.rules import RULE_TYPES
from lake_pipeline.errors import did_you_mean

PROPERTY = "on_fail"
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
ON_FAIL: tuple[OnFail, ...] = get_args(OnFail)
# The severity that each action has; a quality entry that says both must mean the same by them.
SEVERITY_OF: dict[OnFail, Severity] = {"refuse": "error", "quarantine_rows": "error", "warn": "warning"}


def read_on_fail(entry: Node, report: Reporter) -> tuple[Severity, bool]:
    """The severity of an entry's rules, and whether rows that fail them are quarantined instead."""
    severity, action = _severity(entry, report), _action(entry, report)
    if action is None:
        return severity or "error", False
    node, wanted = action
    meant = SEVERITY_OF[wanted]
    if severity is not None and severity != meant:
        message = f"`on_fail: {wanted}` contradicts `severity: {severity}`."
        hint = f"Write `severity: {meant}`, or leave it out."
        if severity == "warning":
            hint += " A rule that only warns is `on_fail: warn`."
        report.add(node.span, message, hint)
    return meant, wanted == "quarantine_rows"


def _severity(entry: Node, report: Reporter) -> Severity | None:
    given = entry.text("severity")
    for known in SEVERITIES:
        if given == known:
            return known
    if given:
        valid = " and ".join(f'"{known}"' for known in SEVERITIES)
        hint = f"Valid are {valid}.{did_you_mean(given, SEVERITIES)}"
        report.add(entry.entries["severity"].span, f'The severity "{given}" is unknown.', hint)
        return "error"
    return None


def _action(entry: Node, report: Reporter) -> tuple[Node, OnFail] | None:
    found: list[tuple[Node, OnFail]] = []
    for item in entry.each("customProperties"):
        name = item.text("property")
        if name != PROPERTY:
            if re.sub(r"[^a-z]", "", name.lower()) == "onfail":
                report.add(
                    item.at("property"), f'The property "{name}" would not be read.', f'Write "{PROPERTY}".'
                )
            continue
        value = item.get("value")
        if value is None or value.raw not in ON_FAIL:
            said = value.raw if value else ""
            hint = f"Valid are {', '.join(ON_FAIL)}.{did_you_mean(said, ON_FAIL)}"
            report.add(value.span if value else item.at("value"), f'on_fail cannot be "{said}".', hint)
            continue
        if found:
            report.add(item.span, "on_fail is given twice.", "Keep one of them.")
        found += [(value, known) for known in ON_FAIL if known == value.raw]
    return found[0] if found else None


def check_row_level(body: Node, rules: tuple[dqdl.Rule | dqdl.Composite, ...], report: Reporter) -> None:
    """Report the rules whose failing rows cannot be told, and so cannot be quarantined."""
    can = ", ".join(name for name, kind in RULE_TYPES.items() if kind.row_level)
    hint = (
        f"Rows can be quarantined by {can} (CustomSql without a condition), and by composites of these. Move the "
        "rule to a quality entry without `on_fail: quarantine_rows`."
    )
    text = str(body.value)
    for rule in rules:
        if not dqdl.row_level(rule):
            at = rule.span.start
            place = body.where(text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
            width = len(text[at : rule.span.end].splitlines()[0])
            span = Span(place.line, place.column, width)
            report.add(span, f"DQDL: {rule} judges no single row, so that none can be quarantined.", hint)
