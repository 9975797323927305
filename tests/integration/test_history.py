"""The history of metrics in the lake: which values a rule sees, in which order, and what that costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lakes import DAY, actions, csv, make_dataset, put, run

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.history import MetricHistory
from lake_pipeline.storage import Lake
from lake_pipeline.storage.objects import ObjectStore

COUNT = "Dataset.*.RowCount"
ANALYZED = {"severity": "error", "implementation": 'Rules = [ RowCount > 0 ] Analyzers = [ Sum "amount" ]'}


def days(*numbers: int) -> list[str]:
    return [f"2026-03-{number:02}" for number in numbers]


def land(lake: Lake, dataset: Dataset, counts: dict[str, int], name: str = "a.csv") -> None:
    """Land a file of so many rows in each partition."""
    for day, rows in counts.items():
        put(lake, dataset, name, csv(*(f"r{i},{i},{day}" for i in range(rows))), day)


def report_of(lake: Lake, dataset: Dataset, partition: str = DAY) -> dict[str, Any]:
    """The newest stored report of a partition."""
    store = lake.zone("dq-results")
    found = [json.loads(store.read(o.key)) for o in store.list(f"{dataset.name}/{partition}")]
    newest: dict[str, Any] = max(found, key=lambda r: (r["manifest"], r["at"]))
    return newest


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of every object that is read whole, from here on."""
    found: list[str] = []
    read = ObjectStore.read

    def counted(self: ObjectStore, key: str) -> bytes:
        found.append(f"{self.root.rpartition('/')[2]}/{key}")
        return read(self, key)

    monkeypatch.setattr(ObjectStore, "read", counted)
    return found


def test_a_day_is_judged_by_the_days_before_it(lake_root: Lake, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "defs", rules="RowCount >= 0.5 * avg(last(2))")
    land(lake_root, dataset, dict(zip(days(1, 2, 3, 4), (10, 20, 8, 3), strict=True)))
    for day in days(1, 2, 3):
        assert actions(run(lake_root, dataset, day)) == {day: "published"}
    result = run(lake_root, dataset, days(4)[0])  # 3 < 0.5 * avg(8, 20)
    assert actions(result) == {days(4)[0]: "refused"}
    assert report_of(lake_root, dataset, days(4)[0])["metrics"] == {COUNT: 3.0}
    land(lake_root, dataset, {days(5)[0]: 3})  # what was refused counts as well: 0.5 * avg(3, 8)
    assert actions(run(lake_root, dataset, days(5)[0])) == {days(5)[0]: "published"}


def test_a_run_over_many_days_judges_as_one_run_for_each(lake_folder: Lake, tmp_path: Path) -> None:
    rules = 'RowCount >= 0.3 * last(), DetectAnomalies "RowCount"'
    counts = dict(zip(days(*range(1, 9)), (9, 10, 11, 10, 4, 9, 30, 10), strict=True))
    together = make_dataset(tmp_path / "a", "together", rules=rules)
    alone = make_dataset(tmp_path / "b", "alone", rules=rules)
    for dataset in (together, alone):
        land(lake_folder, dataset, counts)
    at_once = actions(run(lake_folder, together, *reversed(counts)))
    one_by_one = {day: run(lake_folder, alone, day).curated[day].action for day in counts}
    assert at_once == one_by_one
    assert {d for d, action in at_once.items() if action == "refused"} == {*days(5, 7)}


def test_an_old_day_that_is_run_again_sees_the_same_history(lake_folder: Lake, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "defs", rules="RowCount >= 0.5 * avg(last(3))")
    land(lake_folder, dataset, dict(zip(days(1, 2, 3, 4, 5), (10, 10, 6, 100, 90), strict=True)))
    run(lake_folder, dataset, *days(1, 2, 3, 4, 5))
    again = run(lake_folder, dataset, *days(3), force=True)
    assert actions(again) == dict.fromkeys(days(3), "published")
    # the second day's newest audit replaces its first
    land(lake_folder, dataset, {days(2)[0]: 30}, "b.csv")
    run(lake_folder, dataset, *days(2))
    assert actions(run(lake_folder, dataset, *days(3), force=True)) == dict.fromkeys(days(3), "refused")


