"""Proposed rulesets: what they contain, and that the data they came from always meets them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake_pipeline.dqdl import evaluate, parse, recommend


def proposed(columns: dict[str, Any]) -> set[str]:
    return {str(rule) for rule in recommend(pa.table(columns)).rules}


@pytest.mark.parametrize(
    ("values", "rules"),
    [
        ([1, 2, 3, 4], {'IsComplete "c"', 'IsUnique "c"', 'ColumnValues "c" between 0 and 5'}),
        (
            [1.5, None, 2.5],
            {'Completeness "c" >= 0.61', 'ColumnValues "c" between 0 and 4 where "`c` IS NOT NULL"'},
        ),
        (
            ["x", "y", "x", "y"],
            {'ColumnLength "c" = 1', 'ColumnValues "c" in ["x","y"]', 'IsComplete "c"'},
        ),
        (["12", "7", "105"], {'ColumnDataType "c" = "INTEGRAL"', 'ColumnValues "c" matches "[0-9]+"'}),
        (["a@b.de", "cc@d.org"], {'ColumnValues "c" matches "[^@ ]+@[^@ ]+[.][a-zA-Z]+"'}),
        ([date(2026, 1, 2), date(2026, 1, 1)], {'ColumnValues "c" >= "2026-01-01"'}),
        ([None, None], {"ColumnCount = 1"}),
        ([[1], [2]], {'IsComplete "c"'}),
        ([float("nan"), 1.0], {'IsComplete "c"'}),
    ],
)
def test_what_is_proposed(values: list[Any], rules: set[str], on_engine: Any) -> None:
    data = pa.table({"c": values})
    if data.schema.field("c").type == pa.null():
        data = data.cast(pa.schema({"c": pa.string()}))
    found = {str(rule) for rule in recommend(on_engine(data)).rules}
    assert rules <= found
    assert found == proposed({"c": data["c"]})


def test_no_rows_and_no_columns() -> None:
    assert proposed({"c": pa.array([], pa.int64())}) == {"RowCount >= 0", "ColumnCount = 1"}
    assert proposed({}) == {"ColumnCount = 0"}


def test_what_cannot_be_spelt_is_left_out() -> None:
    found = proposed({'a"b': [1], "2026-01-01": [1], "`": [1]})
    assert all('a"b' not in rule for rule in found)


CELLS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "int": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "double": (pa.float64(), st.floats()),
    "text": (pa.string(), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)),
    "digits": (pa.string(), st.from_regex(r"[0-9]{1,3}", fullmatch=True)),
    "few": (pa.string(), st.sampled_from(["a", 'b"', "c\\", "d'", "", "2026-01-01", "x\ny", " "])),
    "date": (pa.date32(), st.dates()),
    "moment": (pa.timestamp("us"), st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))),
    "flag": (pa.bool_(), st.booleans()),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(0, 8))
    return pa.table(
        {
            name: pa.array(draw(st.lists(st.none() | cells, min_size=rows, max_size=rows)), kind)
            for name, (kind, cells) in CELLS.items()
        }
    )


@settings(max_examples=25)
@given(tables())
def test_the_data_meets_what_it_proposed(table: pa.Table) -> None:
    ruleset = recommend(table)
    assert parse(str(ruleset)) == ruleset
    found = evaluate(ruleset, table)
    assert found.passed, [o for o in found.outcomes if not o.passed]


def test_long_texts_are_not_listed() -> None:
    assert proposed({"c": ["é" * 99] * 4}) == {
        "RowCount between 1 and 9",
        "ColumnCount = 1",
        'IsComplete "c"',
        'ColumnLength "c" = 99',
    }
