"""An error that nobody foresaw fails the partition that has it, names its file, and stops no other partition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lakes import actions, check_law, csv, json_lines, make_dataset, put, run

from lake_pipeline.datasets import Dataset
from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.errors import Transient
from lake_pipeline.flow import candidates
from lake_pipeline.flow.apart import MOST, apart
from lake_pipeline.flow.unforeseen import Unforeseen
from lake_pipeline.storage import Lake
from lake_pipeline.storage.tables import Seen, Tables

DAYS = [f"2026-03-{n:02}" for n in range(1, 10)]
BAD = DAYS[4]


class Defect(Exception):
    """What a library raises that has a defect."""


@pytest.fixture
def landed(lake_folder: Lake, tmp_path: Any) -> Dataset:
    """Some days of two files each, in two formats; one of the files is the one that a reader will fail on."""
    sales = make_dataset(tmp_path / "defs", formats=[{"type": "csv"}, {"type": "jsonl"}])
    for day in DAYS:
        put(lake_folder, sales, "a.csv", csv(f"a-{day},1,2026-03-01"), day)
        put(lake_folder, sales, "b.jsonl", json_lines({"id": f"b-{day}"}), day)
    put(lake_folder, sales, "odd.csv", csv("odd,1,2026-03-01"), BAD)
    put(lake_folder, sales, "odd.jsonl", json_lines({"id": "odd"}), BAD)
    return sales


def in_the_engine(monkeypatch: pytest.MonkeyPatch, is_odd: Callable[[str], bool]) -> None:
    """The engine fails on parts with a file of which another word is in the text."""
    real = DuckDB.validate

    def validate(self: DuckDB, part: Any, rules: Any) -> Any:
        paths = [part.pack] if part.pack else [f.path for f in part.files]
        for path in paths:
            with path.open("rb") as text:
                if is_odd(text.read().decode()):
                    raise Defect("the engine has a defect")
        return real(self, part, rules)

    monkeypatch.setattr(DuckDB, "validate", validate)


def in_json(monkeypatch: pytest.MonkeyPatch, is_odd: Callable[[str], bool]) -> None:
    """The look into JSON fails."""
    real = DuckDB.json_structure

    def json_structure(self: DuckDB, files: Any) -> Any:
        if any(is_odd(f.read_text()) for f in files):
            raise Defect("the look has a defect")
        return real(self, files)

    monkeypatch.setattr(DuckDB, "json_structure", json_structure)


@pytest.mark.parametrize(("where", "name"), [(in_the_engine, "odd"), (in_json, "odd.jsonl")])
def test_it_fails_the_partition_that_has_it_and_names_the_file(
    lake_folder: Lake, landed: Dataset, monkeypatch: pytest.MonkeyPatch, where: Any, name: str
) -> None:
    with monkeypatch.context() as patched:
        where(patched, lambda text: "odd" in text)
        result = run(lake_folder, landed, *DAYS)
        assert list(result.unready) == [BAD]
        assert f"{BAD[-2:]}/{name}" in result.unready[BAD]
        assert "Defect: the " in result.unready[BAD]
        assert actions(result) == {day: "published" for day in DAYS if day != BAD}
        assert set(result.before) == set()
        with pytest.raises(Unforeseen, match=name):
            run(lake_folder, landed, BAD)
    view = check_law(lake_folder, landed)
    assert view.status()[BAD].state == "pending", "an error is no verdict"
    assert actions(run(lake_folder, landed, *DAYS)) == {
        day: "published" if day == BAD else "unchanged" for day in DAYS
    }
    assert len(check_law(lake_folder, landed).curated) == 2 * len(DAYS) + 2


def test_an_error_of_a_commit_is_of_its_partition(
    lake_folder: Lake, landed: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Tables.replace

    def replace(self: Tables, seen: Seen, wanted: Any, properties: Any) -> Any:
        if BAD in wanted:
            raise Defect("the catalog's client has a defect")
        return real(self, seen, wanted, properties)

    with monkeypatch.context() as patched:
        patched.setattr(Tables, "replace", replace)
        result = run(lake_folder, landed, *DAYS)
    assert list(result.unready) == [BAD]
    check_law(lake_folder, landed)
    run(lake_folder, landed, *DAYS)
    assert len(check_law(lake_folder, landed).curated) == 2 * len(DAYS) + 2


def test_what_may_pass_is_repeated_as_a_whole(
    lake_folder: Lake, landed: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def near(*_: Any) -> Any:
        raise Transient("storage did not answer")

    monkeypatch.setattr(candidates.Look, "__call__", near)
    with pytest.raises(Transient):
        run(lake_folder, landed, *DAYS)


def test_work_is_halved_until_only_those_that_fail_are_left() -> None:
    done: list[list[str]] = []
    numbers = [str(n) for n in range(20)]

    def work(keys: list[str]) -> list[str]:
        done.append(keys)
        if {"3", "17"} & set(keys):
            raise Defect(f"of {keys}")
        return keys

    answers, errors = apart(work, numbers)
    assert [k for keys in answers for k in keys] == [n for n in numbers if n not in ("3", "17")]
    assert {k: str(e) for k, e in errors.items()} == {"3": "of ['3']", "17": "of ['17']"}
    assert len(done) < len(numbers)


def test_an_error_that_all_have_is_the_error() -> None:
    tried: list[list[str]] = []

    def work(keys: list[str]) -> None:
        tried.append(keys)
        raise Defect(str(len(keys)))

    for number in (1, 2, 3, 100):
        with pytest.raises(Defect, match=r"^1$"):
            apart(work, [str(n) for n in range(number)])
    assert sum(len(keys) == 1 for keys in tried) == 1 + 2 + 3 + MOST
