"""Odd but plausible files, each with what becomes of it: loaded with a documented meaning, or refused as a file.

None of them may cost anything but itself: not the clean file beside it, not another partition, not the next run.
"""

from __future__ import annotations

import decimal
import gzip
import io
import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from lakes import csv, gz, json_lines

ID, AMOUNT = pa.array(["odd"]), pa.array([1.0])


@dataclass(frozen=True)
class Odd:
    """One odd file. code: of its refusal, "" where it is loaded.

    rows: of those that are loaded, the ids in curated. extra: what validated has of the column `extra` of its first
    row; rescued: what `_rescued` has of that row.
    """

    name: str
    body: bytes
    code: str = ""
    rows: tuple[str, ...] = ("odd",)
    extra: Any = None
    rescued: dict[str, Any] | None = None


def parquet(table: pa.Table, **more: Any) -> bytes:
    """A table as a Parquet file."""
    out = io.BytesIO()
    pq.write_table(table, out, **more)
    return out.getvalue()


def typed(name: str, values: pa.Array, extra: Any, code: str = "") -> Odd:
    """A file with an undeclared column of an Arrow type."""
    return Odd(
        f"{name}.parquet", parquet(pa.table({"id": ID, "amount": AMOUNT, "extra": values})), code, extra=extra
    )


def named(name: str, *names: str, code: str = "", **more: Any) -> Odd:
    """A Parquet file with these columns, the first of them an id."""
    arrays = [ID, *(AMOUNT for _ in names[1:])]
    return Odd(f"{name}.parquet", parquet(pa.Table.from_arrays(arrays, names=list(names))), code, **more)


def declared(name: str, values: pa.Array, code: str = "", rows: tuple[str, ...] = ("odd",)) -> Odd:
    """A file whose declared number is of another Arrow type."""
    return Odd(f"amount-{name}.parquet", parquet(pa.table({"id": ID, "amount": values})), code, rows)


def damaged(name: str, at: int, by: bytes, code: str = "BAD_PARQUET") -> Odd:
    """A Parquet file with other bytes at a place, counted from its end where that is negative."""
    body = bytearray(parquet(pa.table({"id": ["odd"] * 1000, "amount": [1.0] * 1000})))
    at %= len(body)
    body[at : at + len(by)] = by
    return Odd(f"{name}.parquet", bytes(body), code)


