"""The whole grammar: round trip of any ruleset, and nothing but syntax errors on noise."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lake_pipeline.dqdl import DQDLSyntaxError, Ruleset, nodes, parse
from lake_pipeline.dqdl.rules import RULE_TYPES
from lake_pipeline.dqdl.tokens import KEYWORDS

CANONICAL = [
    'ColumnCorrelation of col_1 and "col abc" between 0.4 and 0.8',
    'ColumnValues "a" in [1,2,NULL] where "b > 1" labels=["k"="v"] with threshold > 0.5 with t = "1"',
    'ColumnValues "a" not in [now(),(now() - 3 hours),"2026-02-25"]',
    "RowCount not between (0.9 * average(last(10))) and 1.1 * average(last(10))",
    'DataFreshness "a" in [3 hours,1 days]',
    '((RowCount > 0) OR (FileSize < 9 MB)) labels=["k"="v"]',
]

_RESERVED = re.compile(r"[0-9.]+|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}:[0-9]{2}.*")
_strings = st.text(
    st.characters(codec="utf-8", exclude_characters="\"\\'\r"), min_size=1, max_size=12
).filter(lambda t: t.strip() and not _RESERVED.fullmatch(t))
_numbers = st.from_regex(r"-?[0-9]{1,9}(\.[0-9]{1,5})?", fullmatch=True).map(nodes.Number)
_expressions: st.SearchStrategy[nodes.NumericOperand] = st.recursive(
    _numbers,
    lambda inner: (
        st.builds(nodes.Parenthesis, inner)
        | st.builds(
            nodes.Call, st.sampled_from(["avg", "last", "index"]), st.lists(inner, max_size=3).map(tuple)
        )
        | st.builds(
            nodes.Arithmetic,
            inner.filter(lambda o: not isinstance(o, nodes.Arithmetic)),
            st.lists(
                st.tuples(
                    st.sampled_from("+-*/"), inner.filter(lambda o: not isinstance(o, nodes.Arithmetic))
                ),
                min_size=1,
                max_size=3,
            ).map(tuple),
        )
    ),
    max_leaves=6,
)
_nows = st.just(nodes.Now()) | st.builds(
    nodes.Now, st.sampled_from("+-"), st.integers(0, 99), st.sampled_from(["days", "hours", "minutes"])
)


def _conditions(kind: str, operand: st.SearchStrategy[nodes.Operand]) -> st.SearchStrategy[nodes.Condition]:
    def of(ops: list[str], least: int, most: int) -> st.SearchStrategy[nodes.Condition]:
        listed = st.lists(operand, min_size=least, max_size=most).map(tuple)
        return st.builds(nodes.Condition, st.just(kind), st.sampled_from(ops), listed)

    special = st.sampled_from(["NULL", "EMPTY", "WHITESPACES_ONLY"] if kind == "string" else ["NULL"])
    mixed = st.tuples(operand, st.lists(operand | special.map(nodes.Special), max_size=3)).map(
        lambda pair: (pair[0], *pair[1])
    )
    several = st.builds(nodes.Condition, st.just(kind), st.sampled_from(["in", "not in"]), mixed)
    if kind == "string":
        alone = special.filter(lambda name: name != "NULL").map(lambda name: (nodes.Special(name),))
        equal = st.builds(nodes.Condition, st.just(kind), st.sampled_from(["=", "!="]), alone)
        return of(["=", "!=", "matches", "not matches"], 1, 1) | equal | several
    ordered = of(["=", "!=", "<", "<=", ">", ">="], 1, 1)
    return ordered | of(["between", "not between"], 2, 2) | several


_texts = _strings.map(nodes.Text)
_sizes = st.builds(nodes.Size, st.integers(0, 999), st.sampled_from(["", "B", "KB", "MB", "GB", "TB"]))
_durations = st.builds(nodes.Duration, st.integers(0, 99), st.sampled_from(["days", "hours", "minutes"]))
_by_kind = {
    "number": _conditions("number", _expressions),
    "string": _conditions("string", _texts),
    "date": _conditions("date", _nows | st.sampled_from([nodes.Day("2026-02-25"), nodes.Clock("9:30 PM")])),
    "duration": _conditions("duration", _durations),
    "size": _conditions("size", _sizes),
}
_pairs = st.dictionaries(_strings, _strings, max_size=3).map(lambda d: tuple(d.items()))


_words = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,8}", fullmatch=True).filter(lambda w: w not in KEYWORDS)
_connectors = st.sampled_from(["", "of", "and"])
_params = st.builds(nodes.Param, _strings, st.just(True), _connectors) | st.builds(
    nodes.Param, _words, st.just(False), _connectors
)


@st.composite
def _analyzers(draw: st.DrawFn) -> nodes.Rule:
    kinds = [r for r in RULE_TYPES.values() if r.analyzer_only or any(s.kinds for s in r.signatures)]
    kind = draw(st.sampled_from(kinds))
    signature = next(s for s in kind.signatures if s.kinds or kind.analyzer_only)
    count = draw(st.integers(signature.least, min(signature.most, signature.least + 2)))
    return nodes.Rule(kind.name, tuple(draw(_params) for _ in range(count)))


@st.composite
def _rules(draw: st.DrawFn) -> nodes.Rule:
    kind = draw(st.sampled_from([r for r in RULE_TYPES.values() if not r.analyzer_only]))
    signature = draw(st.sampled_from(kind.signatures))
    count = draw(st.integers(signature.least, min(signature.most, signature.least + 2)))
    params = tuple(draw(_params) for _ in range(count))
    condition = draw(st.one_of([_by_kind[k] for k in signature.kinds])) if signature.kinds else None
    return nodes.Rule(
        kind.name,
        params,
        condition,
        draw(st.none() | _strings) if kind.where else None,
        draw(_pairs),
        draw(st.none() | _by_kind["number"]) if kind.threshold else None,
        tuple({f"tag{i}": draw(_strings) for i in range(draw(st.integers(0, 2)))}.items()),
    )


_trees: st.SearchStrategy[nodes.AnyRule] = st.recursive(
    _rules(),
    lambda inner: st.builds(
        nodes.Composite,
        st.sampled_from(["AND", "OR"]),
        st.lists(inner, min_size=2, max_size=3).map(tuple),
        _pairs,
    ),
    max_leaves=4,
)


@st.composite
def _rulesets(draw: st.DrawFn) -> Ruleset:
    analyzers = tuple(draw(st.lists(_analyzers(), max_size=2)))
    return Ruleset(
        tuple(draw(st.lists(_trees, min_size=0 if analyzers else 1, max_size=3))),
        analyzers,
        draw(st.just(()) | _strings.map(lambda text: (("Version", text),))),
        draw(st.none() | _strings),
        tuple(draw(st.lists(_strings, max_size=2))),
        draw(_pairs),
    )


@settings(max_examples=100)
@given(_rulesets())
def test_round_trip(ruleset: Ruleset) -> None:
    printed = str(ruleset)
    assert parse(printed) == ruleset
    assert str(parse(printed)) == printed


_PIECES = st.sampled_from(
    [
        *RULE_TYPES,
        *CANONICAL,
        "Rules",
        "Analyzers",
        "=",
        "[",
        "]",
        "(",
        ")",
        ",",
        '"',
        '"a"',
        "and",
        "or",
        "not",
        "between",
        "in",
        "where",
        "with",
        "labels",
        "$v",
        "now()",
        "1",
        "1.5",
        "-",
        "NULL",
        "\\",
        "#",
        "\n",
        "{",
        "}",
    ]
)


@settings(max_examples=150)
@given(st.booleans(), st.lists(_PIECES | st.text(max_size=4), max_size=25))
def test_noise_gives_syntax_errors_only(headed: bool, pieces: list[str]) -> None:
    text = ("Rules = [ " if headed else "") + " ".join(pieces)
    try:
        ruleset = parse(text)
    except DQDLSyntaxError as error:
        assert error.line >= 1
        assert error.column >= 1
        return
    assert parse(str(ruleset)) == ruleset


@st.composite
def _mutated(draw: st.DrawFn) -> str:
    """A good text with a few characters taken out, doubled, replaced or put in."""
    text = "Rules = [ " + ", ".join(draw(st.lists(st.sampled_from(CANONICAL), min_size=1, max_size=3))) + " ]"
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 3))
        middle = draw(st.sampled_from(["", text[at : at + length] * 2]) | st.text(max_size=2) | _PIECES)
        text = text[:at] + middle + text[at + length :]
    return text


@settings(max_examples=200)
@given(_mutated() | st.text(max_size=60))
@example("Rules = [ RowCount > 1 ]\x00")
@example('Rules = [ RowCount > 0 where "\\" ]')
@example('Rules = [ ColumnValues "a" in ["\\"] ]')
@example("Rules = [ RowCount > " + "9" * 5000 + " days ]")
def test_damaged_text_gives_syntax_errors_only(text: str) -> None:
    try:
        ruleset = parse(text)
    except DQDLSyntaxError as error:
        assert error.snippet
        assert str(error.line) in str(error)
        return
    assert parse(str(ruleset)) == ruleset
