"""Date patterns: what is accepted, and that both languages of it read the same text alike."""

from __future__ import annotations

from datetime import datetime

import pytest

from lake_pipeline.contracts import formats

# JDK pattern, strptime pattern, a text, what it means
SAME = [
    ("yyyy-MM-dd", "%Y-%m-%d", "2026-02-25", datetime(2026, 2, 25)),
    ("dd.MM.yyyy", "%d.%m.%Y", "25.02.2026", datetime(2026, 2, 25)),
    ("yyyyMMdd", "%Y%m%d", "20260225", datetime(2026, 2, 25)),
    ("yyyy-MM-dd'T'HH:mm:ss", "%Y-%m-%dT%H:%M:%S", "2026-02-25T07:30:01", datetime(2026, 2, 25, 7, 30, 1)),
    ("MM/dd/yyyy hh:mm a", "%m/%d/%Y %I:%M %p", "02/25/2026 07:30 PM", datetime(2026, 2, 25, 19, 30)),
    ("yyyy 'o''clock' MM dd", "%Y o'clock %m %d", "2026 o'clock 02 25", datetime(2026, 2, 25)),
    ("yyyy-MM-dd 100%", "%Y-%m-%d 100%%", "2026-02-25 100%", datetime(2026, 2, 25)),
]  # fmt: skip


@pytest.mark.parametrize(("jdk", "strptime", "text", "meaning"), SAME, ids=[row[0] for row in SAME])
def test_a_pattern_in_both_languages(jdk: str, strptime: str, text: str, meaning: datetime) -> None:
    assert formats.fault(jdk, time=True) is None
    assert formats.to_strptime(jdk) == strptime
    assert datetime.strptime(text, strptime) == meaning


def test_fractions_and_offsets_are_known_parts() -> None:
    assert formats.parts("yyyy-MM-dd HH:mm:ss.SSSXXX") >= {"fraction", "offset"}
    assert formats.to_strptime("yyyy-MM-dd HH:mm:ss.SSSXXX") == "%Y-%m-%d %H:%M:%S.%g%z"


def test_a_date_has_no_time() -> None:
    fault = formats.fault("yyyy-MM-dd HH:mm", time=False)
    assert fault is not None
    assert "timestamp" in fault.hint
    assert formats.fault("yyyy-MM-dd", time=False) is None


def test_every_field_of_the_table_gives_a_directive_and_a_part() -> None:
    for field, (directive, part, expression) in formats.FIELDS.items():
        assert formats.to_regex(field) == f"^{expression}\\z"
        assert formats.to_strptime(field) == directive
        assert formats.parts(field) == {part}