NS = pa.array([1_772_323_200_000_000_001], pa.timestamp("ns"))
PARQUET: tuple[Odd, ...] = (
    typed("int8", pa.array([-1], pa.int8()), -1),
    typed("int64", pa.array([2**62], pa.int64()), 2**62),
    typed("uint8", pa.array([255], pa.uint8()), 255),
    typed("uint32", pa.array([2**32 - 1], pa.uint32()), 2**32 - 1),
    typed("uint64", pa.array([2**64 - 1], pa.uint64()), str(2**64 - 1)),
    typed("half", pa.array([0.5], pa.float16()), 0.5),
    typed("float", pa.array([0.5], pa.float32()), 0.5),
    typed("boolean", pa.array([True]), True),
    typed("decimal", pa.array([decimal.Decimal("1.50")], pa.decimal128(10, 2)), decimal.Decimal("1.50")),
    typed("decimal256", pa.array([decimal.Decimal("1.50")], pa.decimal256(50, 2)), "1.50"),
    typed("plain-text", pa.array(["x"]), "x"),
    typed("large-text", pa.array(["x"], pa.large_string()), "x"),
    typed("text-view", pa.array(["x"], pa.string_view()), "x"),
    typed("dictionary", pa.array(["x"]).dictionary_encode(), "x"),
    typed("null", pa.nulls(1), None),
    typed("date", pa.array([date(2026, 3, 1)]), date(2026, 3, 1)),
    typed("date64", pa.array([date(2026, 3, 1)], pa.date64()), date(2026, 3, 1)),
    typed("timestamp-s", pa.array([datetime(2026, 3, 1)], pa.timestamp("s")), "2026-03-01 00:00:00.000"),
    typed("timestamp-us", pa.array([datetime(2026, 3, 1, 5)], pa.timestamp("us")), "2026-03-01 05:00:00.000000"),
    typed("timestamp-ns", NS, "2026-03-01 00:00:00.000000001"),
    typed("instant-ns", NS.cast(pa.timestamp("ns", "UTC")), "2026-03-01 00:00:00.000000001Z"),
    typed("timestamp-far", pa.array([2**61], pa.timestamp("us")), f"<value out of range: {2**61}>"),
    typed("time", pa.array([5_000_000], pa.time64("us")), "00:00:05.000000"),
    typed("duration", pa.array([90_500_000], pa.duration("us")), "PT90.5S"),
    typed("binary", pa.array([b"\xff\x00"]), "/wA="),
    typed("fixed-binary", pa.array([b"12345678"], pa.binary(8)), "MTIzNDU2Nzg="),
    typed("large-binary", pa.array([b"x"], pa.large_binary()), "eA=="),
    typed("uuid", pa.array([UUID(int=7).bytes], pa.uuid()), str(UUID(int=7))),
    typed("list", pa.array([[1, None]]), "[1,null]"),
    typed("list-of-null", pa.array([[None]], pa.list_(pa.null())), "[null]"),
    typed("large-list", pa.array([["é"]], pa.large_list(pa.string())), '["é"]'),
    typed("struct", pa.array([{"a": {"b": 1.5, "A": None}}]), '{"a":{"b":1.5,"A":null}}'),
    typed("struct-of-odd", pa.array([{"at": 1_772_323_200_000_000_001, "b": b"x"}], pa.struct([("at", pa.timestamp("ns")), ("b", pa.binary())])),
          '{"at":"2026-03-01 00:00:00.000000001","b":"eA=="}'),
    typed("map", pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), '[["k",1]]'),
    typed("nan", pa.array([[float("nan")]]), '["NaN"]'),
    declared("fixed-binary", pa.array([b"12345678"], pa.binary(8)), "BREAKING_DRIFT"),
    declared("duration", pa.array([1], pa.duration("us")), "BREAKING_DRIFT"),
    declared("decimal256", pa.array([decimal.Decimal("1.50")], pa.decimal256(50, 2)), "BREAKING_DRIFT"),
    declared("uint64", pa.array([7], pa.uint64())),
    declared("null", pa.nulls(1)),
    declared("map", pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), "BREAKING_DRIFT"),
    declared("list-of-null", pa.array([[None]], pa.list_(pa.null())), "BREAKING_DRIFT"),
    declared("time", pa.array([5_000_000], pa.time64("us")), rows=()),
    named("twice", "id", "amount", "amount", code="HEADER_MISMATCH"),
    named("twice-undeclared", "id", "amount", "more", "more", code="HEADER_MISMATCH"),
    named("twice-by-case", "id", "amount", "more", "More", code="HEADER_MISMATCH"),
    named("case", "id", "Amount", code="HEADER_MISMATCH"),
    named("unnamed", "id", "amount", "", code="BREAKING_DRIFT"),
    named("reserved", "id", "amount", "_source", code="BREAKING_DRIFT"),
    named("dots-and-quotes", "id", "a.b", 'c"d', "e'f", "`g`", "x y"),
    named("long-name", "id", "n" * 3_000, rescued={"n" * 3_000: "1.0"}),
    named("line-break", "id", "a\nb", rescued={"a\nb": "1.0"}),
    named("many", "id", *(f"c{n}" for n in range(10_000)), code="BREAKING_DRIFT"),
    Odd("no-columns.parquet", parquet(pa.table({})), "HEADER_MISMATCH"),
    Odd("no-rows.parquet", parquet(pa.table({"id": pa.array([], pa.string()), "odd": pa.array([], pa.binary(3))})), rows=()),
    Odd("no-rows-no-groups.parquet", parquet(pa.schema([("id", pa.string())]).empty_table()), rows=()),
    damaged("footer", -20, b"\xff" * 12),
    damaged("encrypted", -4, b"PARE"),
    damaged("magic", -4, b"XXXX"),
    damaged("length", -8, b"\xff\xff\xff\x7f"),
    Odd("truncated.parquet", parquet(pa.table({"id": ["odd"] * 1000}))[:-30], "BAD_PARQUET"),
    Odd("text.parquet", b"id,amount\nodd,1\n", "BAD_PARQUET"),
)  # fmt: skip

