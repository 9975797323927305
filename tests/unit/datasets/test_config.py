"""What a defs.yaml may say, the transform steps, and how problems are told."""

from __future__ import annotations

import importlib
import linecache
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from lakes import make_dataset
from pydantic import ValidationError

from lake_pipeline.datasets.config import Csv, DatasetConfig, Json, Jsonl, Parquet, RejectBudget
from lake_pipeline.datasets.loading import (
    DatasetError,
    dataset_folders,
    explain,
    load_all,
    load_dataset,
    pick,
)
from lake_pipeline.datasets.transforms import (
    Default,
    Derive,
    Filter,
    Lower,
    Rename,
    Select,
    Trim,
    Upper,
    landed_names,
    parse_step,
)
from lake_pipeline.errors import UsageError

LANDING = "x/{yyyy}/{mm}/{dd}/"
DAILY = {"by": "daily", "start": "2013-01-01"}


def problems(**attributes: Any) -> str:
    """What is wrong with the attributes, as people see it."""
    with pytest.raises(ValidationError) as e:
        DatasetConfig.model_validate({"landing": "x/", **attributes})
    return explain(e.value)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"partition": DAILY}, 'partition: there is no such attribute. Did you mean "partitions"?'),
        (
            {"formats": [{"type": "csv", "delimter": ";"}]},
            'delimter: there is no such attribute. Did you mean "delimiter"?',
        ),
        ({"transform": "clean.py"}, '  transform: is neither a list of steps nor "python: module:function".'),
        ({"partitions": {"by": "daily"}}, "  partitions: partitions by daily need a start"),
        ({"partitions": {"by": "daily"}}, "need a start, e.g. start: 2024-01-01"),
        ({"partitions": {"by": "daily", "start": "2024-02-30"}}, '"2024-02-30" is no date'),
        ({"partitions": {"by": "daily", "start": "2024-01-01", "end": "soon"}}, '"soon" is no date'),
        ({"partitions": {**DAILY, "timezone": "Europe/Berln"}}, '"Europe/Berln" is no time zone'),
        ({"partitions": {**DAILY, "timezone": "../x"}}, "is no time zone"),
        ({"partitions": {"by": "weekly", "start": "2024-01-01"}}, "partitions.by: "),
        ({"partitions": {"column": "x"}}, "make sense only with by"),
        ({"formats": []}, "formats: "),
        ({"formats": [{"type": "xml"}]}, "formats.0: "),
        ({"formats": [{"type": "csv", "delimiter": ",,"}]}, "must be one character"),
        ({"formats": [{"type": "csv", "quote": "\n"}]}, "no line break"),
        ({"formats": [{"type": "csv", "encoding": "utf-9"}]}, '"utf-9" is no encoding'),
        ({"formats": [{"type": "csv", "compression": "zip"}]}, "compression"),
        ({"formats": [{"type": "csv", "delimiter": "'", "quote": "'"}]}, "must differ"),
        ({"formats": [{"type": "csv", "quote": "»"}]}, "ASCII"),
        ({"transform": [{"uper": ["a"]}]}, '"uper" is no transform step. Did you mean "upper"?'),
        ({"transform": [{"upper": []}]}, "expects a list of column names"),
        ({"transform": {"python": "not a path"}}, "python"),
        ({"deduplicate": {"key": []}}, "deduplicate.key"),
        ({"reject_budget": {"percent": 101}}, "reject_budget.percent"),
        ({"file_size": {"min": 0}}, "file_size.min"),
        ({"engine": "sparc"}, "engine: "),
        ({"landing": None}, "landing: "),
        ({"arrivals": {"schedule": "7:30"}}, "a cron expression of five fields"),
        ({"arrivals": {"max_events": 0}}, "arrivals.max_events"),
        ({"arrivals": {"max_wait": 5}}, "arrivals.max_wait"),
    ],
)
def test_problems(attributes: Mapping[str, Any], message: str) -> None:
    assert message in problems(**attributes)


def test_all_problems_at_once() -> None:
    text = problems(engine="x", partitions={"by": "daily"}, formats=[{"type": "csv", "encoding": "x"}])
    assert [word in text for word in ("engine: ", "partitions: ", "encoding: ")] == [True] * 3


