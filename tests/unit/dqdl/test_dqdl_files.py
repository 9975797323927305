"""Rules on files: shares, paths, tags, checksums, and what cannot be known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from lake_pipeline.dqdl import FileInfo, Outcome, evaluate, evaluate_by

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
A = FileInfo("s3://b/in/a.csv", 1024, NOW - timedelta(hours=1), sha256="AA", md5="m1", etag="e1")
B = FileInfo("s3://b/in/b.csv", 2048, NOW - timedelta(hours=30), sha256="bb", md5="m2", etag="e2")
C = FileInfo("s3://b/in/sub/a.csv", 1024, datetime(2026, 3, 1, 9), sha256="aa", etag="e1")  # naive: UTC
ALL = (A, B, C)


def one(rule: str, files: Sequence[FileInfo] | None = ALL) -> Outcome:
    return evaluate(f"Rules = [ {rule} ]", pa.table({"x": [1]}), files=files, now=NOW).outcomes[0]


@pytest.mark.parametrize(
    ("rule", "status", "share"),
    [
        ("FileFreshness > (now() - 2 days)", "Passed", 1.0),
        ("FileFreshness > (now() - 1 days)", "Failed", 2 / 3),
        ("FileFreshness > (now() - 1 days) with threshold > 0.6", "Passed", 2 / 3),
        ("FileFreshness > (now() - 1 days) with threshold > 0.7", "Failed", 2 / 3),
        ('FileFreshness > (now() - 1 days) with failFast = "true" with threshold > 0.6', "Failed", 2 / 3),
        ('FileFreshness "s3://b/in/a.csv" > "10:59"', "Passed", 1.0),
        ('FileFreshness "s3://b/in/a.csv" = "11:00"', "Passed", 1.0),
        ('FileFreshness "s3://b/in/a.csv" = "12:00" with timeZone = "Europe/Berlin"', "Passed", 1.0),
        ('FileFreshness "S3://b/in/sub/" between "8:59 AM" and "9:01 AM"', "Passed", 1.0),
        ('FileFreshness between "2026-02-28" and "2026-03-02" with recentFiles = 2', "Passed", 1.0),
        ('FileFreshness "s3://b/none" > "2026-01-01"', "Failed", None),
        ('FileFreshness > "2026-02-31"', "Error", None),
        ('FileFreshness > "10:00" with timeZone = "Mars/Base"', "Error", None),
        ("FileSize > 1 KB", "Failed", 1 / 3),
        ("FileSize >= 1 KB", "Passed", 1.0),
        ("FileSize in [1024, 2 KB]", "Passed", 1.0),
        ("FileSize between 1 KB and 3 KB", "Failed", 1 / 3),
        ('FileSize = 2048 with uriRegex = "b[.]csv"', "Passed", 1.0),
        ('FileSize = 2048 with uriRegex = "["', "Error", None),
        ('FileSize > 0 B with recentFiles = "x"', "Error", None),
        ("FileUniqueness > 0.3", "Passed", 1 / 3),
        ('FileUniqueness "s3://b/in/b.csv" = 1', "Passed", 1.0),
        ('FileUniqueness "s3://b/none" >= 0', "Failed", None),
        ('FileMatch in ["aa", "bb"]', "Passed", 1.0),
        ('FileMatch "s3://b/in/b.csv" = "BB"', "Passed", 1.0),
        ('FileMatch "s3://b/in/b.csv" != "bb"', "Failed", 0.0),
        ('FileMatch "s3://b/in/b.csv" matches "b+"', "Passed", 1.0),
        ('FileMatch "s3://b/in/b.csv" matches "["', "Error", None),
        ('FileMatch "s3://b/in/b.csv" = "m2" with hashAlgorithm = "MD5"', "Passed", 1.0),
        ('FileMatch "s3://b/in/b.csv" = "m2" with hashAlgorithm = "SHA-1"', "Error", None),
        ('FileMatch "s3://b/in/b.csv" = "m2" with hashAlgorithm = "CRC"', "Error", None),
        ('FileMatch "s3://b/in/a.csv" "s3://b/in/sub/a.csv"', "Passed", 1.0),
        ('FileMatch "s3://b/in/a.csv" "s3://b/in/b.csv"', "Failed", 0.0),
        ('FileMatch "s3://b/in" "s3://b/in/sub"', "Failed", 1 / 3),
        ('FileMatch "s3://b/in" "s3://b/none"', "Failed", None),
    ],
)
def test_verdict(rule: str, status: str, share: float | None) -> None:
    found = one(rule)
    assert found.status == status, found
    assert (found.reason is None) == (status == "Passed")
    assert list(found.metrics.values()) == ([] if share is None else [pytest.approx(share)])


@pytest.mark.parametrize(
    "rule",
    [
        'FileFreshness > "10:00"',
        "FileSize > 1",
        "FileUniqueness > 0",
        'FileMatch = "a"',
        'FileMatch "a" "b"',
    ],
)
def test_no_files_given_and_no_file(rule: str) -> None:
    unknown = one(rule, None)
    assert unknown.status == "Error"
    assert "none were given" in str(unknown.reason)
    assert one(rule, []).status == "Failed"


def test_contents_are_told_apart_by_what_all_files_have() -> None:
    bare = FileInfo("s3://b/c", 1, NOW, etag="e1")
    assert one("FileUniqueness = 1", [bare, FileInfo("s3://b/d", 1, NOW, etag="e2")]).status == "Passed"
    assert one("FileUniqueness = 1", [bare, FileInfo("s3://b/d", 1, NOW, sha256="x")]).status == "Error"


def test_groups_and_analyzers() -> None:
    table = pa.table({"x": [1, 2], "p": ["a", "b"]})
    rules = "Rules = [ FileSize > 1 KB ] Analyzers = [ FileSize, FileFreshness, FileUniqueness ]"
    found = evaluate_by(rules, table, "p", keys=["a", "b"], files=[B], now=NOW)
    assert [e.passed for e in found.values()] == [True, True]
    assert found["a"].metrics == {
        "Dataset.*.FileSize.Compliance": 1.0,
        "Dataset.*.FileSize.Minimum": 2048.0,
        "Dataset.*.FileSize.Maximum": 2048.0,
        "Dataset.*.FileFreshness.Minimum": 30.0,
        "Dataset.*.FileFreshness.Maximum": 30.0,
        "Dataset.*.FileUniqueness": 1.0,
    }


def test_files_that_differ_are_named() -> None:
    other = FileInfo("s3://b/x/c.csv", 9, NOW, sha256="99")
    assert "differ: s3://b/in/a.csv" in str(
        one('FileMatch "s3://b/in/a.csv" "s3://b/x/c.csv"', [A, other]).reason
    )