HEADED = "id,amount,day,"
CSV: tuple[Odd, ...] = (
    Odd("case.csv", csv("odd,1,2026-03-01", header="id,Amount,day"), "HEADER_MISMATCH"),
    Odd("case-required.csv", csv("odd,1,2026-03-01", header="ID,amount,day"), "HEADER_MISMATCH"),
    Odd("case-beside.csv", csv("odd,1,2026-03-01,2", header=HEADED + "AMOUNT"), "HEADER_MISMATCH"),
    Odd("case-undeclared-1.csv", csv("odd,1,2026-03-01,x", header=HEADED + "Channel")),
    Odd("case-undeclared-2.csv", csv("odd,1,2026-03-01,y", header=HEADED + "channel"), rescued={"channel": "y"}),
    Odd("twice.csv", csv("odd,1,2026-03-01,2,3", header=HEADED + "more,more"), "HEADER_MISMATCH"),
    Odd("empty-name.csv", csv("odd,1,2026-03-01,x", header=HEADED), "HEADER_MISMATCH"),
    Odd("blank-name.csv", csv("odd,1,2026-03-01,x", header=HEADED + "  "), "HEADER_MISMATCH"),
    Odd("line-break.csv", csv("odd,1,2026-03-01,x", header=HEADED + '"two\nlines"'), rescued={"two\nlines": "x"}),
    Odd("quotes.csv", csv("odd,1,2026-03-01,x", header=HEADED + '"a ""b"""')),
    Odd("bom.csv", b"\xef\xbb\xbf" + csv("odd,1,2026-03-01,x", header=HEADED + "extra"), extra="x"),
    *(
        Odd(f"reserved{name}.csv", csv("odd,1,2026-03-01,x", header=HEADED + name), "BREAKING_DRIFT")
        for name in ("_source", "_record", "_partition", "_rescued", "_RECORD", "__x")
    ),
    Odd("words.csv", csv("odd,1,2026-03-01,a,b,c,d", header=HEADED + "select,kind,rows,reasons")),
    Odd("long-name.csv", csv("odd,1,2026-03-01,x", header=HEADED + "n" * 3_000), rescued={"n" * 3_000: "x"}),
    Odd("nul-name.csv", csv("odd,1,2026-03-01,x", header=HEADED + "a\0b"), "BREAKING_DRIFT"),
    Odd("wide.csv", csv("odd,1,2026-03-01," + "x," * 299 + "x", header=HEADED + ",".join(f"w{n}" for n in range(300)))),
    Odd("too-wide.csv", csv("odd,1,2026-03-01," + "x," * 9_999 + "x", header=HEADED + ",".join(f"c{n}" for n in range(10_000))),
        "BREAKING_DRIFT"),
    Odd("nul.csv", csv("odd,1,2026-03-01", "a\0b,1,2026-03-01")),
    Odd("nothing-but-nul.csv", b"\0" * 100, "HEADER_MISMATCH"),
    Odd("utf16.csv", csv("odd,1,2026-03-01").decode().encode("utf-16"), "BAD_ENCODING"),
    Odd("utf16-bare.csv", csv("odd,1,2026-03-01").decode().encode("utf-16-le"), "HEADER_MISMATCH"),
    Odd("header-only.csv", csv(), rows=()),
    Odd("one-line.csv", b"id,amount,day", rows=()),
    Odd("open-quote.csv", b'id,amount,"day\nodd,1,2026-03-01\n', "HEADER_MISMATCH"),
    Odd("empty.csv", b"", "EMPTY_FILE"),
    Odd("blank.csv", b"\n \n\n", "EMPTY_FILE"),
    Odd("empty.csv.gz", b"", "EMPTY_FILE"),
    Odd("empty-inside.csv.gz", gz(b""), "EMPTY_FILE"),
    Odd("truncated.csv.gz", gz(csv("odd,1,2026-03-01"))[:-9], "BAD_COMPRESSION"),
    Odd("members.csv.gz", gz(csv()) + gz(b"odd,1,2026-03-01\n")),
    Odd("rubbish-behind.csv.gz", gz(csv("odd,1,2026-03-01")) + b"rubbish", "BAD_COMPRESSION"),
    Odd("plain.csv.gz", csv("odd,1,2026-03-01"), "BAD_COMPRESSION"),
    Odd("truncated.csv.zst", zstandard.compress(csv(*["odd,1,2026-03-01"] * 500))[:-9], "BAD_COMPRESSION"),
    Odd("frames.csv.zst", zstandard.compress(csv()) + zstandard.compress(b"odd,1,2026-03-01\n")),
    Odd("empty.csv.zst", zstandard.compress(b""), "EMPTY_FILE"),
    Odd("twice.csv.gz", gz(gzip.compress(csv("odd,1,2026-03-01"), mtime=0)), "BAD_ENCODING"),
)  # fmt: skip


