"""What reads landed text on Spark's executors gives the records that DuckDB's readers give, for any text."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake_pipeline.datasets.config import Csv, Format, Jsonl
from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.engines.duckdb_scans import broken_sources, raw_sql
from lake_pipeline.engines.parts import Part, PartFile
from lake_pipeline.engines.spark_scans import Reader, arrow_schema
from lake_pipeline.engines.spark_writes import BROKEN
from lake_pipeline.formats.json_texts import PlainJson

NUMBERS = itertools.count()
FEW = settings(max_examples=150)


@pytest.fixture(scope="module")
def duckdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    engine = DuckDB(tmp_path_factory.mktemp("readers"), threads=1)
    yield engine
    engine.close()


Records = list[tuple[Any, ...]] | str


def by_duckdb(engine: DuckDB, part: Part) -> Records:
    """The raw records, or that they cannot be told apart."""
    import duckdb as module

    number = next(NUMBERS)
    columns = ", ".join(f'"{n}"' for n in part.columns.names)
    with engine.cursor() as cursor:
        try:
            rows = cursor.execute(
                f"SELECT {columns}, _record, _sound FROM ({raw_sql(cursor, part, number)}) ORDER BY _record"
            ).fetchall()
        except (module.InvalidInputException, module.ConversionException):
            return "broken"
        return "broken" if broken_sources(cursor, part, number) else rows


def by_tasks(part: Part) -> Records:
    """The same, as a task on Spark does it."""
    reader = Reader(part.format, tuple(part.columns.names), arrow_schema(part.columns), part.longest)
    found = [row for batch in reader.rows(part.files[0]) for row in batch.to_pylist()]
    names = (*part.columns.names, "_record", "_sound")
    rows = [tuple(row[n] for n in names) for row in found]
    return "broken" if any(row["_record"] == BROKEN for row in found) else rows


def both(engine: DuckDB, form: Format, names: tuple[str, ...], text: str) -> tuple[Records, Records]:
    path = engine.folder / f"text-{next(NUMBERS)}"
    path.write_bytes(text.encode())
    part = Part((PartFile(path, "s", "p"),), form, ibis.schema(dict.fromkeys(names, "string")))
    try:
        return by_duckdb(engine, part), by_tasks(part)
    finally:
        path.unlink()


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
NUMBER = st.one_of(
    st.integers(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(
        [0, -0.0, 1e16, 1e21, 1e22, 1e-5, 1e-7, 123456789.123456789, 10**20, 2**63, -(2**63) - 1]
    ),
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["b", "c", ""]), inner, max_size=3)
    ),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "A"]), VALUES, max_size=3)
WRITTEN = [
    "1.50",
    "-0",
    "1E5",
    "0.1e1",
    "1e999",
    "-1e999",
    "NaN",
    "nan",
    "-inf",
    "Infinity",
    "1e-400",
    "12345678901234567.10",
]
WRITTEN += [
    "-1.234567890123e-10",
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\u0041"',
    "01",
    ".5",
    "1.",
    "+1",
    "tru",
    "[1,]",
    "[,]",
    "{,}",
]
WRITTEN += [
    '{"x":1,"x":2}',
    '{"x":[1 , NaN ,],}',
    "[[]]",
    "[null]",
    "{}",
    '{"k\\"":-0}',
    "[-0]",
    "[1E2, 1e-6, 1e20]",
    "--1",
    "-nan",
]


@st.composite
def json_line(draw: st.DrawFn) -> str:
    """An object as tools write it, one with texts that few tools write, or one that is broken somewhere."""
    kind = draw(st.integers(0, 3))
    if kind == 0:
        fields = draw(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(WRITTEN)), max_size=3))
        end = draw(st.sampled_from(["", "", ",", " , "]))
        return "{" + ", ".join(f'"{k}": {v}' for k, v in fields) + end + "}"
    text = json.dumps(draw(OBJECTS), ensure_ascii=draw(st.booleans()))
    if kind == 1 and text:
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(st.sampled_from(["", ",", "]", "}", '"', " ", "\t", "1"])) + text[at + 1 :]
    return text.replace("\n", " ").replace("\r", " ")


@FEW
@given(lines=st.lists(json_line(), min_size=1, max_size=8))
def test_json_lines(duckdb: DuckDB, lines: list[str]) -> None:
    mine, theirs = both(duckdb, Jsonl(type="jsonl"), ("a", "b"), "\n".join(lines) + "\n")
    assert theirs == mine


def kinds(structure: Any) -> Any:
    """A structure without the types of scalars, which nobody asks for."""
    if isinstance(structure, dict) and structure:
        return {k: kinds(v) for k, v in structure.items()}
    return [kinds(structure[0])] if isinstance(structure, list) else "JSON"


@FEW
@given(lines=st.lists(json_line(), min_size=1, max_size=8))
def test_json_structure(duckdb: DuckDB, lines: list[str]) -> None:
    path = duckdb.folder / f"structure-{next(NUMBERS)}"
    path.write_bytes(("\n".join(lines) + "\n").encode())
    mine, theirs = (e.json_structure([path])[0] for e in (duckdb, PlainJson()))
    assert [(k, kinds(v)) for k, v in theirs.items()] == [(k, kinds(v)) for k, v in mine.items()]
    path.unlink()


def lines_of(engine: Any, path: Path) -> bytes | str:
    target = path.with_name(path.name + ".lines")
    try:
        count = engine.json_array_to_lines(path, target)
    except ValueError:
        return "refused"
    text = target.read_bytes()
    assert text.count(b"\n") == count
    return text


@FEW
@given(
    elements=st.lists(json_line() | st.sampled_from(["1", "nan", "null", '"x"', "[1,]", ""]), max_size=4),
    comma=st.sampled_from([",", ", ", ",\n", ",\r\n  ", " "]),
    ends=st.sampled_from(["[]", "[]", "[]", "[", "]", "{}"]),
)
def test_json_arrays(duckdb: DuckDB, elements: list[str], comma: str, ends: str) -> None:
    path = duckdb.folder / f"array-{next(NUMBERS)}"
    path.write_bytes((ends[:1] + comma.join(elements) + ends[1:]).encode())
    assert lines_of(PlainJson(), path) == lines_of(duckdb, path)
    path.unlink()


FIELDS = st.text(st.sampled_from('ab",;\n é\t'), max_size=5)
DELIMITED = [Csv(), Csv(delimiter=";", nulls=("", "a")), Csv(quote="", nulls=()), Csv(type="tsv", quote="'")]


@FEW
@given(
    form=st.sampled_from(DELIMITED), rows=st.lists(st.tuples(FIELDS, FIELDS, FIELDS), min_size=1, max_size=6)
)
def test_delimited_text(duckdb: DuckDB, form: Csv, rows: list[tuple[str, ...]]) -> None:
    if form.quote:
        out = io.StringIO(newline="")
        csv.writer(out, delimiter=form.separator, quotechar=form.quote, lineterminator="\n").writerows(rows)
        text = out.getvalue()
    else:
        text = "".join(
            form.separator.join(f.replace(form.separator, "").replace("\n", "") for f in r) + "\n"
            for r in rows
        )
    mine, theirs = both(duckdb, form, ("x", "y", "z"), text)
    assert theirs == mine


def test_arrow_and_duckdb_agree_on_blocks(duckdb: DuckDB) -> None:
    """Records across the blocks in which Arrow reads, some of them long and with line breaks in them."""
    rows = [[str(n), "x\ny" * (n % 50) * 400, "é"] for n in range(400)]
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    mine, theirs = both(duckdb, Csv(), ("x", "y", "z"), out.getvalue())
    assert len(out.getvalue()) > 4 * 1024 * 1024
    assert theirs == mine
    assert len(theirs) == len(rows)
    assert pa.array([r[1] for r in rows]).null_count == 0
