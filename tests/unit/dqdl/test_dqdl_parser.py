"""The grammar: what is accepted in which normal form, and errors that help."""

from __future__ import annotations

import re

import pytest

from lake_pipeline.dqdl import DQDLSyntaxError, Ruleset, nodes, parse
from lake_pipeline.dqdl.cursor import MAX_DEPTH
from lake_pipeline.errors import Terminal, UsageError

CANONICAL = [
    "Completeness of col_1 not between 0.5 and 0.8",
    'ColumnCorrelation of col_1 and "col abc" between 0.4 and 0.8',
    'ColumnValues "a" in [1,2,NULL] where "b > 1" labels=["k"="v","l"="w"] with threshold > 0.5 with t = "1"',
    'ColumnValues "a" not in [now(),(now() - 3 hours),"2026-02-25"]',
    'ColumnValues "a" between "9:00 AM" and "21:50"',
    'ColumnValues "a" = "x\\"y"',
    "RowCount not between (0.9 * average(last(10))) and 1.1 * average(last(10))",
    "RowCount = -1 - -2",
    "FileSize between 1 B and 1 GB",
    "FileSize > 2",
    'DataFreshness "a" in [3 hours,1 days]',
    '(RowCount > 0) OR ((IsComplete "a") AND (IsUnique "a"))',
    '((RowCount > 0) OR (RowCount < 9)) labels=["k"="v"]',
]


@pytest.mark.parametrize("rule", CANONICAL)
def test_canonical_text(rule: str) -> None:
    assert str(parse(f"Rules = [ {rule} ]").rules[0]) == rule


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('Rules=[RowCount>0 ,IsComplete"a"]', "RowCount > 0"),
        ("Rules = [ RowCount ! = 1 ]", "RowCount != 1"),
        ("Rules = [ (((RowCount > 0))) ]", "RowCount > 0"),
        ("Rules = [\r\n# hello\r\nRowCount > 0\r\n]", "RowCount > 0"),
        ('v = ["a", "b\'c"] Rules = [ ColumnValues "x" in $v ]', 'ColumnValues "x" in ["a","b\\\'c"]'),
        ('c = "x y" Rules = [ Mean $c > 3 ]', 'Mean "x y" > 3'),
        (
            "Rules = [ RowCount > 1 and RowCount < 2 OR RowCount = 5 ]",
            "((RowCount > 1) AND (RowCount < 2)) OR (RowCount = 5)",
        ),
        ('Rules = [ IsPrimaryKey "a" and IsUnique "b" ]', 'IsPrimaryKey "a" and IsUnique "b"'),
        (
            'Rules = [ ColumnValues "a" != 1 with Threshold > 0 with x = 1 with x = "2" ]',
            'ColumnValues "a" != 1 with threshold > 0 with x = "2"',
        ),
    ],
)
def test_normal_form(text: str, canonical: str) -> None:
    assert str(parse(text).rules[0]) == canonical


REJECTED = [
    ("", "Rules"),
    ("Rules = []", "No rules"),
    ('Rules = [ IsCompete "a" ]', 'Did you mean "IsComplete"?'),
    ("Ruls = [ RowCount > 0 ]", 'Did you mean "Rules"?'),
    ("Rules = [ RowCount betwen 1 and 2 ]", 'Did you mean "between"?'),
    ("Rules = [ RowCount > 0, ]", "a rule"),
    ("Rules = [ ROWCOUNT > 0 ]", "unknown rule type"),
    ("Rules = [ RowCount > .5 ]", "unexpected"),
    ("Rules = [ RowCount > 1. ]", "unexpected"),
    ("Rules = [ RowCount > 1e5 ]", "unexpected"),
    ("Rules = [ RowCount > +1 ]", "a number"),
    ("Rules = [ RowCount not = 1 ]", "between"),
    ("Rules = [ RowCount in [] ]", "a number"),
    ("Rules = [ FileSize > 1.5 ]", "a size"),
    ("Rules = [ RowCount > 0 with threshold > 1 ]", "no threshold"),
    ('Rules = [ DataFreshness "a" < 24hours ]', "unexpected"),
    ('Rules = [ IsComplete "2026-02-25" ]', "always a date"),
    ('Rules = [ IsComplete "a ]', "no closing quote"),
    ("Rules = [ RowCount > 0 # x", "end with a newline"),
    ("Rules\u00a0= [ RowCount > 0 ]", "unexpected"),
    ('Rules = [ ColumnValues "a" in [1,"b"] ]', "different kinds"),
    ('Rules = [ ColumnValues "a" > "b" ]', "does not compare strings"),
    ('Rules = [ ColumnValues "a" > NULL ]', "does not compare NULL"),
    ('Rules = [ ColumnValues "a" in $v ]', "not defined"),
    ('v = "x" Rules = [ ColumnValues "a" in $v ]', "not an array"),
    ('v = ["x"] Rules = [ IsComplete $v ]', "Invalid variable type"),
    ('v = "x" w = "$v" Rules = [ IsComplete $w ]', "do not nest"),
    ("v = 1 Rules = [ RowCount > 0 ]", "quoted string"),
    ('Rules = [ RowCount > 0 where " " ]', "empty"),
    ('Rules = [ RowCount > 0 labels=["a"="1","a"="2"] ]', "Duplicate label"),
    ('Metadata = { "V": "1" } Rules = [ RowCount > 0 ]', "Unsupported key"),
    ('Rules = [ AllStatistics "a" ]', "analyzer"),
    ('Analyzers = [ IsComplete "a" ]', "no metric"),
    ("Analyzers = [ RowCount > 0 ]", "`]`"),
]


