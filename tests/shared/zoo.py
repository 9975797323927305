"""Bad files, made in code: what each is, and what must become of it.

A pen is a dataset with one configuration; the animals in it land in one partition and run together, so
that none may disturb another. Every pen has a good file.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from lakes import DAILY, csv, gz, json_lines

COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"logicalType": "string", "required": True},
    "amount": {"logicalType": "number", "logicalTypeOptions": {"minimum": 0, "maximum": 1000}},
    "currency": {"logicalType": "string", "enum": [{"value": "EUR"}, {"value": "USD"}]},
    "day": {"logicalType": "date"},
    "code": {"logicalType": "string", "logicalTypeOptions": {"pattern": "^[a-z]+$", "maxLength": 4}},
}
HEADER = ",".join(COLUMNS)


@dataclass(frozen=True)
class Row:
    """A rejected record: the line it stands on (None where the format has none), its text, its reasons."""

    line: int | None
    raw: str
    reasons: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Animal:
    """One file. code: why the whole file is refused. good: the ids it brings. rejects: its bad rows.

    rows: how many records a refused file counts for.
    """

    name: str
    body: bytes
    code: str = ""
    good: tuple[str, ...] = ()
    rejects: tuple[Row, ...] = ()
    rows: int = 0


@dataclass(frozen=True)
class Pen:
    """A dataset's configuration and its animals. lost: rows that lose their key or are refused later."""

    animals: tuple[Animal, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    contract: Mapping[str, Any] = field(default_factory=dict)
    state: str = "published"
    later: tuple[str, ...] = ()


def rows(*records: str) -> bytes:
    return csv(*records, header=HEADER)


def bad(line: int | None, raw: str, *reasons: tuple[str, str]) -> Row:
    return Row(line, raw, reasons)


def parquet(*records: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(records)), out)
    return out.getvalue()


def good(name: str, id_: str) -> Animal:
    return Animal(name, rows(f"{id_},1,EUR,2026-03-01,ab"), good=(id_,))


HUGE = "x" * (10 * 1024 * 1024)
SOUND = parquet({"id": "pq", "amount": 1.0})
FORMATS = [{"type": t} for t in ("csv", "jsonl", "json", "parquet")]

FILES = (
    good("good.csv", "g1"),
    Animal("notes.txt", b"hello", "UNSUPPORTED_SUFFIX"),
    Animal("no-suffix", b"id\n1\n", "UNSUPPORTED_SUFFIX"),
    Animal("empty.csv", b"", "EMPTY_FILE"),
    Animal("empty.parquet", b"", "EMPTY_FILE"),
    Animal("white.csv", b" \r\n\t\n\n", "EMPTY_FILE"),
    Animal("white.jsonl", b"\n\n  \n", "EMPTY_FILE"),
    Animal("empty-inside.csv.gz", gz(b""), "EMPTY_FILE"),
    Animal("latin1.csv", rows("l1,1,EUR,2026-03-01,é").decode().encode("latin-1"), "BAD_ENCODING"),
    Animal("latin1.jsonl", '{"id": "é"}\n'.encode("latin-1"), "BAD_ENCODING"),
    Animal(
        "cut.csv.gz", gz(rows(*(f"c{n},{n},EUR,2026-03-01,ab" for n in range(500))))[:-20], "BAD_COMPRESSION"
    ),
    Animal("plain.csv.gz", rows("p1,1,EUR,2026-03-01,ab"), "BAD_COMPRESSION"),
    Animal("plain.csv.zst", rows("p2,1,EUR,2026-03-01,ab"), "BAD_COMPRESSION"),
    Animal("semicolons.csv", rows("s1,1,EUR,2026-03-01,ab").replace(b",", b";"), "WRONG_DELIMITER", rows=1),
    Animal("no-id.csv", csv("1,EUR", "2,EUR", header="amount,currency"), "HEADER_MISMATCH", rows=2),
    Animal("no-id.jsonl", json_lines({"amount": 1}), "HEADER_MISMATCH", rows=1),
    Animal("no-id.parquet", parquet({"amount": 1.0}, {"amount": 2.0}), "HEADER_MISMATCH", rows=2),
    Animal("twice.csv", csv("1,2", header="id,ID"), "HEADER_MISMATCH", rows=1),
    Animal("unnamed.csv", csv("1,2", header="id,"), "HEADER_MISMATCH", rows=1),
    Animal("array-cut.json", b'[{"id": "j1"}, {"id": "j', "MALFORMED_JSON"),
    Animal("object.json", b'"text"', "MALFORMED_JSON"),
    Animal("no-object.jsonl", b"[1]\n2\n", "MALFORMED_JSON", rows=2),
    Animal("footer.parquet", SOUND[:-9] + b"\0" * 9, "BAD_PARQUET"),
    Animal("page.parquet", SOUND[:4] + b"\xff" * 60 + SOUND[64:], "BAD_PARQUET"),
    Animal("text.parquet", b"id,amount\n", "BAD_PARQUET"),
    Animal(
        "elsewhere.csv",
        rows("e1,1,EUR,2026-03-02,ab", "e2,1,EUR,2026-03-02,ab"),
        "PARTITION_MISMATCH",
        rows=2,
    ),
    Animal("z-copy-of-good.csv", rows("g1,1,EUR,2026-03-01,ab"), "DUPLICATE_CONTENT"),
)

