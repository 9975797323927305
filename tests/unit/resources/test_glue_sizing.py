"""Workers from bytes and files: bounded, never fewer for more, in the smallest type that fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake_pipeline.errors import UsageError
from lake_pipeline.resources.glue.sizing import DPUS, GIB, Limits, Workers, size_for

SIZES = st.integers(0, 50_000 * GIB)
FILES = st.integers(0, 10_000_000)


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    least = draw(st.integers(2, 30))
    return Limits(
        min_workers=least,
        max_workers=draw(st.integers(least, 300)),
        types=tuple(draw(st.lists(st.sampled_from([*DPUS]), min_size=1, unique=True))),
        bytes_per_dpu=draw(st.integers(1, 64 * GIB)),
        files_per_dpu=draw(st.integers(1, 100_000)),
    )


@given(limits(), SIZES, FILES)
def test_it_stays_in_the_limits(limits: Limits, size: int, files: int) -> None:
    workers = size_for(size, files, limits)
    assert workers.type in limits.types
    assert limits.min_workers <= workers.number <= limits.max_workers


@given(limits(), SIZES, FILES, SIZES, FILES)
def test_more_is_never_given_less(limits: Limits, size: int, files: int, more: int, more_files: int) -> None:
    assert size_for(size + more, files + more_files, limits).dpus >= size_for(size, files, limits).dpus


@given(limits(), SIZES, FILES)
def test_below_the_limits_executors_hold_what_they_are_given(limits: Limits, size: int, files: int) -> None:
    workers = size_for(size, files, limits)
    if workers.number < limits.max_workers:
        executors = (workers.number - 1) * DPUS[workers.type]
        assert executors * limits.bytes_per_dpu >= size
        assert executors * limits.files_per_dpu >= files


@pytest.mark.parametrize(
    ("size", "files", "expected"),
    [
        (0, 0, Workers("G.1X", 2)),
        (2 * GIB, 1, Workers("G.1X", 2)),
        (2 * GIB + 1, 1, Workers("G.1X", 3)),
        (1, 5000, Workers("G.1X", 11)),
        (38 * GIB, 1, Workers("G.1X", 20)),
        (38 * GIB + 1, 1, Workers("G.2X", 11)),
        (10**15, 1, Workers("G.8X", 20)),
    ],
)
def test_sizes_by_default(size: int, files: int, expected: Workers) -> None:
    assert size_for(size, files) == expected


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"min_workers": 1}, "2 ≤ min_workers"),
        ({"min_workers": 9, "max_workers": 8}, "min_workers is 9 and max_workers 8"),
        ({"types": ()}, "No worker type"),
        ({"types": ("G.1x",)}, 'Did you mean "G.1X"'),
        ({"bytes_per_dpu": 0}, "1 or more"),
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Limits(**wrong)  # type: ignore[arg-type]


def test_there_are_no_negative_sizes() -> None:
    with pytest.raises(UsageError, match="-1 bytes"):
        size_for(-1)
