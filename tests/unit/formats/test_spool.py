"""The envelope of a file: size, compression, encoding, and the cutting into parts."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from lake_pipeline.datasets.config import Csv, Jsonl, Parquet
from lake_pipeline.formats import texts as module
from lake_pipeline.formats.delimited import raw_lines
from lake_pipeline.formats.spool import Refused, check_size, compression_of, format_of, spool
from lake_pipeline.formats.texts import Spooled
from lake_pipeline.storage import ObjectMeta

CSV, JSONL = Csv(), Jsonl(type="jsonl")


def chunked(data: bytes, size: int = 7) -> Iterator[memoryview]:
    """The bytes in small pieces, as a network brings them."""
    return (memoryview(data[at : at + size]) for at in range(0, len(data), size))


def spooled(tmp_path: Path, data: bytes, name: str = "x.csv", form: object = CSV, size: int = 7) -> Spooled:
    """The file as it is spooled."""
    return spool(chunked(data, size), name, form, tmp_path / "spooled")  # type: ignore[arg-type]


def content(found: Spooled) -> bytes:
    """All parts."""
    return b"".join(p.read_bytes() for p in found.parts)


def refused(tmp_path: Path, data: bytes, name: str = "x.csv", form: object = CSV, size: int = 7) -> str:
    """The code and the message of the refusal."""
    with pytest.raises(Refused) as e:
        spooled(tmp_path, data, name, form, size)
    return f"{e.value.reason.code}: {e.value.reason.message}"


def test_the_longest_suffix_decides() -> None:
    formats = (CSV, Csv(type="tsv", suffixes=(".eu.csv",)), JSONL)
    assert format_of("A.CSV.GZ", formats) is formats[0]
    assert format_of("a.eu.csv", formats) is formats[1]
    assert format_of("a.jsonl", formats) is JSONL
    for name in ("a.txt", "csv", "a.csv.bak", "a.eu.csv.gz.zip", ""):
        with pytest.raises(Refused, match=r"ends in none of \.csv, .*\.jsonl") as e:
            format_of(name, formats)
        assert e.value.reason.code == "UNSUPPORTED_SUFFIX"


@pytest.mark.parametrize(
    ("size", "code"),
    [(0, "EMPTY_FILE"), (9, "FILE_TOO_SMALL"), (10, None), (20, None), (21, "FILE_TOO_LARGE")],
)
def test_sizes(size: int, code: str | None) -> None:
    meta = ObjectMeta("k", size, "e", None, datetime.now(UTC))
    if code is None:
        check_size(meta, 10, 20)
        return
    with pytest.raises(Refused, match=f"has {size} bytes") as e:
        check_size(meta, 10, 20)
    assert e.value.reason.code == code


@pytest.mark.parametrize(
    "data", [b"", b" \n\t\r\n ", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", gzip.compress(b"", mtime=0)]
)
def test_nothing_in_it(tmp_path: Path, data: bytes) -> None:
    name = "x.csv.gz" if data[:2] == b"\x1f\x8b" else "x.csv"
    assert refused(tmp_path, data, name) == "EMPTY_FILE: The file has nothing but white space in it."


def test_what_is_counted(tmp_path: Path) -> None:
    found = spooled(tmp_path, b'a,b\n1,"x"\n2,y')
    assert (found.lines, found.quotes, found.nul, found.header) == (3, True, False, "a,b\n")
    assert found.sha256 == hashlib.sha256(b'a,b\n1,"x"\n2,y').hexdigest()
    assert (found.blank_lines(), found.careful) == (0, False)
    plain = spooled(tmp_path, b"a,b\n\0,y\n")
    assert (plain.lines, plain.quotes, plain.nul, plain.careful) == (2, False, True, True)


@pytest.mark.parametrize("text", [b"\na,b\n", b"a\n\nb\n", b"a\r\n\r\nb\r\n", b"a,b\n1,2\n\n", b"\r\na\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_blank_lines_are_counted(tmp_path: Path, text: bytes, size: int) -> None:
    assert spooled(tmp_path, text, size=size).blank_lines() == 1


@pytest.mark.parametrize("text", [b"a\nb\n", b"a\r\nb\r\n", b"a,b", b"a\n b\n"])
def test_no_blank_lines(tmp_path: Path, text: bytes) -> None:
    assert spooled(tmp_path, text).blank_lines() == 0


ODD = [
    '1, "a",3',
    '1,"a" ,3',
    '1,"a" "b",3',
    '"a" "b"',
    ' "a",2',
    '1, "",3',
    '1,"a" ',
    '"" "",2,3',
    '1,"a   ""  "  ,3',
]
EVEN = [
    *(
        '1,"a",3',
        '1," ",3',
        '1,"a b",3',
        '"say ""hi"" now",2',
        "1, 2,3",
        '1,"",3',
        '"{""a"": 1, ""b"": ""c""}",2',
    ),
    *("a, b, c", '"a b"\n"c d"', '1,"x ""y"" z"', '1,"a"'),
]


@pytest.mark.parametrize("text", ODD)
def test_quotes_beside_spaces_ask_for_care(tmp_path: Path, text: str) -> None:
    assert all(spooled(tmp_path, f"x,y,z\n{text}\n".encode(), size=n).odd_quotes for n in (1, 3, 1000))


@pytest.mark.parametrize("text", EVEN)
def test_other_quotes_do_not(tmp_path: Path, text: str) -> None:
    assert not spooled(tmp_path, f"x,y,z\n{text}\n".encode(), size=1000).odd_quotes


def test_a_byte_order_mark_goes(tmp_path: Path) -> None:
    for size in (1, 2, 100):
        assert content(spooled(tmp_path, codecs.BOM_UTF8 + b"a\n1\n", size=size)) == b"a\n1\n"
    assert content(spooled(tmp_path, codecs.BOM_UTF8 * 2 + b"a\n")) == b"a\n"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-8-sig", "shift_jis"])
def test_encodings_become_utf8(tmp_path: Path, encoding: str) -> None:
    text = "a,b\nÄpfel,x\n" if encoding != "shift_jis" else "a,b\n名前,x\n"
    for size in (1, 3, 100):
        found = spooled(tmp_path, text.encode(encoding), form=Csv(encoding=encoding), size=size)
        assert content(found).decode() == text


@pytest.mark.parametrize("size", [1, 2, 5, 7, 11, 100_000])
@pytest.mark.parametrize(
    ("before", "bad", "shown"),
    [
        (b"a\n", b"\xe9x", "byte {at} is 0xe9"),
        ("é€🛩️\n".encode() * 5, b"\xff", "byte {at} is 0xff"),
        ("€".encode(), b"\xe2\x82", "byte {at} is 0xe2"),
        (b"", b"\x80", "byte {at} is 0x80"),
    ],
)
def test_the_offset_of_a_byte_that_is_not_utf8(
    tmp_path: Path, size: int, before: bytes, bad: bytes, shown: str
) -> None:
    after = b"" if bad == b"\xe2\x82" else b"abc\n"
    message = refused(tmp_path, before + bad + after, size=size)
    assert message.startswith("BAD_ENCODING: The file is not utf-8: " + shown.format(at=len(before)))


def test_text_that_its_encoding_does_not_have(tmp_path: Path) -> None:
    assert "not ascii: byte 2 is 0xc3" in refused(tmp_path, "a,é\n".encode(), form=Csv(encoding="ascii"))
    assert refused(tmp_path, b"a\x00b", form=Csv(encoding="utf-16-le")).startswith("BAD_ENCODING: ")
    assert refused(tmp_path, "é\n".encode("latin-1"), "x.jsonl", JSONL).startswith("BAD_ENCODING: ")


def random_text(lines: int = 200) -> bytes:
    """Text that does not compress to nothing."""
    pick = random.Random(7)
    return "".join(f"{pick.random()},é{pick.random()}\n" for _ in range(lines)).encode()


TEXT = random_text()
COMPRESSED = {
    "gzip": (".gz", gzip.compress(TEXT)),
    "zstd": (".zst", zstandard.ZstdCompressor().compress(TEXT)),
}


@pytest.mark.parametrize("kind", COMPRESSED)
@pytest.mark.parametrize("size", [1, 7, 1000, 1_000_000])
def test_decompressed(tmp_path: Path, kind: str, size: int) -> None:
    suffix, data = COMPRESSED[kind]
    found = spooled(tmp_path, data, "x.csv" + suffix, size=size)
    assert content(found) == TEXT
    assert (found.sha256, found.lines) == (hashlib.sha256(data).hexdigest(), 200)
    assert content(spooled(tmp_path, data * 3, "x.csv" + suffix, size=size)) == TEXT * 3, "several members"
    assert content(spooled(tmp_path, data, "x.csv", Csv(compression=kind), size=size)) == TEXT


@pytest.mark.parametrize("kind", COMPRESSED)
@pytest.mark.parametrize("size", [5, 1_000_000])
def test_damaged_compression(tmp_path: Path, kind: str, size: int) -> None:
    suffix, data = COMPRESSED[kind]
    name = "x.csv" + suffix
    for cut in (1, 2, 5, 12, len(data) // 2, len(data) - 1):
        assert refused(tmp_path, data[:cut], name, size=size).startswith("BAD_COMPRESSION: "), cut
    assert refused(tmp_path, b"no " + kind.encode(), name, size=size).startswith("BAD_COMPRESSION: ")
    assert refused(tmp_path, data + b"garbage", name, size=size).startswith("BAD_COMPRESSION: ")
    broken = bytearray(data)
    broken[len(data) // 2] ^= 0xFF
    assert refused(tmp_path, bytes(broken), name, size=size).split(":")[0] in {
        "BAD_COMPRESSION",
        "BAD_ENCODING",
    }


def test_gzip_padded_with_zeros(tmp_path: Path) -> None:
    """Tape and block tools pad; gunzip ignores it too."""
    assert content(spooled(tmp_path, gzip.compress(TEXT) + b"\0" * 100, "x.csv.gz")) == TEXT


def test_compression_by_suffix() -> None:
    for name, kind in [("a.csv", "none"), ("a.GZ", "gzip"), ("a.zst", "zstd"), ("a.csv.zstd", "zstd")]:
        assert compression_of(name, CSV) == kind
    assert compression_of("a.gz", Csv(compression="none")) == "none"


def test_parquet_is_taken_as_it_is(tmp_path: Path) -> None:
    data = b"PAR1\0\xff\xfe" * 10
    found = spooled(tmp_path, data, "x.parquet", Parquet(type="parquet"))
    assert (content(found), found.sha256) == (data, hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("text", [b"a,b\r1,2\r3,4\r", b"a,b\r1,2\r\n3,4\r", b"a,b\r1,2\r3,4\r\n"])
@pytest.mark.parametrize("size", [3, 4, 5, 100])
def test_lone_carriage_returns_end_lines(tmp_path: Path, text: bytes, size: int) -> None:
    found = spool(iter([memoryview(text[:5]), *chunked(text[5:], size)]), "x.csv", CSV, tmp_path / "s")
    assert content(found) == b"a,b\n1,2\n3,4\n"
    assert found.lines == 3


def records(count: int) -> bytes:
    """Records of one to three lines."""
    return "".join(
        f'{n},"{"line" + chr(10)} ""{n}""",é\n' if n % 3 else f"{n},b,c\n" for n in range(count)
    ).encode()


