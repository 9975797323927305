"""State documents are the bytes of ``json.dumps(indent=1)``, whatever is in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake_pipeline.storage.lake import dump

LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.datetimes()
KEYS = st.text(max_size=3)
VALUE = st.recursive(
    LEAF,
    lambda v: (
        st.lists(v, max_size=3) | st.lists(v, max_size=3).map(tuple) | st.dictionaries(KEYS, v, max_size=3)
    ),
    max_leaves=15,
)


@given(st.dictionaries(KEYS, VALUE, max_size=4))
@settings(max_examples=200, derandomize=True, database=None)
def test_any_document(document: dict[str, Any]) -> None:
    check(document)


@pytest.mark.parametrize("document", [{}, {"a": {1: [2], 3: {}}}, {"a": [{True: [None]}, {None: ()}]}])
def test_odd_documents(document: dict[str, Any]) -> None:
    check(document)


def check(document: dict[str, Any]) -> None:
    expected = json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, default=str)
    assert dump(document) == expected.encode()
