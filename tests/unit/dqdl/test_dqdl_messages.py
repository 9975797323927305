"""Mistakes that people make in rulesets: what the message underlines, and what it says to write instead."""

from __future__ import annotations

import pytest

from lake_pipeline.dqdl import DQDLSyntaxError, parse

# The rule, the text that is underlined, and a piece of the message.
MISTAKES = [
    ('IsComplete "a" IsUnique "b"', "IsUnique", "here begins another rule; separate them by `,`"),
    ('IsComplete "a" and IsComplete "b"', "IsComplete", 'write (IsComplete "a") and (IsUnique "b")'),
    ('IsComplet "a"', "IsComplet", 'Did you mean "IsComplete"?'),
    ('iscomplete "a"', "iscomplete", 'Did you mean "IsComplete"?'),
    ('CustomSQL "select 1" = 1', "CustomSQL", 'Did you mean "CustomSql"?'),
    ("RowCount == 1", "=", "Equality is one `=`"),
    ("RowCount => 1", ">", "Write `>=` or `<=`"),
    ("RowCount <> 1", ">", "Write `!=`"),
    ("RowCount BETWEEN 1 AND 3", "BETWEEN", 'lower case. Did you mean "between"?'),
    ("RowCount is > 1", "is", "unexpected is. Expected"),
    ("RowCount > 1e5", "1e5", "Numbers are written as 1000000, -1 or 0.5"),
    ("RowCount > .5", ".5", "Numbers are written as"),
    ("RowCount > 1_000", "1_000", "Numbers are written as"),
    ("RowCount > +1", "+", "Numbers are written as"),
    ("RowCount > −1", "−", "the minus of the keyboard"),
    ('RowCount > "1"', '"1"', "does not compare with a quoted string. Expected a number"),
    ("RowCount\u00a0> 1", "\u00a0", "NO-BREAK SPACE (U+00A0)"),
    ("RowCount", "]", "RowCount needs a condition"),
    ("IsComplete 'a'", "'", "straight double quotes"),
    ("IsComplete “a”", "“", "straight double quotes"),
    ("IsComplete `a`", "`", "straight double quotes"),
    ('IsComplete "a', '"', "this string has no closing quote"),
    ('IsComplete "a"; IsUnique "b"', ";", "Rules are separated by `,`"),
    ('IsComplete "a" && IsUnique "b"', "&", "Write `and`"),
    ('IsComplete "a" || IsUnique "b"', "|", "Write `or`"),
    ('(IsComplete "a") And (IsUnique "b")', "And", 'Did you mean "and"?'),
    ('// first\nIsComplete "a"', "/", "A comment begins with `#`"),
    ('IsComplete "a" label = ["x"="y"]', "label", 'Did you mean "labels"?'),
    (
        'IsComplete "a" labels=["x"="y"] where "b"',
        "where",
        "where stands in the wrong place: a rule has its type",
    ),
    ('Completeness "a" >= 95%', "%", "A share is a number from 0 to 1"),
    ('Completeness "a" > 0.5 where b > 5', "b", "Expected a quoted condition in SQL"),
    ('Completeness "a" > 0.5 with threshold > 0.5', "threshold", "Completeness takes no threshold"),
    ('Completeness "2024-01-01" > 0.5', '"2024-01-01"', "always a date"),
    ('ColumnValues "a" > 3 with treshold > 0.5', "treshold", 'Did you mean "threshold"?'),
    ('ColumnValues "a" like "x%"', "like", "Write `matches` and a regular expression"),
    ('ColumnValues "a" match "x"', "match", 'Did you mean "matches"?'),
    ('ColumnValues "a" is not null', "is", "Write `= NULL` or `!= NULL`"),
    ('ColumnValues "a" = None', "None", "Write NULL"),
    ('ColumnValues "a" = true', "true", "A boolean is compared as a text"),
    ('ColumnValues "a" in ("x", "y")', "(", 'A list stands in brackets: in ["a","b"]'),
    ('ColumnValues "a" in "x"', '"x"', "A list stands in brackets"),
    ('ColumnValues "a" in ["x", 5]', '["x", 5]', "different kinds: number, string"),
    ('ColumnValues "a" > "x"', ">", "> does not compare strings"),
    ('ColumnValues "a" not = 5', "=", "Expected between, in, matches"),
    ('ColumnValues "a" > now() - 3 days', "-", "Put it in parentheses: (now() - 3 days)"),
    ('ColumnValues "a" > (now() - 1 day)', "day", 'Did you mean "days"?'),
    ('ColumnDataType "a" = Integer', "Integer", "Expected a quoted string"),
    ('DataFreshness "a" <= 24hours', "24hours", "Leave a space between the number and its unit"),
    ('DataFreshness "a" <= 24 hour', "24", "Units are `days`, `hours` and `minutes`"),
    ("FileSize > 5MB", "5MB", "Leave a space"),
    ("FileSize > 5 mb", "mb", "Units are `B`, `KB`, `MB`, `GB` and `TB`"),
    ('ReferentialIntegrity "a" = 1.0', "ReferentialIntegrity", "takes 2 parameters, not 1"),
    ("Uniqueness > 0.5", "Uniqueness", "takes at least 1 parameter, not 0"),
    ('ColumnValues "a" in $x', "$x", "variable $x is not defined"),
]


@pytest.mark.parametrize(("rule", "underlined", "message"), MISTAKES, ids=[rule for rule, *_ in MISTAKES])
def test_a_mistake_is_underlined_and_explained(rule: str, underlined: str, message: str) -> None:
    with pytest.raises(DQDLSyntaxError) as caught:
        parse(f"Rules = [\n    {rule} ]")
    error = caught.value
    shown, marks = error.snippet.splitlines()
    start, end = marks.index("^"), len(marks)
    assert shown[start:end] == underlined
    assert message in str(error)
    assert f"line {error.line}, column {error.column}" in str(error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('IsComplete "a"', "a rule stands in a block: Rules = [ … ]"),
        ('Rule = [ IsComplete "a" ]', 'Did you mean "Rules"?'),
        ('rules = [ IsComplete "a" ]', 'Did you mean "Rules"?'),
        ("\ufeffRules = [ RowCount > 1 ]", "U+FEFF"),
        ('Metadata = { "Vesion": "1" }', 'Did you mean "Version"?'),
        ("", "the text ends here"),
    ],
)
def test_mistakes_around_rules(text: str, message: str) -> None:
    with pytest.raises(DQDLSyntaxError) as caught:
        parse(text)
    assert message in str(caught.value)
