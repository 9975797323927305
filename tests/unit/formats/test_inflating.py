"""A compressed file takes bounded memory, and no more text than it may have."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest
import zstandard

from lake_pipeline.datasets.config import Csv
from lake_pipeline.formats.spool import Refused, decompressed, spool

TEXT = b"id,amount\n" + b"a1,1\n" * 10_000_000
PACKED = {
    "gzip": gzip.compress(TEXT, mtime=0),
    "zstd": zstandard.ZstdCompressor().compress(TEXT),
}
SUFFIX = {"gzip": ".csv.gz", "zstd": ".csv.zst"}


@pytest.mark.parametrize("compression", PACKED)
def test_what_inflates_a_thousand_times_comes_in_pieces(compression: str) -> None:
    tracemalloc.start()
    try:
        size = sum(len(chunk) for chunk in decompressed(iter([PACKED[compression]]), compression))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == len(TEXT)
    assert peak < 0.8 * len(TEXT)


@pytest.mark.parametrize("compression", PACKED)
def test_the_text_may_have_so_many_bytes_and_no_more(tmp_path: Path, compression: str) -> None:
    def lines(most: int) -> int:
        name = f"a{SUFFIX[compression]}"
        return spool(iter([PACKED[compression]]), name, Csv(), tmp_path / "a", most=most).lines

    assert lines(len(TEXT)) == 10_000_001
    with pytest.raises(Refused, match=f"more than {len(TEXT) - 1} bytes decompressed") as refused:
        lines(len(TEXT) - 1)
    assert refused.value.reason.code == "FILE_TOO_LARGE"


def test_what_is_not_compressed_has_the_limit_of_landed_bytes_alone(tmp_path: Path) -> None:
    assert spool(iter([b"id\na\n"]), "a.csv", Csv(), tmp_path / "a", most=1).lines == 2
