"""DuckDB's readers on real files: shared scans, structural faults, JSON and Parquet as producers write them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from judging import Judged, judged, judged_part

from lake_pipeline.contracts import (
    Column,
    Integer,
    Number,
    String,
)
from lake_pipeline.datasets.config import Csv, Format, Jsonl, Parquet
from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.engines.duckdb_dialect import DuckDBDialect, sql_of
from lake_pipeline.engines.duckdb_scans import raw_schema
from lake_pipeline.engines.parts import Part, PartFile
from lake_pipeline.engines.rows import RowRules, validated

JSONL, PARQUET = Jsonl(type="jsonl"), Parquet(type="parquet")
AB = (Column("a", Integer()), Column("b", String()))


def scan(
    duckdb: DuckDB,
    tmp_path: Path,
    form: Format,
    texts: list[str],
    columns: tuple[Column, ...] = AB,
    **more: Any,
) -> Judged:
    """Several files in one scan; sources are s0, s1 and so on, partitions p0, p1 and so on."""
    files = []
    for n, text in enumerate(texts):
        path = tmp_path / f"in {n}'s"
        path.write_bytes(text.encode())
        files.append(PartFile(path, f"s{n}", f"p{n}", isinstance(form, Csv) and form.header))
    raw = ibis.schema(dict.fromkeys((c.name for c in columns), "string"))
    return judged_part(duckdb, Part(tuple(files), form, raw), RowRules(columns, **more))


def rows_of(seen: Judged) -> list[tuple[Any, ...]]:
    """(source, record, a) of all good rows, in order, read again from the files."""
    rows = [r for f in seen.result.good for r in pq.ParquetFile(f.path).read().to_pylist()]
    return sorted((r["_source"], r["_record"], r["a"]) for r in rows)


def test_threads_leave_ibis_its_options() -> None:
    raw = ibis.table(raw_schema(ibis.schema({"a": "string"})), name="raw")
    expression = validated(raw, RowRules((Column("a", Number()),)), DuckDBDialect())
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(sql_of, [expression] * 40))) == 1
    assert ibis.options.sql.fuse_selects


def test_what_one_select_computes_the_next_finds_computed() -> None:
    """DuckDB computes again what is named within a CASE, and Ibis would name it there."""
    raw = ibis.table(raw_schema(ibis.schema({"a": "string"})), name="raw")
    expression = validated(raw, RowRules((Column("a", Number()),)), DuckDBDialect())
    fused = str(ibis.to_sql(expression, dialect="duckdb"))
    nested = sql_of(expression)
    assert nested.count("REGEXP_MATCHES") == 2, "of the text, and of the text without the space around it"
    assert fused.count("REGEXP_MATCHES") > 2, "Ibis has no need of being told any more"
    assert str(ibis.to_sql(expression, dialect="duckdb")) == fused, "others' SQL is not touched"


def test_files_that_share_a_scan_are_numbered_each_from_one(duckdb: DuckDB, tmp_path: Path) -> None:
    texts = ["a,b\n1,x\n2,x\n", "a,b\n3,x\n", "a,b\n", "a,b\n4,x\nbad,x\n6,x\n"]
    seen = scan(duckdb, tmp_path, Csv(), texts)
    assert rows_of(seen) == [("s0", 1, 1), ("s0", 2, 2), ("s1", 1, 3), ("s3", 1, 4), ("s3", 3, 6)]
    assert seen.result.counts == {"s0": (2, 0), "s1": (1, 0), "s3": (2, 1)}
    assert [(f.partition, f.rows) for f in seen.result.good] == [("p0", 2), ("p1", 1), ("p3", 2)]
    (reject,) = seen.rejects.values()
    assert (reject["_source"], reject["_partition"], reject["_record"]) == ("s3", "p3", 2)


def test_json_files_that_share_a_scan_are_numbered_by_their_lines(duckdb: DuckDB, tmp_path: Path) -> None:
    texts = ['\n\n{"a": 1}\n\n{"a": 2}\n', '{"a": 3}\n{"a": "x"}\n', "\n\n[]\n"]
    seen = scan(duckdb, tmp_path, JSONL, texts)
    assert rows_of(seen) == [("s0", 3, 1), ("s0", 5, 2), ("s1", 1, 3)]
    found = {r["_source"]: (n, r["reasons"][0]["code"]) for n, r in seen.rejects.items()}
    assert found == {"s1": (2, "CAST_FAILED"), "s2": (3, "MALFORMED_ROW")}


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
    found = judged_part(duckdb, part, RowRules(AB))
    assert [len(found.good[n]["b"]) for n in (1, 2)] == [10_000_000, 1]
    lines = scan(duckdb, tmp_path / "..", JSONL, [json.dumps({"a": 1, "b": big}) + "\n"])
    assert len(lines.good[1]["b"]) == 10_000_000


NAMES = (
    "filename",
    "line",
    "_x y",
    "a.b",
    "it's",
    'q"q',
    "SELECT",
    "$.a",
    "ünï",
    "c0",
    "{x}",
    "%s",
    "path",
    "raw",
)


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


def test_an_engine_is_used_again_and_again(duckdb: DuckDB, tmp_path: Path) -> None:
    for n in range(20):
        seen = scan(duckdb, tmp_path / "..", Csv(), ["a,b\n1,x\n", "a,b\nx,y\n"])
        assert (len(seen.good), len(seen.rejects)) == (1, 1), n
