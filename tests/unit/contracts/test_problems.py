"""Every mistake is found, all at once, at its place, with what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lake_pipeline.contracts import ContractError, Problem, lint, load
from lake_pipeline.errors import Terminal

Write = Callable[..., Path]
EVERYTHING = Path(__file__).parent / "broken" / "everything.yaml"


def underlined(problem: Problem) -> str:
    return problem.text[problem.column - 1 : problem.column - 1 + problem.width]


# line, what is underlined, a piece of the message, a piece of the hint
ALL_AT_ONCE = [
    (1, "v3.2.1", "apiVersion", 'Did you mean "v3.2.0"?'),
    (4, "1.0", '"version" is', "quote it"),
    (5, "owner", 'no key "owner"', "`team`"),
    (8, "primaryKey", 'no key "primaryKey"', 'No column is called "ordr_id". Did you mean "order_id"?'),
    (11, "strng", '"strng" is unknown', 'Did you mean "string"?'),
    (12, "nullable", 'no key "nullable"', "required"),
    (15, "decimal(2,5)", "no decimal type", "decimal(18,2)"),
    (17, "10", "no value lies between minimum 10 and maximum 1", "Exchange"),
    (19, "minLenght", "no option of a number", "minimum, maximum"),
    (20, "Amount", 'beside "amount"', "line 13"),
    (22, "_loaded_at", "reserved", 'call it "loaded_at"'),
    (25, "America/New_Yrok", "time zone", 'Did you mean "America/New_York"?'),
    (26, '"%Y-%m-%d"', "strptime", "yyyy-MM-dd"),
    (27, "Europe/Berlin", "timezone", "defaultTimezone: Europe/Berlin"),
    (30, '"yes"', '"required" is', "true or false"),
    (32, "'[A-Z'", "no regular expression", "single quotes"),
    (33, "5", "minLength 5 is more than maxLength 2", "No text"),
    (36, "NO", "`NO` is no text", "Quote it"),
    (37, "DE", "is not an enum entry", "- value: DE"),
    (42, "two", "no whole number", "whole number"),
    (43, "1", "listed twice", "Remove one"),
    (44, "primaryKeyPosition", "is no key", "primaryKey: true"),
    (45, "tags", "does not say what it holds", "items"),
    (47, "address", "has no fields", "properties"),
    (49, "l", "has no name", "- name:"),
    (53, "eror", "severity", 'Did you mean "error"?'),
    (57, "order_idd", 'no column "order_idd"', 'Did you mean "order_id"?'),
    (58, "nope", 'no column "nope"', "The columns are order_id"),
    (64, "RowCont", 'Did you mean "RowCount"?', ""),
    (67, "soda", 'engine "soda"', "engine: dqdl"),
    (69, "m", "would not be evaluated", 'IsComplete "column"'),
    (73, "7:30", "no time of day", '"07:30"'),
    (77, "kep", 'drift.additive cannot be "kep"', 'Did you mean "keep"?'),
    (78, "typs", 'no "typs"', 'Did you mean "types"?'),
]


def test_all_problems_of_a_file_are_reported_at_once_and_in_order() -> None:
    problems = lint(EVERYTHING)
    assert [(p.line, underlined(p)) for p in problems] == [(line, text) for line, text, _, _ in ALL_AT_ONCE]
    for problem, (_, _, message, hint) in zip(problems, ALL_AT_ONCE, strict=True):
        assert message in problem.message
        assert hint in problem.hint


def test_load_raises_them_all_and_shows_each_underlined() -> None:
    with pytest.raises(ContractError) as caught:
        load(EVERYTHING)
    assert isinstance(caught.value, Terminal)
    assert caught.value.problems == lint(EVERYTHING)
    text = str(caught.value)
    assert f"{len(ALL_AT_ONCE)} problems" in text
    assert "  11 |         logicalType: strng\n" + " " * 28 + "^^^^^\n  hint: Valid are string" in text


def test_a_valid_contract_has_no_problems(write: Write) -> None:
    assert lint(write()) == ()


RULESET = """\
        implementation: |
          Rules = [
            RowCount > 0,
            IsComplete "price"
          ]