ROWS = (
    good("ok.csv", "ok"),
    Animal(
        "faults.csv",
        rows(
            "f1,1,EUR,2026-03-01,ab",
            "f2,N/A,EUR,2026-03-01,ab",
            ",1,EUR,2026-03-01,ab",
            "f4,1,GBP,2026-03-01,ab",
            "f5,-1,EUR,2026-03-01,ab",
            "f6,1001,EUR,2026-03-01,ab",
            "f7,1,EUR,2026-02-30,ab",
            "f8,1,EUR,2026-03-01,AB",
            "f9,1,EUR,2026-03-01,abcde",
            ",x,GBP,2026-03-01,ab",
            "f11,1,EUR,2026-03-02,ab",
            ",-1,eur,2026-13-01,ABCDE",
        ),
        good=("f1",),
        rejects=(
            bad(3, "f2,N/A,EUR,2026-03-01,ab", ("CAST_FAILED", "amount")),
            bad(4, ",1,EUR,2026-03-01,ab", ("REQUIRED_NULL", "id")),
            bad(5, "f4,1,GBP,2026-03-01,ab", ("NOT_ALLOWED", "currency")),
            bad(6, "f5,-1,EUR,2026-03-01,ab", ("OUT_OF_RANGE", "amount")),
            bad(7, "f6,1001,EUR,2026-03-01,ab", ("OUT_OF_RANGE", "amount")),
            bad(8, "f7,1,EUR,2026-02-30,ab", ("CAST_FAILED", "day")),
            bad(9, "f8,1,EUR,2026-03-01,AB", ("PATTERN_MISMATCH", "code")),
            bad(10, "f9,1,EUR,2026-03-01,abcde", ("LENGTH_OUT_OF_RANGE", "code")),
            bad(
                *(11, ",x,GBP,2026-03-01,ab", ("CAST_FAILED", "amount"), ("NOT_ALLOWED", "currency")),
                ("REQUIRED_NULL", "id"),
            ),
            bad(12, "f11,1,EUR,2026-03-02,ab", ("PARTITION_MISMATCH", "day")),
            bad(
                *(13, ",-1,eur,2026-13-01,ABCDE", ("CAST_FAILED", "day"), ("LENGTH_OUT_OF_RANGE", "code")),
                *(("NOT_ALLOWED", "currency"), ("OUT_OF_RANGE", "amount")),
                *(("PATTERN_MISMATCH", "code"), ("REQUIRED_NULL", "id")),
            ),
        ),
    ),
    Animal(
        "ragged.csv",
        rows("r1,1,EUR,2026-03-01,ab", "r2,1,EUR", "r3,1,EUR,2026-03-01,ab,more", "r4,1,EUR,2026-03-01,ab"),
        good=("r1", "r4"),
        rejects=(
            bad(3, "r2,1,EUR", ("MALFORMED_ROW", "")),
            bad(4, "r3,1,EUR,2026-03-01,ab,more", ("MALFORMED_ROW", "")),
        ),
    ),
    Animal(
        "quotes.csv",
        rows(
            'q1,1,EUR,2026-03-01,"ab"',
            'q2,1,EUR,2026-03-01,"ab',
            "q3,1,EUR,2026-03-01,ab",
            "q4,x,EUR,2026-03-01,ab",
        ),
        good=("q1", "q3"),
        rejects=(
            bad(3, 'q2,1,EUR,2026-03-01,"ab', ("MALFORMED_ROW", "")),
            bad(5, "q4,x,EUR,2026-03-01,ab", ("CAST_FAILED", "amount")),
        ),
    ),
    Animal(
        "nul.csv",
        rows("n1,1,EUR,2026-03-01,ab", "n\0two,1,EUR,2026-03-01,ab", "n3,1,EUR,2026-03-01,ab"),
        good=("n1", "n3"),
        rejects=(bad(3, "n\0two,1,EUR,2026-03-01,ab", ("MALFORMED_ROW", "")),),
    ),
    Animal(
        "spanning.csv",
        rows(
            '"two\nlines",1,EUR,2026-03-01,ab', "s2,bad,EUR,2026-03-01,ab", '"a\n\nb",bad,EUR,2026-03-01,ab'
        ),
        good=("two\nlines",),
        rejects=(
            bad(4, "s2,bad,EUR,2026-03-01,ab", ("CAST_FAILED", "amount")),
            bad(5, '"a\n\nb",bad,EUR,2026-03-01,ab', ("CAST_FAILED", "amount")),
        ),
    ),
    Animal(
        "windows.csv",
        rows("w1,1,EUR,2026-03-01,ab", "w2,x,EUR,2026-03-01,ab").replace(b"\n", b"\r\n"),
        good=("w1",),
        rejects=(bad(3, "w2,x,EUR,2026-03-01,ab", ("CAST_FAILED", "amount")),),
    ),
    Animal(
        "huge.csv",
        rows("h1,1,EUR,2026-03-01,ab", f"h2,1,EUR,2026-03-01,{HUGE}", f"{HUGE},1,EUR,2026-03-01,ab"),
        good=("h1", HUGE),
        rejects=(
            bad(
                *(3, f"h2,1,EUR,2026-03-01,{HUGE}"[: 1024 * 1024], ("LENGTH_OUT_OF_RANGE", "code")),
            ),
        ),
    ),
    Animal(
        "cut.jsonl",
        json_lines({"id": "c1", "amount": 1})
        + b'{"id": "c2", "amo\n'
        + json_lines({"id": "c3"})
        + b'{"id": "c4"',
        good=("c1", "c3"),
        rejects=(
            bad(2, '{"id": "c2", "amo', ("MALFORMED_ROW", "")),
            bad(4, '{"id": "c4"', ("MALFORMED_ROW", "")),
        ),
    ),
    Animal(
        "mixed.jsonl",
        b'{"id": "m1"}\n\n[1, 2]\n{"id": "m2", "amount": "much"}\n',
        good=("m1",),
        rejects=(
            bad(3, "[1, 2]", ("MALFORMED_ROW", "")),
            bad(4, '{"id": "m2", "amount": "much"}', ("CAST_FAILED", "amount")),
        ),
    ),
    Animal(
        "array.json",
        json.dumps([{"id": "a1", "amount": 2}, {"id": "a2", "currency": "GBP"}]).encode(),
        good=("a1",),
        rejects=(bad(None, '{"id": "a2", "currency": "GBP"}', ("NOT_ALLOWED", "currency")),),
    ),
    Animal(
        "typed.parquet",
        parquet({"id": "t1", "amount": 1.0, "code": "ab"}, {"id": None, "amount": 5000.0, "code": "ab"}),
        good=("t1",),
        rejects=(
            bad(
                *(None, '{"id":null,"amount":5000.0,"code":"ab"}', ("OUT_OF_RANGE", "amount")),
                ("REQUIRED_NULL", "id"),
            ),
        ),
    ),
)

