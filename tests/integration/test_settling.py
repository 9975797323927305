"""The logs decide, and the tables follow: what is seen where a run dies in between, and who puts it right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crashing import Killed
from lakes import DAY, View, actions, check_law, csv, make_dataset, put, run

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.compact import compact
from lake_pipeline.flow.context import working
from lake_pipeline.flow.curate import ValidatedTwice, prepare
from lake_pipeline.flow.settle import look, record
from lake_pipeline.flow.state import ListedTwice, Memory
from lake_pipeline.health.unfinished import unfinished
from lake_pipeline.storage import Lake
from lake_pipeline.storage.claim import AnotherCatalog
from lake_pipeline.storage.lake import Overtaken
from lake_pipeline.storage.tables import Tables


@contextmanager
def dying_before(zone: str) -> Iterator[None]:
    """Die before the first commit to that zone's table."""
    original = Tables.replace

    def commit(self: Tables, seen: Any, *args: Any, **kwargs: Any) -> Any:
        if seen.name.startswith(zone):
            raise Killed
        return original(self, seen, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        patch.setattr(Tables, "replace", commit)
        yield


@pytest.fixture
def refused(lake_folder: Lake, tmp_path: Path) -> Dataset:
    """A partition that was refused, and passes with the file that landed after that."""
    dataset = make_dataset(tmp_path / "defs", rules="RowCount > 1")
    put(lake_folder, dataset, "a.csv", csv("a1,1,2026-03-01"))
    assert actions(run(lake_folder, dataset)) == {DAY: "refused"}
    put(lake_folder, dataset, "b.csv", csv("b1,1,2026-03-01", "b2,x,2026-03-01"))
    return dataset


@pytest.mark.parametrize("zone", ["curated", "quarantine"])
def test_what_is_decided_and_not_seen_is_pending(lake_folder: Lake, refused: Dataset, zone: str) -> None:
    run(lake_folder, refused, stages=("raw", "validated"))
    with dying_before(zone):
        run(lake_folder, refused)
    view = View(lake_folder, refused)
    assert view.values() == ([] if zone == "curated" else ["a1", "b1"])
    found = view.status()[DAY]
    assert (found.state, found.as_dict()["balanced"], found.settled) == ("pending", False, False)
    assert "Run it again" in found.reasons[-1]
    left = unfinished(lake_folder, refused)[DAY]
    assert (left.why, left.reason) == ("interrupted", "a run decided it, and did not bring its tables up")
    with pytest.raises(AssertionError, match=r"lag behind|in two places") as evidence:
        check_law(lake_folder, refused)
    for shown in ("outcomes/sales", "receipts/sales", "curated: ", "after None"):
        assert zone == "curated" or shown in str(evidence.value)
    again = run(lake_folder, refused, stages=("curated",))
    assert actions(again) == {DAY: "unchanged"}, "what was decided is done, and not decided again"
    assert check_law(lake_folder, refused).values() == ["a1", "b1"]
    assert unfinished(lake_folder, refused) == {}


def test_a_compaction_brings_the_table_up_too(lake_folder: Lake, refused: Dataset) -> None:
    with dying_before("curated"):
        run(lake_folder, refused)
    with working(lake_folder, refused, "compact") as work:
        assert compact(work, [DAY]) == {}
    assert View(lake_folder, refused).values() == ["a1", "b1"]


def test_rows_that_have_a_receipt_come_to_validated(lake_folder: Lake, refused: Dataset) -> None:
    with dying_before("validated"):
        run(lake_folder, refused)
    assert View(lake_folder, refused).values(zone="validated") == ["a1"]
    again = run(lake_folder, refused, stages=("validated", "quarantine"))
    assert again.validated[DAY].fresh == (), "nothing is validated again"
    view = View(lake_folder, refused)
    assert view.values(zone="validated") == ["a1", "b1"]
    assert view.codes("b.csv") == [["CAST_FAILED"]]


def test_a_run_that_was_overtaken_decides_nothing(lake_folder: Lake, refused: Dataset) -> None:
    with working(lake_folder, refused, "slow") as work:
        memory = Memory(lake_folder, refused)
        state = look(work, memory, [DAY])
        run(lake_folder, refused)
        expected = check_law(lake_folder, refused).curated
        mine = replace(state.outcomes[DAY], state="published", files=())
        with pytest.raises(Overtaken, match="another run has written number 2"):
            record(work, memory, state, {}, outcomes=[mine])
    assert check_law(lake_folder, refused).curated == expected


def test_nothing_is_counted_twice(lake_folder: Lake, refused: Dataset) -> None:
    run(lake_folder, refused)
    memory = Memory(lake_folder, refused)
    (*_, newest) = memory.receipts([DAY])[DAY]
    for files in ({"validated_files": newest.validated_files * 2}, {"objects": newest.objects * 2}):
        with pytest.raises(ListedTwice, match="is listed twice"):
            memory.write_receipt(replace(newest, **files))
    outcome = memory.outcomes([DAY])[DAY]
    with pytest.raises(ListedTwice):
        memory.write_outcome(replace(outcome, files=outcome.files * 2))
    memory.write_receipt(replace(newest, batch="again"))
    with working(lake_folder, refused, "late") as work:
        state = look(work, memory, [DAY])
        with pytest.raises(ValidatedTwice):
            prepare(work, memory, state)


def test_a_catalog_without_the_lakes_tables_is_another_one(lake_folder: Lake, refused: Dataset) -> None:
    run(lake_folder, refused)
    elsewhere = Lake(replace(lake_folder.settings, catalog=f"sqlite:///{lake_folder.settings.home}/other.db"))
    with pytest.raises(AnotherCatalog, match="Set LAKE_CATALOG to the lake's own"):
        run(elsewhere, refused)
