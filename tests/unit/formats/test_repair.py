"""The careful CSV path: every fault costs its own record and no other; the rest is what an engine reads."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judging import judged_part

from lake_pipeline.contracts import Column, String
from lake_pipeline.datasets.config import Csv
from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.engines.parts import Part, PartFile
from lake_pipeline.engines.rows import RowRules
from lake_pipeline.formats.delimited import MAX_LINES_PER_RECORD, Repaired, raw_lines, raw_records, repair
from lake_pipeline.formats.packs import Text, on_disk
from lake_pipeline.formats.spool import spool

THREE = ("a", "b", "c")


def repaired(tmp_path: Path, text: str, form: Csv | None = None, width: int = 3) -> Repaired:
    """The text, spooled as a landed file is, and repaired."""
    form = form or Csv(header=False)
    parts = spool([memoryview(text.encode())], "x.csv", form, tmp_path / "spooled").parts
    return repair(parts, form, width, tmp_path / "repaired")


def sound_rows(result: Repaired, quote: str = '"') -> list[list[str]]:
    """The repaired file's records by the csv module."""
    with result.path.open(encoding="utf-8", newline="") as f:
        return list(csv.reader(f, quotechar=quote or None, strict=True))


# text without a header, lines of the sound records, (line, raw, fault begins with)
CASES: dict[str, tuple[str, list[int], list[tuple[int, str, str]]]] = {
    "sound": ("1,2,3\n4,5,6\n", [1, 2], []),
    "no break at the end": ("1,2,3\n4,5,6", [1, 2], []),
    "too few fields": ("1,2,3\n4,5\n7,8,9\n", [1, 3], [(2, "4,5", "it has 2 fields, expected 3")]),
    "too many fields": ("1,2,3,4\n4,5,6\n", [2], [(1, "1,2,3,4", "it has 4 fields, expected 3")]),
    "blank lines are no records": ("\n1,2,3\n\n\r\n4,5,6\n\n", [2, 5], []),
    "spaces are a record": ("1,2,3\n  \n", [1], [(2, "  ", "it has 1 fields")]),
    "a quote is opened and not closed": (
        '1,"2,3\n4,5,6\n7,8,9\n',
        [2, 3],
        [(1, '1,"2,3', "a quote is opened")],
    ),
    "not closed on the last line": ('1,2,3\n4,"5,6', [1], [(2, '4,"5,6', "a quote is opened")]),
    "a quote closes in the wrong place": (
        '1,"2"x,3\n4,5,6\n',
        [2],
        [(1, '1,"2"x,3', "',' expected after '\"'")],
    ),
    "a stray quote and a later pair": (
        'a,"b,c\n1,2,3\n4,"5",6\n7,8,9\n',
        [2, 3, 4],
        [(1, 'a,"b,c', "a quote is opened")],
    ),
    "two stray quotes": (
        'a,"b,c\n1,2,3\nd,"e,f\n4,5,6\n',
        [2, 4],
        [(1, 'a,"b,c', "a quote is opened"), (3, 'd,"e,f', "a quote is opened")],
    ),
    "a record of several lines": ('1,"2\n\n2",3\n4,5,6\n', [1, 4], []),
    "a record of several lines beside a fault": (
        'x\n1,"two\nlines",3\n4,5\n6,"a ""quoted""\nword",8\n',
        [2, 5],
        [(1, "x", "it has 1 fields"), (4, "4,5", "it has 2 fields")],
    ),
    "quotes within a field": ('1,a "b" c,3\n4,5,6\nx\n', [1, 2], [(3, "x", "it has 1")]),
    "doubled quotes": ('1,"a ""b"" c",3\nx\n', [1], [(2, "x", "it has 1")]),
    "NUL bytes": ("1,2\0,3\n4,5,6\n", [2], [(1, "1,2\0,3", "it contains a NUL byte")]),
    "CRLF": ("1,2,3\r\n4,5\r\n7,8,9\r\n", [1, 3], [(2, "4,5", "it has 2 fields")]),
    "mixed line breaks": ("1,2,3\r\n4,5,6\n7,8\r\n9,9,9\n", [1, 2, 4], [(3, "7,8", "it has 2 fields")]),
    "a lone CR in a line": ("1,2\r,3\n4,5,6\n", [2], [(1, "1,2\r,3", "")]),
    "only lone CRs": ("1,2,3\r4,5\r7,8,9\r", [1, 3], [(2, "4,5", "it has 2 fields")]),
    "unicode line separators are text": ("1,a\u2028b,3\n4,\x85,\x0c6\nx\n", [1, 2], [(3, "x", "it has 1")]),
    "empty fields": (',,\n"","",""\nx\n', [1, 2], [(3, "x", "it has 1 fields")]),
}


