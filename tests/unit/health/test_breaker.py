"""The circuit breaker: opens after failures in a row, tries one partition, closes; kept in the lake, by any number of writers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from lakes import make_dataset

from lake_pipeline.datasets import Dataset
from lake_pipeline.health.breaker import Breaker, breaker, breakers, may_start, record, resume
from lake_pipeline.storage import Lake

NOW = datetime(2026, 2, 25, 8, tzinfo=UTC)
SOON, LATER = NOW + timedelta(seconds=59), NOW + timedelta(seconds=61)


@pytest.fixture
def sales(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path / "defs", breaker={"failures": 3, "cool_down_seconds": 60})


def test_it_opens_after_failures_in_a_row_and_says_so(lake_root: Lake, sales: Dataset) -> None:
    assert may_start(lake_root, sales, NOW).allowed
    for n, actions in enumerate((["refused"], ["published"], ["failed", "refused"])):
        record(lake_root, sales, f"r{n}", actions, NOW)
        assert may_start(lake_root, sales, NOW).allowed
    record(lake_root, sales, "r3", ["refused"], NOW)
    held = may_start(lake_root, sales, SOON)
    assert (held.allowed, held.only_one) == (False, False)
    assert "3 partitions failed in a row" in held.reason
    assert "lake resume sales" in held.reason
    assert breakers(lake_root)["sales"].state == "open"


def test_after_the_cool_down_one_partition_is_tried(lake_folder: Lake, sales: Dataset) -> None:
    record(lake_folder, sales, "r", ["refused"] * 3, NOW)
    trial = may_start(lake_folder, sales, LATER)
    assert (trial.allowed, trial.only_one) == (True, True)
    again = may_start(lake_folder, sales, LATER)
    assert (again.allowed, "being tried" in again.reason) == (False, True)
    assert record(lake_folder, sales, "trial", ["published"], LATER).state == "closed"
    assert may_start(lake_folder, sales, LATER).allowed


@pytest.mark.parametrize(
    ("action", "state"),
    [("published", "closed"), ("unchanged", "closed"), ("refused", "open"), ("failed", "open"), ("still refused", "open")],
)  # fmt: skip
def test_any_answer_ends_the_trial(lake_folder: Lake, sales: Dataset, action: str, state: str) -> None:
    record(lake_folder, sales, "r", ["failed"] * 3, NOW)
    assert may_start(lake_folder, sales, LATER).only_one
    found = record(lake_folder, sales, "trial", [action], LATER)
    assert found.state == state
    assert may_start(lake_folder, sales, LATER).allowed is (state == "closed")


def test_a_trial_without_an_answer_is_followed_by_another(lake_folder: Lake, sales: Dataset) -> None:
    record(lake_folder, sales, "r", ["failed"] * 3, NOW)
    assert may_start(lake_folder, sales, LATER).only_one
    assert not may_start(lake_folder, sales, LATER + timedelta(seconds=59)).allowed
    assert may_start(lake_folder, sales, LATER + timedelta(seconds=60)).only_one


def test_a_run_that_is_told_twice_counts_once(lake_folder: Lake, sales: Dataset) -> None:
    for _ in range(5):
        record(lake_folder, sales, "same", ["failed", "failed"], NOW)
    assert breaker(lake_folder, "sales") == Breaker("closed", 2, runs=("same",))


def test_what_was_decided_before_counts_neither_way(lake_folder: Lake, sales: Dataset) -> None:
    record(lake_folder, sales, "a", ["failed", "failed"], NOW)
    record(lake_folder, sales, "b", ["still refused", "unchanged", "validated"], NOW)
    assert breaker(lake_folder, "sales").failures == 2
    record(lake_folder, sales, "c", ["failed"], NOW)
    assert record(lake_folder, sales, "d", ["published"], NOW).state == "open"  # only a trial closes it


def test_zero_means_never(lake_folder: Lake, tmp_path: Path) -> None:
    calm = make_dataset(tmp_path / "defs", breaker={"failures": 0})
    assert record(lake_folder, calm, "r", ["failed"] * 100, NOW).state == "closed"


def test_a_hand_closes_it(lake_root: Lake, sales: Dataset) -> None:
    assert resume(lake_root, "sales", NOW) is False
    record(lake_root, sales, "r", ["failed"] * 3, NOW)
    assert resume(lake_root, "sales", SOON) is True
    assert may_start(lake_root, sales, SOON) == may_start(lake_root, sales, NOW)
    found = breaker(lake_root, "sales")
    assert (found.state, found.failures, found.why) == ("closed", 0, "closed by hand")
    record(lake_root, sales, "r", ["failed"] * 3, SOON)
    assert breaker(lake_root, "sales").state == "closed"  # the run was counted before


def test_every_change_stays_in_the_history(lake_folder: Lake, sales: Dataset) -> None:
    record(lake_folder, sales, "r", ["failed"] * 3, NOW)
    may_start(lake_folder, sales, LATER)
    record(lake_folder, sales, "t", ["published"], LATER)
    names = sorted(o.key for o in lake_folder.zone("ops").list("breakers/sales"))
    assert names == [f"breakers/sales/00000{n}.json" for n in (1, 2, 3)]


def test_no_failure_is_lost_among_many_writers(lake_root: Lake, sales: Dataset) -> None:
    gate = Barrier(8)

    def fail(n: int) -> None:
        gate.wait()
        record(lake_root, sales, f"run-{n}", ["failed"], NOW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fail, range(8)))
    found = breaker(lake_root, "sales")
    assert (found.state, found.failures, len(found.runs)) == ("open", 8, 8)


def test_one_of_many_callers_is_granted_the_trial(lake_root: Lake, sales: Dataset) -> None:
    record(lake_root, sales, "r", ["failed"] * 3, NOW)
    gate = Barrier(8)

    def ask(_: int) -> bool:
        gate.wait()
        return may_start(lake_root, sales, LATER).allowed

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 1