"""
# what is replaced, by what, a piece of the message, what is underlined
ONE_MISTAKE = [
    ("kind: DataContract", "kind: Contract", "is not a contract", "Contract"),
    ("id: shop\n", "", 'has no "id"', ""),
    ("  - name: shop\n", "  - physicalName: shop\n", "table has no name", "p"),
    ("    properties:\n", "    properties: []\n    x:\n", "table has no properties", "properties"),
    ("    properties:\n", "    propertis:\n", 'no key "propertis"', "propertis"),
    ("version: 1.2.3", "version: 1.2.3\nversion: 2.0.0", 'key "version" is given twice', "version"),
    ("team:\n", "team: shop\nteam_:\n", '"team" is `shop`', "shop"),
    ("- name: price", "- name: id", 'column "id" is declared a second time', "id"),
    ("logicalType: integer", "logicalType: int", '"int" is unknown', "int"),
    ("logicalType: integer", "logicalType: map", '"map" is unknown', "map"),
    ("        logicalType: integer\n", "", "has no logicalType", "pieces"),
    ("decimal(10,2)", "decimal", "is no decimal type", "decimal"),
    ("decimal(10,2)", "decimal(39,2)", "is no decimal type", "decimal(39,2)"),
    ("decimal(10,2)", "decimal(0,0)", "is no decimal type", "decimal(0,0)"),
    ("logicalType: number", "logicalType: integer", "does not fit logicalType", "decimal(10,2)"),
    ("minimum: 0.01", "minimum: 0.001", "no number of the decimal's scale", "0.001"),
    ("minimum: 0.01", "minimum: .nan", "is no number", ".nan"),
    ("minimum: 0.01", 'minimum: "0"', "is no number", '"0"'),
    ("minimum: 0.01", "minimum: 1\n          exclusiveMinimum: 1", "both minimum and exclusiveMinimum", "1"),
    ("minimum: 0.01", "exclusiveMinimum: 99999.99", "no value lies between", "99999.99"),
    ("minimum: 0.01", "multipleOf: 5", "no option of a number", "multipleOf"),
    ("minLength: 2", "minLength: -1", "is no length", "-1"),
    ("minLength: 2", "minLength: 10", "minLength 10 is more than maxLength 9", "10"),
    ("minLength: 2", "format: email", "no option of a string", "format"),
    ("'^x[0-9]+$'", "'(?<=x)y'", "not mean the same on every engine", "'(?<=x)y'"),
    ("'^x[0-9]+$'", r"'(x)\1'", "not mean the same on every engine", r"'(x)\1'"),
    ("'^x[0-9]+$'", "5", "is no text", "5"),
    ("          - value: 12\n            label: a dozen\n", "          - value: 1.5\n",
     "no whole number", "1.5"),
    ("        enum:\n          - value: 1\n", "        enum: []\n        x:\n          - value: 1\n",
     "empty", "enum"),
    ("logicalType: integer", "logicalType: boolean", "a boolean has no enum", "enum"),
    ("yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd EEE", "no engine-independent meaning", "yyyy-MM-dd EEE"),
    ("yyyy-MM-dd HH:mm:ss", "HH:mm:ss", "has no day and no month and no year", "HH:mm:ss"),
    ("yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd hh:mm", "hours 1 to 12", "yyyy-MM-dd hh:mm"),
    ("yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd'T", "unbalanced quote", "yyyy-MM-dd'T"),
    ("yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd dd", "same part twice", "yyyy-MM-dd dd"),
    ("defaultTimezone: Europe/Berlin", "timezone: true", "has no offset", "true"),
    ('"2020-01-01T00:00:00"', '"yesterday"', "is no timestamp", '"yesterday"'),
    ("        primaryKey: true\n", "        primaryKey: true\n        required: false\n",
     "cannot be optional", "false"),
    ("primaryKey: true\n", "primaryKey: true\n        primaryKeyPosition: 3\n",
     "leaves the key's order open", "primaryKeyPosition"),
    ("type: text", "type: sql", 'type "sql" would not be evaluated', "type"),
    ("severity: warning", "severity: info", 'severity "info" is unknown', "info"),
    (RULESET, "",
     "no ruleset", "t"),
    ("RowCount > 0,", "RowCount > ,", "DQDL:", ","),
    ("          ]\n", "          ]\n          Rules = [ RowCount > 1 ]\n", "is ignored", "|"),
    ('IsComplete "price"', '(IsComplete "price") or (IsUnique "prize")', 'no column "prize"', "prize"),
    ("valueExt: Europe/Berlin", "valueExt: Mars", 'time zone "Mars"', "Mars"),
    ('"07:30"', "soon", "no time of day", "soon"),
    ("types: strict", "types: loose", 'drift.types cannot be "loose"', "loose"),
    ("    value:\n      additive: ignore\n      types: strict\n", "    value: strict\n",
     "policy is a mapping", "value"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message", "text"), ONE_MISTAKE, ids=[row[2] for row in ONE_MISTAKE])
def test_one_mistake(write: Write, old: str, new: str, message: str, text: str) -> None:
    problems = lint(write(old, new))
    hits = [problem for problem in problems if message in problem.message]
    assert hits, "\n".join(map(str, problems))
    assert text in [underlined(hit) for hit in hits]


# mistakes of the document itself: what is replaced, by what, a piece of the message, the line
DOCUMENT = [
    ("kind: DataContract", "kind: [", "not YAML", 4),
    ("kind: DataContract", "\tkind: DataContract", "not YAML", 2),
    ("purpose: To test.", "purpose: To test: this", "not YAML", 6),
]


@pytest.mark.parametrize(("old", "new", "message", "line"), DOCUMENT, ids=["bracket", "tab", "colon"])
def test_broken_yaml_has_a_line_and_a_hint(write: Write, old: str, new: str, message: str, line: int) -> None:
    (problem,) = lint(write(old, new))
    assert message in problem.message
    assert problem.line == line
    assert problem.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"# nothing\n", "empty"),
        (b"- a\n- b\n", "a mapping"),
        (b"just text", "a mapping"),
        (b"name: caf\xe9", "not UTF-8 (byte 9)"),
        (b"a: &a [*a]", "YAML"),
        (b"apiVersion: v3.2.0\n", "has no schema"),
        (b"schema: none\n", '"schema" is `none`'),
        (b"schema:\n  - name: a\n  - name: b\n", "second one"),
        (b"schema:\n  - just text\n", '"schema" is `just text`'),
    ],
)
def test_no_document_raises_anything_else(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "contract.yaml"
    path.write_bytes(content)
    problems = lint(path)
    assert any(message in problem.message for problem in problems), problems
    with pytest.raises(ContractError):
        load(path)


def test_a_missing_file_is_a_problem_too(tmp_path: Path) -> None:
    (problem,) = lint(tmp_path / "no.yaml")
    assert "No such file" in problem.message


def test_constraints_inside_arrays_are_refused_not_ignored(write: Write) -> None:
    array = (
        "      - name: tags\n        logicalType: array\n        items:\n          logicalType: string\n"
        "          enum: [{value: a}]\n          logicalTypeOptions: {maxLength: 3}\n    quality:\n"
    )
    messages = [problem.message for problem in lint(write("    quality:\n", array))]
    assert messages == [
        f'"tags": `{key}` inside an array would not be checked.' for key in ("enum", "maxLength")
    ]


def test_constraints_deep_inside_arrays_are_refused_too(write: Write) -> None:
    array = (
        "      - name: tags\n        logicalType: array\n        items:\n          logicalType: object\n"
        "          properties:\n            - name: a\n              logicalType: object\n"
        "              properties:\n                - {name: b, logicalType: string, required: true}\n"
        "    quality:\n"
    )
    (problem,) = lint(write("    quality:\n", array))
    assert problem.message == '"tags": `required` inside an array would not be checked.'


def test_a_long_line_is_cut_around_the_mistake(write: Write) -> None:
    long = 'IsComplete "price", ' * 30 + 'IsUnique "prize"'
    (problem,) = lint(write('IsComplete "price"', long))
    _, shown, marks, _ = str(problem).splitlines()
    assert len(shown) < 120
    start = marks.index("^")
    assert shown[start : start + marks.count("^")] == "prize"


def test_only_columns_of_the_table_can_be_keys(write: Write) -> None:
    nested = (
        "      - name: a\n        logicalType: object\n        properties:\n          - name: b\n"
        "            logicalType: string\n            unique: true\n    quality:\n"
    )
    (problem,) = lint(write("    quality:\n", nested))
    assert problem.message == '"b" is a field of an object and cannot be unique.'
    assert underlined(problem) == "unique"
