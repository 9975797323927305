"""The quality section: DQDL rulesets, their places in the YAML file, and names for their rules.

Only DQDL is evaluated here. A rule in another language is a problem of the contract, never a rule
that silently passes; the table says which DQDL rule replaces the standard's own metrics.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lake_pipeline import dqdl
from lake_pipeline.contracts.document import Node
from lake_pipeline.contracts.model import AnyRule, Column, QualityRule, Ruleset, Severity
from lake_pipeline.contracts.on_fail import check_row_level, read_on_fail
from lake_pipeline.contracts.problems import Reporter, Span
from lake_pipeline.errors import did_you_mean

METRIC_IN_DQDL = {
    "nullValues": 'IsComplete "column"',
    "missingValues": 'IsComplete "column"',
    "duplicateValues": 'IsUnique "column"',
    "invalidValues": 'ColumnValues "column" in ["a", "b"]',
    "rowCount": "RowCount > 0",
}
EXAMPLE = "`type: custom`, `engine: dqdl`, `severity: error`, `implementation: |` and a ruleset."

_POSITION = re.compile(r"^line \d+, column \d+: ")  # of the ruleset alone; the file's is shown

# Which parameters of a rule name columns of this dataset; types not listed name none (or only others').
_ALL, _FIRST, _FIRST_TWO, _LIST = "all", "first", "first two", "comma separated first"
COLUMN_PARAMS = {
    **dict.fromkeys(("Uniqueness", "IsUnique", "IsPrimaryKey", "DuplicateRowCount"), _ALL),
    **dict.fromkeys(("ColumnExists", "Completeness", "IsComplete", "UniqueValueRatio"), _FIRST),
    **dict.fromkeys(("DistinctValuesCount", "Mean", "Sum", "StandardDeviation", "Variance"), _FIRST),
    **dict.fromkeys(("Entropy", "ColumnLength", "ColumnValues", "ColumnDataType", "Range"), _FIRST),
    **dict.fromkeys(("DataFreshness",), _FIRST),
    "ColumnCorrelation": _FIRST_TWO,
    "ReferentialIntegrity": _LIST,
}


def parse(text: str) -> tuple[AnyRule, ...]:
    """The rules of a ruleset, in order; raises the parser's DQDLSyntaxError."""
    return dqdl.parse(text).rules


def name_rules(rules: Iterable[tuple[AnyRule, Severity, bool]]) -> tuple[QualityRule, ...]:
    """Give every rule its slug as a name, and repeats of one a number: `row_count`, `row_count_2`."""
    taken: dict[str, QualityRule] = {}
    for rule, severity, quarantine_rows in rules:
        name, number = rule.slug, 1
        while name in taken:
            number += 1
            name = f"{rule.slug}_{number}"
        taken[name] = QualityRule(name, rule, severity, quarantine_rows)
    return tuple(taken.values())


def read_quality(
    entries: Iterable[Node], columns: tuple[Column, ...], report: Reporter
) -> tuple[Ruleset, ...]:
    """The rulesets of `quality` entries; what is wrong with them goes to `report`."""
    rulesets = (_read_entry(entry, columns, report) for entry in entries)
    return tuple(ruleset for ruleset in rulesets if ruleset)


def _read_entry(entry: Node, columns: tuple[Column, ...], report: Reporter) -> Ruleset | None:
    kind = entry.text("type") or ("library" if entry.get("metric") or entry.get("rule") else "")
    if kind == "text":
        return None  # a sentence for people
    engine = entry.text("engine")
    if kind != "custom" or engine.lower() != "dqdl":
        _refuse_language(entry, kind, engine, report)
        return None
    severity, quarantine_rows = read_on_fail(entry, report)
    body = entry.get("implementation")
    if body is None or not isinstance(body.value, str) or not body.value.strip():
        message = "This quality entry has no ruleset."
        report.add(entry.at("implementation"), message, "Write `implementation: |` and `Rules = [ … ]`.")
        return None
    rules = _check_ruleset(body, columns, report)
    if quarantine_rows:
        check_row_level(body, rules, report)
    return Ruleset(body.value.strip(), severity, quarantine_rows, entry.text("description"), body.span.line)


def _refuse_language(entry: Node, kind: str, engine: str, report: Reporter) -> None:
    if kind == "custom":
        message = f'The engine "{engine}" is not one that this lake evaluates.'
        span = entry.entries["engine"].span if engine else entry.at("type")
        report.add(span, message, f"Use {EXAMPLE}")
        return
    metric = entry.text("metric") or entry.text("rule")
    instead = METRIC_IN_DQDL.get(metric)
    hint = f"In DQDL: {instead}. Use {EXAMPLE}" if instead else f"Use {EXAMPLE}"
    report.add(entry.at("type"), f'A quality entry of type "{kind}" would not be evaluated.', hint)


def _check_ruleset(body: Node, columns: tuple[Column, ...], report: Reporter) -> tuple[AnyRule, ...]:
    """The ruleset's rules, those of a text that cannot be parsed being none."""
    text = str(body.value)
    try:
        ruleset = dqdl.parse(text)
    except dqdl.DQDLSyntaxError as error:
        message = _POSITION.sub("", str(error).splitlines()[0])
        place = body.where(error.line, error.column)
        span = Span(place.line, place.column, max(1, error.span.end - error.span.start))
        report.add(span, f"DQDL: {message}")
        return ()
    known = [column.name for column in columns if column.name]
    typed = [(column.name, column.type.ibis) for column in columns if column.name and column.type]
    for warning in ruleset.warnings:
        hint = "Write two quality entries, or remove what is not read."
        report.add(body.span, f"DQDL: {warning}", hint)
    for rule in (*ruleset.rules, *ruleset.analyzers):
        for name in columns_of(rule):
            if name.split(".")[0] not in known and name not in known:
                hint = f"The columns are {', '.join(known)}.{did_you_mean(name, known)}"
                report.add(_mention(body, rule, name), f'DQDL: no column "{name}" in this contract.', hint)
        for problem in dqdl.problems(rule, typed):
            report.add(_place(body, rule), f"DQDL: {problem}")
    return ruleset.rules


def _place(body: Node, rule: AnyRule) -> Span:
    """Where the rule begins, in the YAML file."""
    text, offset = str(body.value), rule.span.start
    place = body.where(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))
    return Span(place.line, place.column, max(1, rule.span.end - offset))


def columns_of(rule: AnyRule) -> Iterator[str]:
    """The columns of this dataset that a rule, or any part of a composite, names."""
    if isinstance(rule, dqdl.Composite):
        for part in rule.rules:
            yield from columns_of(part)
        return
    role = COLUMN_PARAMS.get(rule.type)
    if role is None or not rule.names:
        return
    if role == _LIST:
        yield from (name.strip() for name in rule.names[0].split(","))
    else:
        yield from {_ALL: rule.names, _FIRST: rule.names[:1], _FIRST_TWO: rule.names[:2]}[role]


def _mention(body: Node, rule: AnyRule, name: str) -> Span:
    """Where the rule names the column, in the YAML file."""
    text = str(body.value)
    found = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)").search(text, rule.span.start)
    offset = found.start() if found else rule.span.start
    line = text.count("\n", 0, offset) + 1
    place = body.where(line, offset - text.rfind("\n", 0, offset))
    return Span(place.line, place.column, len(name))