def test_defaults_and_options() -> None:
    config = DatasetConfig.model_validate({"landing": "x/"})
    assert [f.endings for f in config.formats] == [(".csv", ".csv.gz", ".csv.zst")]
    assert Csv(type="tsv").separator == "\t"
    assert Csv(delimiter=";").separator == ";"
    assert Parquet(type="parquet").endings[0] == ".parquet"
    assert Jsonl(type="jsonl").endings[:1] + Json(type="json").endings[:1] == (".jsonl", ".json")
    assert hash(config.formats[0]) == hash(Csv())


@pytest.mark.parametrize(
    ("budget", "rejected", "total", "exceeded"),
    [
        (RejectBudget(), 10, 10, False),
        (RejectBudget(rows=0), 0, 10, False),
        (RejectBudget(rows=0), 1, 10, True),
        (RejectBudget(percent=10), 1, 10, False),
        (RejectBudget(percent=9.9), 1, 10, True),
        (RejectBudget(rows=5, percent=50), 6, 100, True),
        (RejectBudget(percent=0), 0, 0, False),
    ],
)
def test_reject_budget(budget: RejectBudget, rejected: int, total: int, exceeded: bool) -> None:
    assert budget.exceeded(rejected, total) is exceeded


@pytest.mark.parametrize(
    ("step", "value"),
    [
        ({"rename": {"new": "old"}}, Rename({"new": "old"})),
        ({"derive": {"total": "a * b"}}, Derive({"total": "a * b"})),
        ({"upper": "a"}, Upper(("a",))),
        ({"lower": ["a", "b"]}, Lower(("a", "b"))),
        ({"trim": ["a"]}, Trim(("a",))),
        ({"default": {"a": 0}}, Default({"a": 0})),
        ({"select": ["a"]}, Select(("a",))),
        ({"filter": "a > 1"}, Filter("a > 1")),
    ],
)
def test_steps(step: Any, value: Any) -> None:
    assert parse_step(step) == value
    assert type(parse_step(step)) is type(value)


@pytest.mark.parametrize(
    "step",
    [None, "upper", [], {}, {"upper": ["a"], "lower": ["b"]}, {"rename": []}, {"rename": {}}, {"rename": {"a": 1}},
     {"derive": "x"}, {"upper": [1]}, {"default": 1}, {"filter": ""}, {"filter": None}, {"select": []}],
)  # fmt: skip
def test_no_steps(step: Any) -> None:
    with pytest.raises(ValueError, match="transform step"):
        parse_step(step)


@pytest.mark.parametrize(
    ("steps", "names"),
    [
        ((), {"a": "a", "b": "b"}),
        ((Rename({"a": "x"}),), {"a": "x", "b": "b"}),
        ((Rename({"a": "x"}), Rename({"b": "y"})), {"a": "x", "b": "y"}),
        ((Rename({"x": "y"}), Rename({"a": "x"})), {"a": "y", "b": "b"}),
        ((Rename({"a": "b", "b": "a"}),), {"a": "b", "b": "a"}),
        ((Derive({"a": "b + 1"}),), {"b": "b"}),
        ((Derive({"a": "a * 2"}),), {"a": "a", "b": "b"}),
        ((Derive({"a": '"a" * 2'}),), {"a": "a", "b": "b"}),
        ((Derive({"x": "b"}), Rename({"a": "x"})), {"b": "b"}),
        ((Rename({"a": "x"}), Derive({"a": "a + 1"})), {"a": "x", "b": "b"}),
        ((Derive({"a": "upper('a')"}),), {"b": "b"}),
        ((Derive({"a": "banana + ab"}),), {"b": "b"}),
        ((Upper(("a",)), Default({"b": 1}), Filter("a > 1"), Select(("a", "b"))), {"a": "a", "b": "b"}),
    ],
)
def test_landed_names(steps: Any, names: dict[str, str]) -> None:
    assert landed_names(steps, ("a", "b")) == names


def dataset(tmp_path: Path, name: str = "orders", **changes: Any) -> Path:
    """A copy of the shipped orders with changed attributes."""
    import shutil

    from lake_pipeline.datasets.loading import SHIPPED

    folder = tmp_path / name
    shutil.copytree(SHIPPED / "orders", folder)
    document = yaml.safe_load((folder / "defs.yaml").read_text())
    document["attributes"].update(changes)
    (folder / "defs.yaml").write_text(yaml.safe_dump(document))
    return folder


