"""What changes between two versions of a contract, and what of it breaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lake_pipeline.contracts import Contract, diff, load

Write = Callable[..., Path]
DEFS = Path(__file__).parents[3] / "lake_pipeline"


def test_a_contract_does_not_differ_from_itself(valid: Contract) -> None:
    assert diff(valid, valid) == ()


# what is replaced, by what, the change's kind, its column, a piece of its detail, whether it breaks
CHANGES = [
    ("      - name: pieces\n", "      - name: parts\n", "column_removed", "pieces", "integer", True),
    ("      - name: pieces\n", "      - name: parts\n", "column_added", "parts", "optional", False),
    ("    quality:\n", "      - name: new\n        logicalType: date\n        required: true\n    quality:\n",
     "column_added", "new", "date, required", True),
    ("decimal(10,2)", "decimal(12,2)", "type_changed", "price", "decimal(10,2) → decimal(12,2)", False),
    ("decimal(10,2)", "decimal(12,4)", "type_changed", "price", "decimal(12,4)", True),
    ("decimal(10,2)", "decimal(9,2)", "type_changed", "price", "decimal(9,2)", True),
    ("logicalType: integer", "logicalType: number", "type_changed", "pieces", "integer → number", True),
    ("required: true", "required: false", "required_changed", "price", "optional", True),
    ("        unique: true\n", "", "constraint_changed", "pieces", "unique: True → False", False),
    ("maxLength: 9", "maxLength: 8", "constraint_changed", "id", "max_length: 9 → 8", True),
    ("          minLength: 2\n", "", "constraint_changed", "id", "min_length: 2 → None", False),
    ("        primaryKey: true\n", "        required: true\n", "primary_key_changed", "", "(id) → ()", True),
    ("RowCount > 0,", "", "rule_removed", "", "RowCount > 0 (warning)", False),
    ("RowCount > 0,", "RowCount > 0, RowCount < 9,", "rule_added", "", "RowCount < 9 (warning)", False),
    ("severity: warning", "severity: error", "severity_changed", "", "warning → error", True),
    ("types: strict", "types: coerce", "drift_changed", "", "types: strict → coerce", False),
    ("additive: ignore", "additive: refuse", "drift_changed", "", "additive: ignore → refuse", True),
]  # fmt: skip


@pytest.mark.parametrize("row", CHANGES, ids=lambda row: f"{row[2]}: {row[4]}")
def test_a_change(write: Write, valid: Contract, row: tuple[str, str, str, str, str, bool]) -> None:
    old, new, kind, column, detail, breaking = row
    changed = load(write(old, new))
    hits = [change for change in diff(valid, changed) if (change.kind, change.column) == (kind, column)]
    assert [detail in hit.detail for hit in hits] == [True] * max(1, len(hits))
    assert {hit.breaking for hit in hits} == {breaking}
    assert changed.hash != valid.hash


def test_columns_in_another_order(write: Write, valid: Contract) -> None:
    first = "      - name: note\n        logicalType: string\n"
    last = load(write("    quality:\n", first + "    quality:\n"))
    front = load(write("    properties:\n", "    properties:\n" + first))
    assert [(change.kind, change.breaking) for change in diff(last, front)] == [("columns_reordered", False)]


def test_a_description_is_no_change(write: Write, valid: Contract) -> None:
    assert diff(valid, load(write("To test.", "To learn.", "Things sold.", "Things."))) == ()


def test_a_constraint_inside_an_object_is_a_change(write: Write) -> None:
    nested = (
        "      - name: a\n        logicalType: object\n        properties:\n          - name: b\n"
        "            logicalType: string\n            description: text\n{}    quality:\n"
    )
    plain = load(write("    quality:\n", nested.format("")))
    described = load(write("    quality:\n", nested.format("").replace("text", "another text")))
    required = load(write("    quality:\n", nested.format("            required: true\n")))
    assert diff(plain, described) == ()
    (change,) = diff(plain, required)
    assert (change.kind, change.column, change.detail) == (
        "type_changed",
        "a",
        "constraints of fields inside object<b: string> changed",
    )


def test_the_demos_fix_changes_weathers_key_and_its_rule_and_nothing_else() -> None:
    old = load(DEFS / "defs" / "weather" / "contract.yaml")
    new = load(DEFS / "demo" / "weather_contract_fixed.yaml")
    assert [(change.kind, change.detail) for change in diff(old, new)] == [
        ("primary_key_changed", "(origin, year, month, day, hour) → (origin, time_hour)"),
        ("rule_removed", 'IsPrimaryKey "origin" "year" "month" "day" "hour" (error)'),
        ("rule_added", 'IsPrimaryKey "origin" "time_hour" (error)'),
    ]
