"""Which texts have a quote out of place: by arithmetic on positions, and by the grammar."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from lake_pipeline.datasets.config import Csv
from lake_pipeline.engines.spark_scans import Unreadable, check_quotes

FIELD = rb'(?:"(?:[^"]|"")*+"|[^",\r\n]*+)(?=,|\r?\n|\Z)'
RECORDS = re.compile(rb"(?:%b(?:,%b)*+(?:\r?\n|\Z))*+" % (FIELD, FIELD))
LENGTH = 7


def in_place(text: bytes) -> bool:
    try:
        check_quotes(np.frombuffer(text, np.uint8), Csv(type="csv"))
    except Unreadable:
        return False
    return True


@pytest.mark.parametrize("length", range(1, LENGTH + 1))
def test_every_short_text_is_judged_as_the_grammar_says(length: int) -> None:
    judged = {False: 0, True: 0}
    for letters in itertools.product((b'"', b",", b"\n", b"\r", b"a"), repeat=length):
        text = b"".join(letters)
        if b'"' not in text:  # what has no quote cannot have one out of place
            continue
        found = RECORDS.match(text)
        expected = found is not None and found.end() == len(text)
        assert in_place(text) == expected, text
        judged[expected] += 1
    assert judged[True] or length == 1
    assert judged[False]


def test_a_text_without_quotes_is_not_looked_at() -> None:
    assert in_place(b"a\rb,c")