@pytest.mark.parametrize("form", [CSV, JSONL, Csv(quote="")], ids=["csv", "jsonl", "no quotes"])
def test_parts_begin_at_records_wherever_chunks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Csv | Jsonl
) -> None:
    monkeypatch.setattr(module, "PART_BYTES", 100)
    data = records(60) if form is CSV else b"".join(b'{"n": %d, "q": "\\""}\n' % n for n in range(90))
    seen = []
    for size in (1, 7, 99, 100, 101, 1000, 10**6):
        (tmp_path / str(size)).mkdir()
        found = spooled(tmp_path / str(size), data, "x", form, size)
        seen.append([p.read_bytes() for p in found.parts])
        assert content(found) == data
        assert [sum(part.count(b"\n") for part in seen[-1][:i]) for i in range(len(seen[-1]))] == list(
            found.starts
        )
    assert all(parts == seen[0] for parts in seen), "where parts lie depends on the content alone"
    assert len(seen[0]) > 8
    for part in seen[0]:
        assert part.endswith(b"\n")
        assert form is not CSV or part.count(b'"') % 2 == 0, "a record was split"


def test_lines_are_numbered_through_all_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_BYTES", 50)
    data = records(40)
    found = spooled(tmp_path, data)
    lines = data.decode().split("\n")[:-1]
    assert found.lines == len(lines)
    assert raw_lines(found.parts, list(range(1, len(lines) + 1))) == dict(enumerate(lines, 1))


def test_no_empty_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_BYTES", 4)
    for size in (1, 2, 4, 100):
        (tmp_path / str(size)).mkdir()
        parts = spooled(tmp_path / str(size), b"a,b\n1,2\n3,4\n", size=size).parts
        assert [p.read_bytes() for p in parts] == [b"a,b\n1,2\n", b"3,4\n"]
