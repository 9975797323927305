"""JSON as producers write it: lines, arrays, and what is neither."""

from __future__ import annotations

import json
from decimal import Decimal as D
from pathlib import Path

import pyarrow as pa
import pytest
from judging import judged

from lake_pipeline.contracts import (
    Column,
    Decimal,
    Integer,
    String,
)
from lake_pipeline.datasets.config import Jsonl, Parquet
from lake_pipeline.engines.duckdb import DuckDB

JSONL, PARQUET = Jsonl(type="jsonl"), Parquet(type="parquet")
AB = (Column("a", Integer()), Column("b", String()))


MALFORMED = ["{", '{"a": 1', "{a: 1}", "[1]", "1", '"x"', "null", "true", "{'a': 1}", '{"a": 1}{"a": 2}', "x"]


def test_lines_that_are_no_json_objects(duckdb: DuckDB, tmp_path: Path) -> None:
    lines = ['{"a": 1, "b": "x"}', *MALFORMED, '{"a": 2}']
    seen = judged(duckdb, tmp_path, JSONL, AB, "\n".join(lines))
    assert sorted(seen.good) == [1, len(lines)]
    assert sorted(seen.rejects) == list(range(2, len(lines)))
    for reject in seen.rejects.values():
        (reason,) = reject["reasons"]
        assert reason == {
            "code": "MALFORMED_ROW",
            "column": "",
            "value": None,
            "message": "The record is not a JSON object.",
        }
        assert reject["original"] is None


def test_json_values_as_texts(duckdb: DuckDB, tmp_path: Path) -> None:
    """Numbers keep their digits; a nested value in a text column is its JSON."""
    texts = {
        "12": 12, "-0": 0, "1e3": 1000, "517.0": 517, "9223372036854775807": 2**63 - 1, "9223372036854775808": None,
        "1.5": None, "true": None, '"12"': 12, '""': None, "[]": None, "{}": None,
    }  # fmt: skip
    lines = [f'{{"a": {text}}}' for text in texts]
    seen = judged(duckdb, tmp_path, JSONL, (Column("a", Integer()),), "\n".join(lines))
    assert {t: seen.good[n]["a"] if n in seen.good else None for n, t in enumerate(texts, 1)} == texts


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.10", D("0.10")),
        ("12345678901234567890123456789012345.67", D("12345678901234567890123456789012345.67")),
        ("99999999999999999999", D(99999999999999999999)),
        ('"0.10"', D("0.10")),
        ("1.005", D("1.01")),
        ("-0.12345678901234567890123", D("-0.12")),
        ("1234567890123456.785", D("1234567890123456.79")),
        ("-2.5", D("-2.50")),
    ],
)
def test_json_numbers_lose_no_digit(duckdb: DuckDB, tmp_path: Path, text: str, value: D) -> None:
    seen = judged(duckdb, tmp_path, JSONL, (Column("a", Decimal(38, 2)),), f'{{"a": {text}}}\n')
    assert seen.good[1]["a"] == value


def test_json_keys(duckdb: DuckDB, tmp_path: Path) -> None:
    lines = [
        '{"b": "x", "a": 1, "unknown": {"deep": [1, 2]}}',
        '{"a": null}',
        "{}",
        '  {"a": 5}  ',
        '{"a": 6, "b": "\\u00e9\\n\\"\\\\ \\ud83d\\udee9"}',
        '{"A": 7}',
    ]
    columns = (*AB,)
    seen = judged(
        duckdb, tmp_path, JSONL, columns, "\r\n".join(lines), names=("a", "b", "unknown"), extra=("unknown",)
    )
    assert [(seen.good[n]["a"], seen.good[n]["b"]) for n in range(1, 7)] == [
        (1, "x"), (None, None), (None, None), (5, None), (6, 'é\n"\\ 🛩'), (None, None),
    ]  # fmt: skip
    assert json.loads(seen.good[1]["unknown"]) == {"deep": [1, 2]}
    assert duckdb.json_structure([tmp_path / "file"])[0].keys() == {"a", "b", "unknown", "A"}


def test_json_structure_of_several_files(duckdb: DuckDB, tmp_path: Path) -> None:
    one, two, none = tmp_path / "1", tmp_path / "2's", tmp_path / "3"
    one.write_text('{"a": 1, "o": {"x": [1]}}\nbad\n[]\n{"b": "t"}\n')
    two.write_text('{"c.d": null}\n')
    none.write_text("bad\n")
    found = duckdb.json_structure([one, two, none])
    assert [sorted(f) for f in found] == [["a", "b", "o"], ["c.d"], []]


def test_nulls_of_json_and_parquet(duckdb: DuckDB, tmp_path: Path) -> None:
    form = Jsonl(type="jsonl", nulls=("N/A", ""))
    seen = judged(duckdb, tmp_path / "1", form, AB, '{"a": "N/A", "b": ""}\n{"a": 1, "b": "n/a"}\n')
    assert [(seen.good[n]["a"], seen.good[n]["b"]) for n in (1, 2)] == [(None, None), (1, "n/a")]
    table = pa.table({"a": pa.array([1, 2]), "b": ["it's", "x"]})
    seen = judged(duckdb, tmp_path / "2", Parquet(type="parquet", nulls=("it's",)), AB, table)
    assert [(seen.good[n]["a"], seen.good[n]["b"]) for n in (1, 2)] == [(1, None), (2, "x")]


@pytest.mark.parametrize(
    "document",
    [
        '[{"a": 1, "b": "x\\ny"}, {"a": 2}]',
        '\n [\n  {"a":\n 1,\n "b": "x\\ny"},\n{"a": 2}\n]\n ',
        '[{"a":1,"b":"x\\ny"},{"a":2}]',
    ],
)
def test_a_json_array_becomes_lines(duckdb: DuckDB, tmp_path: Path, document: str) -> None:
    source, target = tmp_path / "in's", tmp_path / "out's"
    source.write_text(document)
    assert duckdb.json_array_to_lines(source, target) == 2
    lines = target.read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"a": 1, "b": "x\ny"}, {"a": 2}]


def test_a_json_array_keeps_its_values(duckdb: DuckDB, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    text = '{"n":12345678901234567890.12,"q":"\\"\\\\,\\u00e9\\u0001é","d":1.10,"e":1e3}'
    source.write_text(f"[{text}]")
    duckdb.json_array_to_lines(source, target)
    assert json.loads(target.read_text(), parse_float=str) == json.loads(text, parse_float=str)


@pytest.mark.parametrize(
    "document",
    [
        "[",
        '[{"a": 1}',
        '[{"a": 1},]',
        '{"a": 1}',
        "1",
        "x",
        '[{"a": 1}] x',
        '[{"a": 1}][{"a": 2}]',
        '[{"a": 1} {"a": 2}]',
    ],
)
def test_what_is_no_json_array_of_objects(duckdb: DuckDB, tmp_path: Path, document: str) -> None:
    source = tmp_path / "in"
    source.write_text(document)
    with pytest.raises(ValueError, match=r"\w"):
        duckdb.json_array_to_lines(source, tmp_path / "out")


def test_what_is_no_object_in_a_json_array_is_a_line_of_its_own(duckdb: DuckDB, tmp_path: Path) -> None:
    (tmp_path / "in").write_text('[{"a": 1}, 2, "x", [\n3], null]')
    duckdb.json_array_to_lines(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out").read_text().splitlines() == ['{"a": 1}', "2", '"x"', "[ 3]", "null"]


def test_an_empty_json_array(duckdb: DuckDB, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("[]")
    assert duckdb.json_array_to_lines(tmp_path / "in", tmp_path / "out") == 0