@pytest.mark.parametrize("case", CASES)
def test_records(tmp_path: Path, case: str) -> None:
    text, sound, malformed = CASES[case]
    result = repaired(tmp_path, text)
    assert list(result.lines) == sound
    assert [(m.line, m.raw) for m in result.malformed] == [(line, raw) for line, raw, _ in malformed]
    for found, (_, _, fault) in zip(result.malformed, malformed, strict=True):
        assert found.fault.startswith(fault)
    assert len(sound_rows(result)) == len(sound)


def test_what_is_sound_is_kept_as_it_is(tmp_path: Path) -> None:
    result = repaired(tmp_path, 'bad\n1,"a ""b""\r\nc",3\r\né,🛩️,\u2028\n')
    assert sound_rows(result) == [["1", 'a "b"\r\nc', "3"], ["é", "🛩️", "\u2028"]]
    assert result.path.read_bytes().decode() == '"1","a ""b""\r\nc","3"\né,🛩️,\u2028\n'
    assert result.longest == len(b'"1","a ""b""\r\nc","3"\n')


@pytest.mark.parametrize(
    ("head", "first"), [("a,b,c\n", 2), ('a,"b\nb",c\r\n', 3), ("\n\na,b,c\n", 4), ('"a","b","c"\n', 2)]
)
def test_the_header_is_no_record(tmp_path: Path, head: str, first: int) -> None:
    result = repaired(tmp_path, head + "1,2,3\nx\n", Csv())
    assert tuple(result.lines) == (first,)
    assert [m.line for m in result.malformed] == [first + 1]


def test_a_header_that_never_closes_does_not_end_in_an_exception(tmp_path: Path) -> None:
    assert tuple(repaired(tmp_path, 'a,b,"c\n1,2,3\n', Csv()).lines) == (2,)


def test_formats_without_quotes(tmp_path: Path) -> None:
    result = repaired(tmp_path, '1|"2|3\n"|"|"\nx\n', Csv(header=False, delimiter="|", quote=""))
    assert (tuple(result.lines), [m.line for m in result.malformed]) == ((1, 2), [3])


def test_another_quote_and_delimiter(tmp_path: Path) -> None:
    form = Csv(header=False, delimiter=";", quote="'")
    result = repaired(tmp_path, "1;'a;\nb';3\n\"1;2;3\nx;'y;z\n", form)
    assert (tuple(result.lines), [m.line for m in result.malformed]) == ((1, 3), [4])


def test_a_long_record_is_taken_for_an_unbalanced_quote(tmp_path: Path) -> None:
    long = '1,"' + "x\n" * MAX_LINES_PER_RECORD + '",3\n'
    result = repaired(tmp_path, long + "4,5,6\n")
    assert list(result.lines) == [MAX_LINES_PER_RECORD + 2]
    fits = '1,"' + "x\n" * (MAX_LINES_PER_RECORD - 1) + '",3\n'
    assert list(repaired(tmp_path, fits + "bad\n4,5,6\n").lines) == [1, MAX_LINES_PER_RECORD + 2]


def test_a_field_of_ten_megabytes(tmp_path: Path) -> None:
    big = "x" * 10_000_000
    result = repaired(tmp_path, f'1,{big},3\nbad\n4,"{big}\n",6\n')
    assert (tuple(result.lines), result.longest) == ((1, 3), len(big) + 12)


def test_many_faults_are_found_in_linear_time(tmp_path: Path) -> None:
    """Each unbalanced quote looks ahead for its end; ten thousand of them must not take minutes."""
    result = repaired(tmp_path, '1,"2,3\n4,5,6\n' * 10_000)
    assert len(result.lines) + len(result.malformed) == 20_000


def read_by_duckdb(engine: DuckDB, paths: tuple[Text, ...], form: Csv, longest: int, out: Path) -> Any:
    """What the strict reader makes of text without a header: text columns, nothing to reject but structure."""
    columns = tuple(Column(name, String()) for name in THREE)
    raw = ibis.schema(dict.fromkeys(THREE, "string"))
    part = Part(tuple(PartFile(on_disk(p), "s", "all") for p in paths), form, raw, longest)
    return judged_part(engine, part, RowRules(columns))


PIECES = st.sampled_from(
    ["a", "b", " ", ",", ",", ",", '"', '"', '""', "\n", "\n", "\r\n", "\r", "é", "1,2,3\n", '"x,\ny",2,3\n', "\0", "\\", "#", "\ufeff"]
)  # fmt: skip
TEXTS = st.lists(PIECES, min_size=1, max_size=25).map("".join)
QUICK = settings(max_examples=100, derandomize=True, suppress_health_check=list(HealthCheck), database=None)