# Names that producers give; `%2F` must stay `%2F`, and a plus is no space.
KEYS = tuple(
    Animal(name, rows(f"k{n},1,EUR,2026-03-01,ab"), good=(f"k{n}",))
    for n, name in enumerate(
        (
            *("with space.csv", "plus+plus.csv", "100%.csv", "a%2Fb.csv", "a%20b.csv", "ünïcode-名.csv"),
            *(
                "key=value.csv",
                "a..b.csv",
                "it's.csv",
                "q&a;b.csv",
                "#1.csv",
                "br[ack]et.csv",
                "sub/folder.csv",
            ),
            *("UPPER.CSV", "tilde~.csv", "at@comma,.csv", "glob.x.csv"),
        )
    )
)

LISTED = [
    {"name": "listed.csv"},
    {"name": "checked.csv", "sha256": hashlib.sha256(rows("m2,1,EUR,2026-03-01,ab")).hexdigest()},
    {"name": "tampered.csv", "sha256": "0" * 64},
    {"name": "short.csv", "size": 10_000},
]

PENS: dict[str, Pen] = {
    "files": Pen(FILES),
    "rows": Pen(ROWS),
    "keys": Pen(KEYS),
    "sizes": Pen(
        (
            good("good.csv", "g1"),
            Animal("small.csv", csv("1", header="id"), "FILE_TOO_SMALL"),
            Animal("large.csv", rows(*(f"l{n},1,EUR,2026-03-01,ab" for n in range(200))), "FILE_TOO_LARGE"),
        ),
        {"file_size": {"min": 20, "max": 2000}},
    ),
    "names": Pen(
        (
            Animal("x_20260301.csv", rows("g1,1,EUR,2026-03-01,ab"), good=("g1",)),
            Animal("x_20260302.csv", rows("o1,1,EUR,2026-03-01,ab"), "PARTITION_MISMATCH"),
        ),
        {"landing": "zoo/{yyyy}/{mm}/{dd}/x_{yyyy}{mm}{dd}*.csv"},
    ),
    "manifest": Pen(
        (
            Animal("listed.csv", rows("m1,1,EUR,2026-03-01,ab"), good=("m1",)),
            Animal("checked.csv", rows("m2,1,EUR,2026-03-01,ab"), good=("m2",)),
            Animal("tampered.csv", rows("m3,1,EUR,2026-03-01,ab"), "CHECKSUM_MISMATCH"),
            Animal("short.csv", rows("m4,1,EUR,2026-03-01,ab"), "CHECKSUM_MISMATCH"),
            Animal("stranger.csv", rows("m5,1,EUR,2026-03-01,ab"), "NOT_IN_MANIFEST"),
            Animal("_MANIFEST.json", json.dumps({"files": LISTED}).encode()),
            Animal("_SUCCESS", b""),
        ),
        {"producer_manifest": "required"},
    ),
    "drift": Pen(
        (
            good("good.csv", "g1"),
            Animal("more.csv", csv("d1,1", header="id,extra"), "BREAKING_DRIFT", rows=1),
            Animal("types.parquet", parquet({"id": "d2", "amount": "1"}), "BREAKING_DRIFT", rows=1),
        ),
        contract={"drift": {"additive": "refuse", "types": "strict"}},
    ),
    "budget": Pen(
        (
            Animal(
                "within.csv",
                rows(
                    "b1,1,EUR,2026-03-01,ab",
                    "b2,x,EUR,2026-03-01,ab",
                    *(f"b{n},1,EUR,2026-03-01,ab" for n in range(3, 6)),
                ),
                good=("b1", "b3", "b4", "b5"),
                rejects=(bad(3, "b2,x,EUR,2026-03-01,ab", ("CAST_FAILED", "amount")),),
            ),
            Animal(
                "over.csv",
                rows("o1,1,EUR,2026-03-01,ab", "o2,x,EUR,2026-03-01,ab"),
                "REJECT_BUDGET_EXCEEDED",
                rows=2,
            ),
            Animal("ragged-over.csv", rows("o1,1,EUR,2026-03-01,ab", "o2"), "REJECT_BUDGET_EXCEEDED", rows=2),
        ),
        {"reject_budget": {"percent": 20}},
    ),
    "duplicates": Pen(
        (
            Animal("first.csv", rows("k1,1,EUR,2026-03-01,ab", "k1,2,EUR,2026-03-01,ab"), good=("k1",)),
            Animal("second.csv", rows("k2,1,EUR,2026-03-01,ab"), good=("k2",)),
        ),
        {"deduplicate": {"key": ["id"], "order_by": ["amount"], "losers": "quarantine"}},
        later=("DUPLICATE_KEY",),
    ),
    "gate": Pen(
        (
            Animal("a.csv", rows("k1,1,EUR,2026-03-01,ab", "k1,2,EUR,2026-03-01,ab")),
            Animal("b.txt", b"?", "UNSUPPORTED_SUFFIX"),
        ),
        contract={"rules": 'IsUnique "id"'},
        state="refused",
        later=("DATA_QUALITY_FAILURE", "DATA_QUALITY_FAILURE"),
    ),
    "transform": Pen(
        (Animal("a.csv", rows("k1,1,EUR,2026-03-01,ab")),),
        {"transform": [{"upper": ["nothing"]}]},
        state="failed",
        later=("TRANSFORM_FAILURE",),
    ),
}
DEFAULTS: dict[str, Any] = {"formats": FORMATS, "partitions": {**DAILY, "column": "day"}}
