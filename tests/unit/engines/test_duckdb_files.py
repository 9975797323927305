"""DuckDB's readers on real files: shared scans, structural faults, JSON and Parquet as producers write them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Judged, judged, judged_part

from lake_pipeline.contracts import (
    Array,
    Boolean,
    Column,
    Date,
    Decimal,
    Integer,
    Number,
    Object,
    String,
    Timestamp,
)
from lake_pipeline.datasets.config import Csv, Format, Jsonl, Parquet
from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.engines.parts import Part, PartFile
from lake_pipeline.engines.rows import RowRules

JSONL, PARQUET = Jsonl(type="jsonl"), Parquet(type="parquet")
AB = (Column("a", Integer()), Column("b", String()))


@pytest.fixture(scope="module")
def duckdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    """One engine."""
    engine = DuckDB(tmp_path_factory.mktemp("duckdb"), threads=2)
    yield engine
    engine.close()


def scan(
    duckdb: DuckDB, tmp_path: Path, form: Format, texts: list[str], columns: tuple[Column, ...] = AB, **more: Any
) -> Judged:
    """Several files in one scan; sources are s0, s1 …, partitions p0, p1 …"""
    files = []
    for n, text in enumerate(texts):
        path = tmp_path / f"in {n}'s"
        path.write_bytes(text.encode())
        files.append(PartFile(path, f"s{n}", f"p{n}", isinstance(form, Csv) and form.header))
    raw = ibis.schema(dict.fromkeys((c.name for c in columns), "string"))
    return judged_part(duckdb, Part(tuple(files), form, raw), RowRules(columns, **more), tmp_path / "out")


def rows_of(seen: Judged) -> list[tuple[Any, ...]]:
    """(source, record, a) of all good rows, in order, read again from the files."""
    rows = [r for f in seen.result.good for r in pq.ParquetFile(f.path).read().to_pylist()]
    return sorted((r["_source"], r["_record"], r["a"]) for r in rows)


def test_files_that_share_a_scan_are_numbered_each_from_one(duckdb: DuckDB, tmp_path: Path) -> None:
    texts = ["a,b\n1,x\n2,x\n", "a,b\n3,x\n", "a,b\n", "a,b\n4,x\nbad,x\n6,x\n"]
    seen = scan(duckdb, tmp_path, Csv(), texts)
    assert rows_of(seen) == [("s0", 1, 1), ("s0", 2, 2), ("s1", 1, 3), ("s3", 1, 4), ("s3", 3, 6)]
    assert seen.result.counts == {"s0": (2, 0), "s1": (1, 0), "s3": (2, 1)}
    assert [(f.partition, f.rows) for f in seen.result.good] == [("p0", 2), ("p1", 1), ("p3", 2)]
    (reject,) = seen.rejects.values()
    assert (reject["_source"], reject["_partition"], reject["_record"]) == ("s3", "p3", 2)


def test_json_files_that_share_a_scan_are_numbered_by_their_lines(duckdb: DuckDB, tmp_path: Path) -> None:
    texts = ['\n\n{"a": 1}\n\n{"a": 2}\n', '{"a": 3}\n{"a": "x"}\n', "\n[]\n"]
    seen = scan(duckdb, tmp_path, JSONL, texts)
    assert rows_of(seen) == [("s0", 3, 1), ("s0", 5, 2), ("s1", 1, 3)]
    found = {r["_source"]: (n, r["reasons"][0]["code"]) for n, r in seen.rejects.items()}
    assert found == {"s1": (2, "CAST_FAILED"), "s2": (2, "MALFORMED_ROW")}


def test_only_the_broken_files_of_a_scan_are_named(duckdb: DuckDB, tmp_path: Path) -> None:
    seen = scan(duckdb, tmp_path, Csv(), ["a,b\n1,x\n", "a,b\n1,x,y\n", "a,b\n1,x\n", "a,b\n1\n"])
    assert seen.result.broken == {"s1", "s3"}


BROKEN = {
    "too few": "1\n",
    "too many": "1,2,3\n",
    "an empty field too many": "1,2,\n",
    "a null text too many": "1,2,NA\n",
    "empty fields too many": "1,2,,,\n",
    "a quoted field too many": '1,2,""\n',
    "an unclosed quote": '1,"2\n3,4\n',
    "text after a quote": '1,"2"x\n',
    "mixed line breaks": "1,2\r\n3,4\n",
    "an unclosed quote at the end": '1,2\n3,"',
    "a lone CR": "1,2\r3,4\n",
}


@pytest.mark.parametrize("case", BROKEN)
def test_structural_faults_break_the_file(duckdb: DuckDB, tmp_path: Path, case: str) -> None:
    seen = scan(duckdb, tmp_path, Csv(nulls=("", "NA")), ["a,b\n" + BROKEN[case]])
    assert seen.result.broken == {"s0"}
    assert seen.result.error
    assert not seen.good


def test_what_is_not_broken(duckdb: DuckDB, tmp_path: Path) -> None:
    text = 'a,b\r\n1,"x\r\ny"\r\n\r\n"2",""\r\n3,#no comment\r\n4,back\\slash\r\n5,"q""q"'
    seen = scan(duckdb, tmp_path, Csv(nulls=()), [text])
    assert {n: r["b"] for n, r in seen.good.items()} == {
        **{1: "x\r\ny", 2: "", 3: "#no comment", 4: "back\\slash", 5: 'q"q'},
    }


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (Csv(delimiter=";", quote="'"), "a;b\n1;'x;''\"y'\n"),
        (Csv(type="tsv"), 'a\tb\n1\t"x;\'""y"\n'),
        (Csv(delimiter="|", quote=""), "a|b\n1|x;'\"y\n"),
        (Csv(delimiter="\x01"), 'a\x01b\n1\x01"x;\'""y"\n'),
        (Csv(delimiter="'"), 'a\'b\n1\'"x;\'""y"\n'),
    ],
)
def test_options(duckdb: DuckDB, tmp_path: Path, form: Csv, text: str) -> None:
    seen = scan(duckdb, tmp_path, form, [text])
    assert not seen.result.broken, seen.result.error
    assert seen.good[1]["b"] == "x;'\"y"


def test_a_ten_megabyte_field(duckdb: DuckDB, tmp_path: Path) -> None:
    big = "x" * 10_000_000
    seen = scan(duckdb, tmp_path, Csv(), [f"a,b\n1,{big}\n2,y\n"])
    assert seen.result.broken == {"s0"}, "above the reader's line limit; the careful path knows the longest"
    path = tmp_path / "repaired"
    path.write_text(f"1,{big}\n2,y\n")
    raw = ibis.schema({"a": "string", "b": "string"})
    part = Part((PartFile(path, "s", "p"),), Csv(), raw, longest=len(big) + 3)
    found = judged_part(duckdb, part, RowRules(AB), tmp_path / "again")
    assert [len(found.good[n]["b"]) for n in (1, 2)] == [10_000_000, 1]
    lines = scan(duckdb, tmp_path / "..", JSONL, [json.dumps({"a": 1, "b": big}) + "\n"])
    assert len(lines.good[1]["b"]) == 10_000_000


NAMES = ("filename", "line", "_x y", "a.b", "it's", 'q"q', "SELECT", "$.a", "ünï", "c0", "{x}", "%s", "path", "raw")


@pytest.mark.parametrize("form", [Csv(), JSONL, PARQUET], ids=lambda f: f.type)
def test_names_of_columns(duckdb: DuckDB, tmp_path: Path, form: Format) -> None:
    names = [n for n in NAMES if not n.startswith("_")]
    values = {name: f"value of {name}" for name in names}
    columns = (*(Column(n, String()) for n in names), Column("n", Integer()))
    content: Any = json.dumps({**values, "n": " 1"}) + "\n" + json.dumps({**values, "n": "x"}) + "\n"
    if isinstance(form, Csv):
        import csv
        import io

        out = io.StringIO()
        csv.writer(out).writerows([[*names, "n"], [*values.values(), " 1"], [*values.values(), "x"]])
        content = out.getvalue()
    if isinstance(form, Parquet):
        content = pa.Table.from_pylist([{**values, "n": " 1"}, {**values, "n": "x"}])
    seen = judged(duckdb, tmp_path, form, columns, content)
    assert {n: seen.good[1][n] for n in names} == values
    assert json.loads(seen.good[1]["_rescued"])["n"] == " 1"
    assert json.loads(seen.rejects[2]["original"]) == {**values, "n": "x"}


MALFORMED = ["{", '{"a": 1', "{a: 1}", "[1]", "1", '"x"', "null", "true", "{'a': 1}", '{"a": 1}{"a": 2}', "x", '{"a": NaN}']


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
        "12": 12, "-0": 0, "1e3": None, "517.0": 517, "9223372036854775807": 2**63 - 1, "9223372036854775808": None,
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
        ("99999999999999999999", D("99999999999999999999")),
        ('"0.10"', D("0.10")),
        ("1.005", D("1.01")),
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
    seen = judged(duckdb, tmp_path, JSONL, columns, "\r\n".join(lines), names=("a", "b", "unknown"), extra=("unknown",))
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
    ['[{"a": 1, "b": "x\\ny"}, {"a": 2}]', '\n [\n  {"a":\n 1,\n "b": "x\\ny"},\n{"a": 2}\n]\n ', '[{"a":1,"b":"x\\ny"},{"a":2}]'],
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
    "document", ["[", '[{"a": 1}', '[{"a": 1},]', '{"a": 1}', "1", "x", "", '[{"a": 1}] x', '[{"a": 1}][{"a": 2}]', '[{"a": 1}, 2]', "[1, 2]", '[{"a": 1} {"a": 2}]']
)
def test_what_is_no_json_array_of_objects(duckdb: DuckDB, tmp_path: Path, document: str) -> None:
    source = tmp_path / "in"
    source.write_text(document)
    with pytest.raises(ValueError, match="."):
        duckdb.json_array_to_lines(source, tmp_path / "out")


def test_an_empty_json_array(duckdb: DuckDB, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("[]")
    assert duckdb.json_array_to_lines(tmp_path / "in", tmp_path / "out") == 0


def parquet_rows(duckdb: DuckDB, tmp_path: Path, type_: Any, values: pa.Array, **column: Any) -> list[Any]:
    """What each value of a Parquet column becomes: a value, or its reason code."""
    seen = judged(duckdb, tmp_path, PARQUET, (Column("v", type_, **column),), pa.table({"v": values}))
    assert not seen.result.broken, seen.result.error
    return [
        seen.good[n]["v"] if n in seen.good else seen.rejects[n]["reasons"][0]["code"] for n in range(1, len(values) + 1)
    ]


NOON = datetime(2026, 2, 25, 12, tzinfo=UTC)
NAIVE = datetime(2026, 2, 25, 12)
TYPED: list[tuple[str, Any, pa.Array, list[Any]]] = [
    ("int32 as integer", Integer(), pa.array([1, None], pa.int32()), [1, None]),
    ("uint64 as integer", Integer(), pa.array([1, 2**63], pa.uint64()), [1, "CAST_FAILED"]),
    ("double as integer", Integer(), pa.array([517.0, 1.5, float("nan")]), [517, "CAST_FAILED", "CAST_FAILED"]),
    ("text as integer", Integer(), pa.array(["1", " 2", "x"]), [1, 2, "CAST_FAILED"]),
    ("boolean as integer", Integer(), pa.array([True]), ["CAST_FAILED"]),
    ("int as number", Number(), pa.array([1, -2]), [1.0, -2.0]),
    ("float as number", Number(), pa.array([0.5, float("inf"), float("nan")], pa.float32()), [0.5, "CAST_FAILED", "CAST_FAILED"]),
    ("decimal as number", Number(), pa.array([D("1.25")]), [1.25]),
    ("narrow decimal as decimal", Decimal(10, 2), pa.array([D("1.5"), None], pa.decimal128(4, 1)), [D("1.50"), None]),
    ("wide decimal as decimal", Decimal(4, 1), pa.array([D("1.25"), D("12345.00")], pa.decimal128(10, 2)), [D("1.3"), "CAST_FAILED"]),
    ("double as decimal", Decimal(5, 2), pa.array([1.1, 0.125, 1e9]), [D("1.10"), D("0.13"), "CAST_FAILED"]),
    ("int as decimal", Decimal(5, 2), pa.array([1, 1000]), [D(1), "CAST_FAILED"]),
    ("int as boolean", Boolean(), pa.array([1, 0, 2]), [True, False, "CAST_FAILED"]),
    ("date as date", Date(), pa.array([date(2026, 2, 25)]), [date(2026, 2, 25)]),
    ("timestamp as date", Date(), pa.array([datetime(2026, 2, 25), NAIVE]), [date(2026, 2, 25), "CAST_FAILED"]),
    ("text as date", Date(), pa.array(["2026-02-25", "2026-02-30"]), [date(2026, 2, 25), "CAST_FAILED"]),
    ("local timestamp", Timestamp(), pa.array([NAIVE], pa.timestamp("ms")), [NOON]),
    ("nanoseconds", Timestamp(), pa.array([NAIVE], pa.timestamp("ns")), [NOON]),
    ("instant", Timestamp(timezone="America/New_York"), pa.array([NOON], pa.timestamp("us", "UTC")), [NOON]),
    ("local of a zone", Timestamp(timezone="America/New_York"), pa.array([datetime(2026, 2, 25, 7)]), [NOON]),
    ("date as timestamp", Timestamp(), pa.array([date(2026, 2, 25)]), [datetime(2026, 2, 25, tzinfo=UTC)]),
    ("int as string", String(), pa.array([1]), ["1"]),
    ("all null", Integer(), pa.nulls(2), [None, None]),
    ("binary as string", String(), pa.array([b"abc"]), ["abc"]),
    ("list", Array(Integer()), pa.array([[1, None], [], None]), [[1, None], [], None]),
    ("list of text", Array(Integer()), pa.array([["1"], ["x"]]), [[1], "CAST_FAILED"]),
    ("int as array", Array(Integer()), pa.array([1]), ["CAST_FAILED"]),
    ("JSON text as array", Array(Integer()), pa.array(["[1]", "x"]), [[1], "CAST_FAILED"]),
    ("struct", Object((Column("x", Integer()), Column("y", String()))),
     pa.array([{"x": 1, "z": True}, {"x": None, "z": None}, None]), [{"x": 1, "y": None}, {"x": None, "y": None}, None]),
    ("struct of texts", Object((Column("x", Integer()),)), pa.array([{"x": "1"}, {"x": "a"}]), [{"x": 1}, "CAST_FAILED"]),
    ("struct as text", String(), pa.array([{"x": 1}]), ['{"x":1}']),
    ("list of structs", Array(Object((Column("p", Decimal(5, 2)),))), pa.array([[{"p": D("1.50")}], [{"p": D("9999.00")}]]),
     [[{"p": D("1.50")}], "CAST_FAILED"]),
    ("dictionary", String(), pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "values", "expected"), [t[1:] for t in TYPED], ids=[t[0] for t in TYPED])
def test_parquet_types(duckdb: DuckDB, tmp_path: Path, type_: Any, values: pa.Array, expected: list[Any]) -> None:
    assert parquet_rows(duckdb, tmp_path, type_, values) == expected


def test_rejects_of_typed_columns_keep_every_value(duckdb: DuckDB, tmp_path: Path) -> None:
    """A rejected row is judged again from its original values: they must survive the way there."""
    values = {
        "d": pa.array([D("1234567890123456789012345678901234.5678")]),
        "t": pa.array([NAIVE], pa.timestamp("us")),
        "z": pa.array([NOON], pa.timestamp("us", "UTC")),
        "f": pa.array([float("nan")]),
        "n": pa.array([2**63], pa.uint64()),
        "l": pa.array([[{"x": "é\n\""}]]),
        "k": pa.array(["bad"]),
    }
    columns = (
        Column("d", Decimal(38, 4), maximum=D(1)),
        Column("t", Timestamp(timezone="America/New_York"), maximum=datetime(2020, 1, 1, tzinfo=UTC)),
        Column("z", Timestamp(), maximum=datetime(2020, 1, 1, tzinfo=UTC)),
        Column("f", Number()),
        Column("n", Integer()),
        Column("l", Array(Object((Column("x", Integer()),)))),
        Column("k", Integer()),
    )
    seen = judged(duckdb, tmp_path, PARQUET, columns, pa.table(values))
    assert seen.reasons(1) == [
        ("OUT_OF_RANGE", "d"), ("OUT_OF_RANGE", "t"), ("OUT_OF_RANGE", "z"),
        ("CAST_FAILED", "f"), ("CAST_FAILED", "n"), ("CAST_FAILED", "l"), ("CAST_FAILED", "k"),
    ]  # fmt: skip
    said = {r["column"]: r["value"] for r in seen.rejects[1]["reasons"]}
    assert said["d"] == "1234567890123456789012345678901234.5678"
    assert said["n"] == str(2**63)
    assert said["k"] == "bad"
    assert json.loads(said["l"]) == [{"x": 'é\n"'}]


@pytest.mark.parametrize("at", ["footer", "page", "cut", "none"])
def test_damaged_parquet(duckdb: DuckDB, tmp_path: Path, at: str) -> None:
    path = tmp_path / "x.parquet"
    pick = random.Random(1)
    pq.write_table(pa.table({"a": list(range(5000)), "b": [str(pick.random()) for _ in range(5000)]}), path)
    data = bytearray(path.read_bytes())
    damage = {"footer": slice(-20, -8), "page": slice(40, 2000), "cut": slice(0, 0), "none": slice(0, 0)}[at]
    data[damage] = bytes(len(data[damage]))
    path.write_bytes(data[: len(data) // 2] if at == "cut" else data)
    raw = ibis.schema({"a": "int64", "b": "string"})
    part = Part((PartFile(path, "s", "p"),), PARQUET, raw)
    seen = judged_part(duckdb, part, RowRules(AB), tmp_path / "out")
    if at == "none":
        assert len(seen.good) == 5000
        return
    assert seen.result.broken == {"s"}
    assert seen.result.error


def test_an_engine_is_used_again_and_again(duckdb: DuckDB, tmp_path: Path) -> None:
    for n in range(20):
        seen = scan(duckdb, tmp_path / "..", Csv(), ["a,b\n1,x\n", "a,b\nx,y\n"])
        assert (len(seen.good), len(seen.rejects)) == (1, 1), n
        import shutil

        shutil.rmtree(tmp_path / ".." / "out")
