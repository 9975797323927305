"""What failing means, as a contract says it: severity, on_fail, and what contradicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lake_pipeline.contracts import Contract, diff, lint, load

Write = Callable[..., Path]
SEVERITY = "        severity: warning\n"


def said(value: str, severity: str = "") -> str:
    """The lines of a quality entry with this on_fail."""
    named = f"        severity: {severity}\n" if severity else ""
    return f"{named}        customProperties:\n          - property: on_fail\n            value: {value}\n"


def written(write: Write, lines: str, *, rows: bool = True) -> Path:
    return (
        write(
            SEVERITY,
            lines,
            "Rules = [\n            RowCount > 0,\n",
            'Rules = [\n            IsUnique "id",\n',
        )
        if rows
        else write(SEVERITY, lines)
    )


@pytest.mark.parametrize(
    ("lines", "on_fail", "severity"),
    [
        ("", "refuse", "error"),
        ("        severity: error\n", "refuse", "error"),
        (SEVERITY, "warn", "warning"),
        (said("refuse"), "refuse", "error"),
        (said("refuse", "error"), "refuse", "error"),
        (said("warn"), "warn", "warning"),
        (said("warn", "warning"), "warn", "warning"),
        (said("quarantine_rows"), "quarantine_rows", "error"),
        (said("quarantine_rows", "error"), "quarantine_rows", "error"),
    ],
)
def test_what_failing_means(write: Write, lines: str, on_fail: str, severity: str) -> None:
    checks = load(written(write, lines)).checks
    assert {(check.on_fail, check.severity) for check in checks} == {(on_fail, severity)}
    assert len(checks) == 2


@pytest.mark.parametrize(
    ("lines", "message", "hint", "text"),
    [
        (
            said("quarantine_rows", "warning"),
            "contradicts `severity: warning`",
            "on_fail: warn",
            "quarantine_rows",
        ),
        (said("refuse", "warning"), "contradicts `severity: warning`", "`severity: error`", "refuse"),
        (said("warn", "error"), "contradicts `severity: error`", "`severity: warning`", "warn"),
        (
            said("quarantine"),
            'on_fail cannot be "quarantine"',
            'Did you mean "quarantine_rows"?',
            "quarantine",
        ),
        (said("[]"), 'on_fail cannot be ""', "Valid are refuse, quarantine_rows, warn", "["),
        (
            said("warn").replace("on_fail", "onFail"),
            '"onFail" would not be read',
            'Write "on_fail"',
            "property",
        ),
        (
            said("warn") + "          - property: on_fail\n            value: refuse\n",
            "given twice",
            "Keep one",
            "p",
        ),
    ],
)
def test_what_contradicts_is_a_problem(write: Write, lines: str, message: str, hint: str, text: str) -> None:
    (problem,) = lint(written(write, lines))
    assert message in problem.message
    assert hint in problem.hint
    assert problem.text[problem.column - 1 : problem.column - 1 + problem.width].startswith(text)


def test_only_rules_that_judge_rows_can_quarantine_them(write: Write) -> None:
    path = written(write, said("quarantine_rows"), rows=False)
    (problem,) = lint(path)
    assert "DQDL: RowCount > 0 judges no single row" in problem.message
    assert "IsComplete, Uniqueness, IsUnique" in problem.hint
    assert problem.text[problem.column - 1 : problem.column - 1 + problem.width] == "RowCount"


def test_other_custom_properties_are_nobodys(write: Write) -> None:
    lines = "        customProperties:\n          - property: dashboard\n            value: sales\n"
    assert not lint(written(write, lines))


def test_a_change_of_what_failing_means_is_a_change(write: Write) -> None:
    refusing = load(written(write, ""))
    quarantining: Contract = load(written(write, said("quarantine_rows")))
    assert refusing.hash != quarantining.hash
    for old, new, breaking in ((refusing, quarantining, False), (quarantining, refusing, True)):
        changes = diff(old, new)
        assert [c.kind for c in changes] == ["on_fail_changed"] * 2
        assert {c.breaking for c in changes} == {breaking}
    assert "refuse → quarantine_rows" in diff(refusing, quarantining)[0].detail
