"""Compacting: fewer files, the same rows, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

from compacting import split
from lakes import DAY, NEXT, View, actions, check_law, csv, make_dataset, put, run

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.compact import compact
from lake_pipeline.flow.context import working
from lake_pipeline.storage import Lake


def files(lake: Lake, dataset: Dataset) -> dict[str, int]:
    found: dict[str, int] = {}
    for file in lake.tables.files(f"curated.{dataset.name}"):
        found[file.partition] = found.get(file.partition, 0) + 1
    return found


def test_small_files_become_one(lake_root: Lake, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    for key in (DAY, NEXT):
        rows = [f"{n},{n},{key}" for n in range(3)]
        put(lake_root, dataset, "a.csv", csv(*rows), key)
    run(lake_root, dataset, DAY, NEXT)
    split(lake_root, dataset, DAY)
    before = View(lake_root, dataset).curated
    assert files(lake_root, dataset) == {DAY: 3, NEXT: 1}
    with working(lake_root, dataset, "compact") as work:
        assert compact(work, [DAY, NEXT]) == {DAY: (3, 1)}
        assert compact(work, [DAY, NEXT]) == {}
    assert files(lake_root, dataset) == {DAY: 1, NEXT: 1}
    view = check_law(lake_root, dataset)
    assert view.curated == before
    assert actions(run(lake_root, dataset, DAY, NEXT)) == {DAY: "unchanged", NEXT: "unchanged"}


def test_what_is_refused_is_left_alone(lake_folder: Lake, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, rules="RowCount < 4")
    put(lake_folder, dataset, "a.csv", csv(*(f"{n},{n},{DAY}" for n in range(3))))
    run(lake_folder, dataset)
    split(lake_folder, dataset, DAY)
    put(lake_folder, dataset, "b.csv", csv(f"9,9,{DAY}"))
    assert actions(run(lake_folder, dataset)) == {DAY: "refused"}
    with working(lake_folder, dataset, "compact") as work:
        assert compact(work, [DAY]) == {}
    assert files(lake_folder, dataset) == {DAY: 3}