def lines(name: str, *texts: str, **more: Any) -> Odd:
    """JSON Lines."""
    return Odd(f"{name}.jsonl", "".join(f"{t}\n" for t in texts).encode(), **more)


def keyed(name: str, key: str, value: Any = "x", **more: Any) -> Odd:
    """A JSON object with an undeclared key."""
    return Odd(f"{name}.jsonl", json_lines({"id": "odd", key: value}), **more)


def deep(levels: int) -> str:
    """A list in lists."""
    return "[" * levels + "]" * levels


JSON: tuple[Odd, ...] = (
    keyed("empty-key", "", code="BREAKING_DRIFT"),
    keyed("blank-key", " ", code="BREAKING_DRIFT"),
    keyed("nul-key", "a\0b", code="BREAKING_DRIFT"),
    *(keyed(f"key-{n}", key) for n, key in enumerate(("a.b", "a b", 'c"d', "e'f", "$.x", "`g`", "[0]", "é名", "a/b~c"))),
    keyed("line-break", "a\nb", rescued={"a\nb": "x"}),
    keyed("long-key", "k" * 3_000, rescued={"k" * 3_000: "x"}),
    keyed("reserved", "_source", code="BREAKING_DRIFT"),
    keyed("case", "Amount", 1, code="HEADER_MISMATCH"),
    keyed("twice-by-case", "Id", code="HEADER_MISMATCH"),
    lines("surrogate-key", r'{"id":"odd","\ud800":1}', code="MALFORMED_JSON"),
    lines("twice", '{"id":"odd","extra":"1","extra":"2"}', extra="1"),
    lines("mixed", '{"id":"odd","extra":1}', '{"id":"b","extra":"x"}', '{"id":"c","extra":[1]}', '{"id":"d","extra":{"a":null}}',
          '{"id":"e","extra":null}', rows=("odd", "b", "c", "d", "e"), extra="1"),
    keyed("other-type", "extra", {"a": [1]}, extra='{"a":[1]}'),
    lines("huge-numbers", '{"id":"odd","extra":123456789012345678901234567890.5}', extra="123456789012345678901234567890.5"),
    lines("huge-exponent", '{"id":"odd","extra":1e999}', extra="1e999"),
    lines("huge-amount", '{"id":"odd","amount":1e999}', rows=()),
    lines("deep", '{"id":"odd","extra":' + deep(90) + "}", extra=deep(90)),
    lines("too-deep", '{"id":"odd","extra":' + deep(50_000) + "}", code="MALFORMED_JSON"),
    lines("scalars", "1", '"x"', "null", "[1]", code="MALFORMED_JSON"),
    lines("scalar-beside", "1", '{"id":"odd"}'),
    lines("empty-objects", "{}", "{}", code="MALFORMED_JSON"),
    lines("no-id", '{"extra":"x"}', code="HEADER_MISMATCH"),
    Odd("bom-utf16.jsonl", '{"id":"odd"}\n'.encode("utf-16"), "BAD_ENCODING"),
    Odd("many-keys.jsonl", json_lines({"id": "odd", **{f"k{n}": n for n in range(10_000)}}), "BREAKING_DRIFT"),
    Odd("keys-as-data.jsonl", json_lines(*({"id": f"odd{n}", f"k{n}": n} for n in range(5_000))), "BREAKING_DRIFT"),
    Odd("empty.jsonl.gz", gz(b"\n"), "EMPTY_FILE"),
    Odd("array.json", json.dumps([{"id": "odd", "extra": {"deep": [1, "two"]}}]).encode(), extra='{"deep":[1,"two"]}'),
    Odd("empty-array.json", b"[]", "MALFORMED_JSON"),
    Odd("object.json", b'{"id":"odd"}', "MALFORMED_JSON"),
    Odd("scalar.json", b"17", "MALFORMED_JSON"),
    Odd("mixed-array.json", b'[{"id":"odd"}, 1]'),
    Odd("lines.json", b'{"id":"odd"}\n{"id":"b"}\n', "MALFORMED_JSON"),
    Odd("deep.json", f'[{{"id":"odd","extra":{deep(50_000)}}}]'.encode(), "MALFORMED_JSON"),
    Odd("empty-key.json", b'[{"id":"odd","":1}]', "BREAKING_DRIFT"),
    Odd("truncated.json", b'[{"id":"odd"}, {"id":', "MALFORMED_JSON"),
)  # fmt: skip

SHELVES = {"parquet": PARQUET, "csv": CSV, "json": JSON}
