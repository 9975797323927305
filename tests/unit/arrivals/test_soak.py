"""The soak of `benchmarks/arrivals.py`, small: every object is asked for exactly once, whatever dies."""

from __future__ import annotations

from benchmarks.arrivals import listing, soak


def test_soak() -> None:
    found = soak(3_000)
    assert found["fine"], found
    assert found["deaths"] > 0
    assert (found["objects"], found["asked_once"]) == (2_400, 2_400)
    assert (found["garbage"], found["buried"]) == (30, 30)


def test_listing() -> None:
    assert listing(300)["fine"]