def test_a_metric_is_its_rules_own(lake_folder: Lake, tmp_path: Path) -> None:
    """Two rules whose metrics have one name, such as a count of all rows and of some, have two histories."""
    rules = 'RowCount > 0, RowCount >= last() where "amount > 1", CustomSql "select 7" > last() - 1'
    rules += ', CustomSql "select max(amount) from primary" >= last()'
    dataset = make_dataset(tmp_path / "defs", rules=rules)
    land(lake_folder, dataset, dict(zip(days(1, 2), (4, 4), strict=True)))
    assert set(actions(run(lake_folder, dataset, *days(1, 2))).values()) == {"published"}
    assert report_of(lake_folder, dataset, days(2)[0])["metrics"] == {
        COUNT: 4.0,
        f'{COUNT} where "amount > 1"': 2.0,
        'Dataset.*.CustomSQL "select 7"': 7.0,
        'Dataset.*.CustomSQL "select max(amount) from primary"': 3.0,
    }


def test_a_new_rule_takes_no_other_rules_history(lake_folder: Lake, tmp_path: Path) -> None:
    old = make_dataset(tmp_path / "v1", rules="RowCount > 0")
    land(lake_folder, old, dict(zip(days(1, 2), (4, 4), strict=True)))
    run(lake_folder, old, *days(1))
    new = make_dataset(tmp_path / "v2", rules='RowCount > 0, RowCount = last() + 2 where "amount > 1"')
    assert actions(run(lake_folder, new, *days(2))) == dict.fromkeys(days(2), "published")


def test_analyzers_are_kept(lake_folder: Lake, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "defs", quality=[ANALYZED])
    land(lake_folder, dataset, {DAY: 4})
    run(lake_folder, dataset)
    report = report_of(lake_folder, dataset)
    assert report["metrics"] == {COUNT: 4.0, "Column.amount.Sum": 6.0}
    assert [c["name"] for c in report["checks"]] == ["RowCount", "schema", "balance"]


def test_only_as_much_is_read_as_the_rules_look_at(
    lake_folder: Lake, tmp_path: Path, reads: list[str]
) -> None:
    dataset = make_dataset(tmp_path / "defs", rules="RowCount > avg(last(3)) * 0.1")
    land(lake_folder, dataset, dict.fromkeys(days(*range(1, 29)), 2))
    run(lake_folder, dataset, *days(*range(1, 28)))
    reads.clear()
    run(lake_folder, dataset, *days(28))
    audited = {key.split("/")[2] for key in reads if key.startswith("dq-results/")}
    assert audited == {*days(25, 26, 27, 28)}  # its own is read by the gate
    reads.clear()
    run(lake_folder, dataset, *days(*range(2, 29)), force=True)
    before = [k for k in reads if k.startswith("dq-results/") and k.split("/")[2] == days(1)[0]]
    assert len(before) == 1


def test_nothing_is_read_where_no_rule_looks_back(
    lake_folder: Lake, tmp_path: Path, reads: list[str]
) -> None:
    dataset = make_dataset(tmp_path / "defs", rules="RowCount > 0")
    land(lake_folder, dataset, dict.fromkeys(days(1, 2), 2))
    run(lake_folder, dataset, *days(1))
    reads.clear()
    history = MetricHistory(lake_folder, dataset)
    assert history.depth == 0
    assert history.before(days(2)[0]).get(COUNT) == []
    assert not reads