def test_shipped_datasets_load() -> None:
    assert {"orders", "flights", "weather", "planes", "airports", "airlines"} <= set(load_all())
    for one in load_all().values():
        assert one.validation_hash != one.transform_hash
        assert one.landed_columns


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"partitions": {**DAILY, "column": "event_t"}},
            'no landed column "event_t". Did you mean "event_ts"?',
        ),
        ({"deduplicate": {"key": ["order"]}}, 'the contract has no column "order"'),
        ({"landing": "orders/{yyyy}/", "partitions": DAILY}, "lacks {mm}"),
        (
            {"formats": [{"type": "csv"}, {"type": "tsv", "suffixes": [".csv"]}]},
            'two formats claim the suffix ".csv"',
        ),
        ({"landings": "x"}, 'Did you mean "landing"?'),
        (
            {
                "landing": "o/{yyyy}/o_{yyyy}{mm}{dd}.csv",
                "partitions": DAILY,
                "producer_manifest": "required",
            },
            'producer_manifest: "o/{yyyy}/" lacks {mm}',
        ),
        (
            {"landing": "o/*/{yyyy}/{mm}/{dd}/", "partitions": DAILY, "producer_manifest": "required"},
            "has a *, so partitions have no folder for a manifest of their own",
        ),
    ],
)
def test_disagreements(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(DatasetError) as e:
        load_dataset(dataset(tmp_path, **changes))
    assert message in str(e.value)
    assert "defs.yaml" in str(e.value)


def test_a_folder_of_another_name(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match='the folder is called "sales", its contract "orders"'):
        load_dataset(dataset(tmp_path, "sales"))


def test_broken_folders(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"has no defs\.yaml"):
        load_dataset(tmp_path)
    (tmp_path / "defs.yaml").write_text("a: [")
    with pytest.raises(DatasetError, match="is no YAML"):
        load_dataset(tmp_path)
    (tmp_path / "defs.yaml").write_text("type: other")
    with pytest.raises(DatasetError, match=r"expected .type: lake_pipeline\.LakeDataset"):
        load_dataset(tmp_path)


def test_two_datasets_of_one_name(tmp_path: Path) -> None:
    dataset(tmp_path / "a")
    dataset(tmp_path / "b")
    with pytest.raises(DatasetError, match='Two dataset folders are called "orders"'):
        dataset_folders([tmp_path])


def test_pick() -> None:
    assert pick("orders").name == "orders"
    with pytest.raises(UsageError, match=r'There is no dataset "ordres".*Did you mean "orders"'):
        pick("ordres")


def test_hashes_follow_what_they_are_of(tmp_path: Path) -> None:
    one = load_dataset(dataset(tmp_path / "1"))
    same = load_dataset(dataset(tmp_path / "2"))
    null = load_dataset(dataset(tmp_path / "3", formats=[{"type": "csv", "nulls": ["", "NA"]}]))
    kept = load_dataset(dataset(tmp_path / "4", deduplicate={"key": ["order_id"], "keep": "first"}))
    assert (one.validation_hash, one.transform_hash) == (same.validation_hash, same.transform_hash)
    assert (null.validation_hash == one.validation_hash, null.transform_hash == one.transform_hash) == (
        False,
        True,
    )
    assert (kept.validation_hash == one.validation_hash, kept.transform_hash == one.transform_hash) == (
        True,
        False,
    )


def test_a_helper_of_a_python_transform_is_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is published follows from the whole module: a helper that is changed publishes again."""
    monkeypatch.syspath_prepend(str(tmp_path))
    path, found = tmp_path / "helped.py", []
    for number in (1, 22, 1):
        path.write_text(
            f"def helper(t):\n    return t.limit({number})\n\n\ndef clean(t):\n    return helper(t)\n"
        )
        sys.modules.pop("helped", None)
        linecache.clearcache()
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        importlib.invalidate_caches()
        found.append(make_dataset(tmp_path / "defs", transform={"python": "helped:clean"}).transform_hash)
    sys.modules.pop("helped", None)
    assert (found[0] == found[2], found[0] == found[1]) == (True, False)
