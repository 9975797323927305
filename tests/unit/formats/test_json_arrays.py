"""A JSON array in chunks means what it means as a whole, and takes the memory of a chunk."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lake_pipeline.formats import json_arrays
from lake_pipeline.formats.json_arrays import Chunk, chunks
from lake_pipeline.formats.json_texts import PlainJson

TEXTS = st.text(st.sampled_from('ab",[]{}\\\n é'), max_size=6)
VALUES: Any = st.recursive(
    st.integers() | st.booleans() | st.none() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("arrays")


def whole(path: Path) -> str:
    """What the text means as one: its lines, or why it is none."""
    target = path.with_name(path.name + ".whole")
    try:
        PlainJson().json_array_to_lines(path, target)
    except ValueError:
        return f"refused: {Chunk(path).fault()}"
    return target.read_text()


def in_chunks(path: Path, most: int, block: int) -> str:
    """What it means in chunks."""
    target, found = path.with_name(path.name + ".part"), ""
    for one in chunks(path, most, block):
        try:
            PlainJson().json_array_to_lines(one.path, target)
        except ValueError:
            return f"refused: {one.fault()}"
        found += target.read_text()
    return found


@given(
    values=st.lists(VALUES, max_size=8),
    comma=st.sampled_from([",", " , ", ",\n"]),
    ends=st.sampled_from(["[]", " [ ]\n"]),
    most=st.integers(1, 40),
    block=st.integers(1, 20),
)
def test_chunks_are_the_whole(
    folder: Path, values: list[Any], comma: str, ends: str, most: int, block: int
) -> None:
    path = folder / f"a{next(NUMBERS)}"
    begin, _, end = ends.rpartition("]")[0], "", "]" + ends.rpartition("]")[2]
    path.write_text(begin + comma.join(json.dumps(v, ensure_ascii=False) for v in values) + end)
    assert in_chunks(path, most, block) == whole(path)


@settings(max_examples=300)
@example(values=[0, 0], at=1, mark="", most=1, block=1)  # no element before a comma
@example(values=[0, 0], at=4, mark=",", most=1, block=1)
@given(
    values=st.lists(VALUES, min_size=1, max_size=8),
    at=st.integers(0, 200),
    mark=st.sampled_from(["", ",", "]", "[", "}", '"', " ", "x", "\\"]),
    most=st.integers(1, 40),
    block=st.integers(1, 20),
)
def test_what_is_refused_as_a_whole_is_refused_in_chunks(
    folder: Path, values: list[Any], at: int, mark: str, most: int, block: int
) -> None:
    text = json.dumps(values, ensure_ascii=False)
    at %= len(text)
    path = folder / f"b{next(NUMBERS)}"
    path.write_text(text[:at] + mark + text[at + 1 :])
    try:
        found = in_chunks(path, most, block)
    except ValueError:
        found = "refused"
    expected = whole(path)
    assert found.startswith("refused") == expected.startswith("refused")
    assert expected.startswith("refused") or found == expected


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1},\n {"b": 2},\n {"c": 3 x}]',
        "[1, 2, 3, 4, 5",
        "[1, 2,, 3]",
        "[1,, 2]",
        "[, 1, 2]",
        " [ , 1, 2]",
        '["é", "é", oops]',
        "[1, 2][3, 4]",
    ],
)
@pytest.mark.parametrize("most", [1, 8, 100])
def test_where_the_fault_is(folder: Path, text: str, most: int) -> None:
    path = folder / f"c{next(NUMBERS)}"
    path.write_text(text)
    assert whole(path).startswith("refused: ")
    assert in_chunks(path, most, 4) == whole(path)


@pytest.mark.parametrize("text", ["[1, 2, 3,]", "[1, 2, 3, ]\n"])
def test_a_comma_before_the_end(folder: Path, text: str) -> None:
    path = folder / f"d{next(NUMBERS)}"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"Expecting value.*\(char 8\)"):
        in_chunks(path, 1, 1)


@pytest.mark.parametrize("text", ['{"a": 1, "b": 2}', '{"a": 1}\n{"a": 2}\n', '"a, b"', "", "x, y"])
def test_what_is_no_array_is_one_chunk(folder: Path, text: str) -> None:
    path = folder / f"e{next(NUMBERS)}"
    path.write_text(text)
    (fault,) = [one.fault() for one in chunks(path, 1, 1)]
    assert fault.startswith("Expecting a JSON array")


def test_an_element_that_does_not_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_arrays, "LONGEST", 50)
    path = folder / f"f{next(NUMBERS)}"
    path.write_text(json.dumps([1, 2, "x" * 100, 3]))
    with pytest.raises(ValueError, match="longer than 50 bytes"):
        list(chunks(path, 4, 4))