@given(TEXTS)
@QUICK
def test_every_line_is_in_exactly_one_record(tmp_path_factory: Any, text: str) -> None:
    if not text.lstrip("\ufeff").strip():
        return
    result = repaired(tmp_path_factory.mktemp("p"), text)
    pieces = physical(text)
    length = {m.line: 1 for m in result.malformed}
    for line, row in zip(tuple(result.lines), sound_rows(result), strict=True):
        length[line] = 1 + sum(field.count("\n") for field in row)
    assert len(length) == len(result.lines) + len(result.malformed), "two records begin in one line"
    covered = [n for first, count in length.items() for n in range(first, first + count)]
    assert len(covered) == len(set(covered)), "a line is in two records"
    written = {n for n, line in enumerate(pieces, 1) if line.strip("\r\n")}
    assert written <= set(covered) <= set(range(1, len(pieces) + 1))
    assert {m.line: m.raw for m in result.malformed} == {
        m.line: pieces[m.line - 1].rstrip("\r\n") for m in result.malformed
    }


def physical(text: str) -> list[str]:
    """Lines as the file has them, without a byte order mark."""
    text = text.lstrip("\ufeff")
    if "\n" not in text and "\r" in text.rstrip():
        text = text.replace("\r", "\n")
    return io.StringIO(text, newline="\n").readlines()


@given(TEXTS)
@QUICK
def test_duckdb_reads_the_repaired_file_as_it_was_told_apart(
    tmp_path_factory: Any, duckdb: DuckDB, text: str
) -> None:
    folder = tmp_path_factory.mktemp("p")
    if not text.lstrip("\ufeff").strip():
        return
    result = repaired(folder, text)
    seen = read_by_duckdb(duckdb, (result.path,), Csv(header=False), result.longest, folder / "out")
    assert not seen.result.broken, (seen.result.error, result.path.read_bytes())
    assert sorted(seen.good) == list(range(1, len(result.lines) + 1))
    values = [[seen.good[n][c] or "" for c in THREE] for n in sorted(seen.good)]
    assert values == sound_rows(result)


@given(TEXTS)
@QUICK
def test_what_duckdb_finds_sound_is_sound(tmp_path_factory: Any, duckdb: DuckDB, text: str) -> None:
    """The fast path loses nothing: where it reports nothing broken, the careful path agrees to the record."""
    folder = tmp_path_factory.mktemp("p")
    if not text.lstrip("\ufeff").strip():
        return
    form = Csv(header=False)
    spooled = spool([memoryview(text.encode())], "x.csv", form, folder / "spooled")
    result = repair(spooled.parts, form, 3, folder / "repaired")
    seen = read_by_duckdb(duckdb, spooled.parts, form, 0, folder / "out")
    if seen.result.broken or spooled.careful:  # the spool tells what the reader does not
        return
    assert (len(seen.good), result.malformed) == (len(result.lines), ()), text
    values = [[seen.good[n][c] or "" for c in THREE] for n in sorted(seen.good)]
    assert values == sound_rows(result)


@pytest.fixture(scope="module")
def duckdb(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One engine for many files."""
    engine = DuckDB(tmp_path_factory.mktemp("duckdb"), threads=1)
    yield engine
    engine.close()


def test_raw_lines(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_bytes("a\r\nbé\n\n".encode())
    second.write_bytes(b"d\ne")
    found = raw_lines((first, second), [1, 2, 3, 4, 5])
    assert found == {1: "a", 2: "bé", 3: "", 4: "d", 5: "e"}
    assert raw_lines((first, second), [2, 5]) == {2: "bé", 5: "e"}
    assert raw_lines((first,), []) == {}


def test_raw_lines_of_a_big_file(tmp_path: Path) -> None:
    path = tmp_path / "big"
    lines = [f"{n}," + "x" * (n % 977) for n in range(20_000)]
    path.write_text("\n".join(lines) + "\n")
    wanted = [1, 2, 999, 5000, 12_345, 20_000]
    assert raw_lines((path,), wanted) == {n: lines[n - 1] for n in wanted}


def test_raw_records(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b'a,b\n\n1,"x\ny"\n2,z\r\n\n3,"""q"""')
    found = raw_records((path,), Csv(), [1, 2, 3])
    assert found == {1: (3, '1,"x\ny"'), 2: (5, "2,z"), 3: (7, '3,"""q"""')}


def test_what_is_remembered_of_a_sound_record_is_small(tmp_path: Path) -> None:
    found = repaired(tmp_path, 'x"y,1\n' + "1,2,3\n" * 10_000)
    assert len(found.lines) == 10_000
    assert sys.getsizeof(found.lines) < 12 * 10_000