def test_a_dataset_without_partitions_looks_back_at_its_earlier_inputs(
    lake_root: Lake, tmp_path: Path
) -> None:
    at_most = "RowCount <= 2 * last() + 10"
    dataset = make_dataset(tmp_path / "defs", rules=at_most, partitions={"by": "none"})
    put(lake_root, dataset, "a.csv", csv(*(f"a{i},1,2026-03-01" for i in range(10))), "all")
    assert actions(run(lake_root, dataset, "all")) == {"all": "published"}
    put(lake_root, dataset, "b.csv", csv(*(f"b{i},1,2026-03-01" for i in range(10))), "all")
    assert actions(run(lake_root, dataset, "all")) == {"all": "published"}  # 20 <= 2 * 10 + 10
    put(lake_root, dataset, "c.csv", csv(*(f"c{i},1,2026-03-01" for i in range(100))), "all")
    assert actions(run(lake_root, dataset, "all")) == {"all": "refused"}  # 120 > 2 * 20 + 10
    again = run(lake_root, dataset, "all", force=True)  # its own audit is no history of it
    assert actions(again) == {"all": "refused"}
    history = MetricHistory(lake_root, dataset, 3).before("all")
    assert history[COUNT] == [20.0]
    assert MetricHistory(lake_root, dataset).before("all")[COUNT] == [120.0]
    everything = MetricHistory(lake_root, dataset).everything()
    assert [(label, metrics[COUNT]) for label, metrics in everything] == [
        ("all (1)", 10.0),
        ("all (2)", 20.0),
        ("all (3)", 120.0),
    ]


def test_rules_on_files_see_the_landed_files_of_their_partition(lake_root: Lake, tmp_path: Path) -> None:
    body = csv("x,1,2026-03-01")
    rules = (
        f"FileSize between 1 B and {len(body) + 1} B, FileUniqueness = 1.0, FileFreshness > (now() - 2 days)"
    )
    dataset = make_dataset(tmp_path / "defs", rules=rules, duplicate_content="allow")
    put(lake_root, dataset, "a.csv", body, days(1)[0])
    put(lake_root, dataset, "b.csv", body.replace(b"x", b"y"), days(1)[0])
    put(lake_root, dataset, "a.csv", csv("x,1,2026-03-01", "y,1,2026-03-01"), days(2)[0])
    result = run(lake_root, dataset, *days(1, 2))
    assert actions(result) == dict(zip(days(1, 2), ("published", "refused"), strict=True))
    failed = [v.name for v in result.verdicts(days(2)[0]) if not v.passed]
    assert failed == ["FileSize"]


def test_partitions_together_have_the_columns_of_one_alone(lake_folder: Lake, tmp_path: Path) -> None:
    rules = 'ColumnCount = 3, ColumnNamesMatchPattern "^[a-z]+$"'
    dataset = make_dataset(tmp_path / "defs", rules=rules)
    land(lake_folder, dataset, dict.fromkeys(days(1, 2), 2))
    assert set(actions(run(lake_folder, dataset, *days(1, 2))).values()) == {"published"}


def test_a_refused_day_is_judged_again_when_its_history_is_another(lake_folder: Lake, tmp_path: Path) -> None:
    """A backfill of the days before it: what was refused for them is looked at again, and only then."""
    dataset = make_dataset(tmp_path / "defs", rules="RowCount >= 0.5 * avg(last(2))")
    one, three, four = days(1, 3, 4)
    land(lake_folder, dataset, {one: 20, three: 4, four: 4})
    assert actions(run(lake_folder, dataset, one)) == {one: "published"}
    assert actions(run(lake_folder, dataset, three)) == {three: "refused"}
    assert actions(run(lake_folder, dataset, three)) == {three: "still refused"}
    run(lake_folder, dataset, four)
    assert actions(run(lake_folder, dataset, three)) == {
        three: "still refused"
    }  # what comes after is no history
    land(lake_folder, dataset, {one: 6}, name="a.csv")  # sent again, shorter
    assert actions(run(lake_folder, dataset, one)) == {one: "published"}
    assert actions(run(lake_folder, dataset, three)) == {three: "published"}