@pytest.mark.parametrize(("text", "says"), REJECTED)
def test_rejected(text: str, says: str) -> None:
    with pytest.raises(DQDLSyntaxError, match=re.escape(says)):
        parse(text)


def test_an_error_shows_the_place() -> None:
    with pytest.raises(DQDLSyntaxError) as caught:
        parse('Rules = [\n  RowCount > 0,\n  Mean "a" > "x"\n]')
    error = caught.value
    assert isinstance(error, Terminal)
    assert (error.line, error.column, error.expected) == (3, 14, ("a number",))
    assert '  Mean "a" > "x"' in error.snippet
    assert error.snippet.endswith(" " * 13 + "^^^")


@pytest.mark.parametrize("opening", ["(", "RowCount > (", "RowCount > f(", "(RowCount > ("])
def test_nesting_is_bounded(opening: str) -> None:
    with pytest.raises(DQDLSyntaxError, match=r"nested deeper|unexpected"):
        parse("Rules = [ " + opening * 5000)
    with pytest.raises(DQDLSyntaxError, match="nested deeper"):
        parse("Rules = [ RowCount > " + "(" * 5000)
    nested = "(" * (MAX_DEPTH - 1) + "1" + ")" * (MAX_DEPTH - 1)
    assert parse(f"Rules = [ RowCount > {nested} ]")


def test_long_chains_are_not_nested() -> None:
    assert parse("Rules = [ RowCount > " + " + ".join("1" * 5000) + " ]")
    assert parse("Rules = [ " + " and ".join(["RowCount > 0"] * 5000) + " ]")


def test_text_after_the_last_block_is_ignored_with_a_warning() -> None:
    ruleset = parse("Rules = [ RowCount > 0 ]\nRules = [ nonsense \u00e9 ]")
    assert len(ruleset.rules) == 1
    assert "line 2" in ruleset.warnings[0]
    assert ruleset == parse("Rules = [ RowCount > 0 ]")


def test_labels_of_a_rule_override_the_defaults() -> None:
    ruleset = parse('DefaultLabels=["a"="1", "b"="2"] Rules=[ RowCount > 0 labels=["b"="3"] ]')
    assert ruleset.labels_of(ruleset.rules[0]) == {"a": "1", "b": "3"}


def test_escapes_are_removed_where_dqdl_does() -> None:
    rule = parse(r"""Rules = [ ColumnValues "a" in ["\d", "x\"y", "don't"] ]""").rules[0]
    assert isinstance(rule, nodes.Rule)
    assert rule.condition is not None
    assert [o.listed for o in rule.condition.operands if isinstance(o, nodes.Text)] == ["d", 'x"y', "don't"]


@pytest.mark.parametrize("text", ["FileSize > {} B", 'DataFreshness "a" < {} days', "RowCount > {}"])
def test_numbers_of_any_length(text: str) -> None:
    try:
        assert parse("Rules = [ " + text.format("9" * 5000) + " ]").rules
    except DQDLSyntaxError as error:
        assert "digits" in str(error)


def test_rulesets_concatenate() -> None:
    one, two = parse("Rules = [ RowCount > 0 ]"), parse('v = "a" Rules = [ IsComplete $v ]')
    both = Ruleset.of([*one.rules, *two.rules])
    assert parse(str(both)) == both
    with pytest.raises(UsageError):
        Ruleset.of([])


@pytest.mark.parametrize(
    ("rule", "slug"),
    [
        ("RowCount > 0", "RowCount"),
        ('IsComplete "order_id"', "IsComplete_order_id"),
        ('IsPrimaryKey "a b" "c"', "IsPrimaryKey_a_b_c"),
        ('ReferentialIntegrity "carrier" "carriers.code" > 0.9', "ReferentialIntegrity_carrier"),
        ('(IsComplete "a") or (IsUnique "b")', "IsComplete_a_or_IsUnique_b"),
    ],
)
def test_slugs(rule: str, slug: str) -> None:
    assert parse(f"Rules = [ {rule} ]").rules[0].slug == slug


@pytest.mark.parametrize("param", ["\u00e9", "***", "x" * 300, "select 1 from primary"])
def test_slugs_fit_an_asset_check(param: str) -> None:
    for kind in ("IsComplete", "CustomSql"):
        slug = parse(f'Rules = [ {kind} "{param}" ]').rules[0].slug
        assert re.fullmatch(r"[A-Za-z0-9_]{1,100}", slug)
