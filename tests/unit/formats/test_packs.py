"""Pieces of shared files are read like files of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake_pipeline.datasets.config import Csv
from lake_pipeline.formats import packs as module
from lake_pipeline.formats.packs import Packs, on_disk, read_pieces, size_of
from lake_pipeline.formats.texts import is_record, small


def test_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACK_BYTES", 10)
    texts = [b"a\r\nb", "é\n".encode(), b"0123456789", b"x" * 11, b"y"]
    with Packs(tmp_path / "packs") as packs:
        pieces = [packs.add(text, tmp_path / f"own-{n}") for n, text in enumerate(texts)]
    assert [p.read_bytes() for p in pieces] == list(read_pieces(pieces)) == texts
    assert len({p.shared for p in pieces}) == 4
    assert list(read_pieces(reversed(pieces))) == texts[::-1]
    with pieces[0].open(encoding="utf-8", newline="\n") as file:
        assert file.readlines() == ["a\r\n", "b"]
    with pieces[1].open("rb") as file:
        assert file.read() == texts[1]
    assert [size_of(p) for p in pieces] == [len(t) for t in texts]
    assert not pieces[0].own.exists()
    assert on_disk(pieces[0]).read_bytes() == texts[0]
    assert on_disk(on_disk(pieces[0])) == pieces[0].own


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (b"a,b\n1,2\n", True), (b"a,b\n1,2", True), (b"a,b", True), (b'"a",b\n', True), (b"a,b\r\n1,2\r\n", False),
        (b"a,b\n\n1,2\n", False), (b"a,b\n1,2\n\n", False), (b"\na,b\n", False), (b'a,"b\nc"\n', False), (b"  \na\n", False),
    ],
)  # fmt: skip
def test_where_each_line_may_be_a_record(text: bytes, plain: bool) -> None:
    assert small(text, Path("x"), Csv()).plain is plain


def test_a_quote_that_never_closes_makes_no_record() -> None:
    assert not is_record(b'a,"b\n', ",", '"')
    assert is_record(b'a,"b\n', ",", "")
