"""Rules that quarantine the rows that fail them: which rows leave, why, and how the rest is judged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pytest
from lakes import COLUMNS, make_dataset
from spark_session import missing, spark_session

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.audit import QUARANTINED, Verdict, audit, check_names
from lake_pipeline.flow.history import MetricHistory
from lake_pipeline.flow.sift import Sifted, sift
from lake_pipeline.storage import Lake

SPARK = pytest.mark.skipif(missing() is not None, reason=str(missing()))
ONE, TWO = "2026-03-01", "2026-03-02"
QUARANTINE = [{"property": "on_fail", "value": "quarantine_rows"}]


def dataset_of(folder: Path, rules: str, *, refusing: str = "RowCount > 0") -> Dataset:
    plain = {"implementation": f"Rules = [ {refusing} ]"}
    entry = {"implementation": f"Rules = [ {rules} ]", "customProperties": QUARANTINE}
    return make_dataset(folder / "defs", quality=[plain, entry], columns=COLUMNS)


def staged_of(rows: Mapping[str, list[tuple[str, float | None]]], engine: str = "duckdb") -> Any:
    """A staged table of (id, amount) by partition, on an engine."""
    listed = [
        {"id": i, "amount": a, "day": None, "_partition": p, "_source": f"s-{p}", "_record": n}
        for p, its in rows.items()
        for n, (i, a) in enumerate(its, 1)
    ]
    types = {"id": pa.string(), "amount": pa.float64(), "day": pa.date32()}
    lineage = {"_partition": pa.string(), "_source": pa.string(), "_record": pa.int64()}
    if engine == "spark":
        spark = spark_session().newSession()
        rows_of = [tuple(row.values()) for row in listed]
        kinds = "id string, amount double, day date, _partition string, _source string, _record bigint"
        spark.createDataFrame(rows_of, kinds).createOrReplaceTempView("staged")
        return ibis.pyspark.connect(spark).table("staged")
    return table_of(duckdb.connect(), pa.Table.from_pylist(listed, pa.schema({**types, **lineage})))


def table_of(connection: duckdb.DuckDBPyConnection, table: pa.Table) -> Any:
    connection.register("given", table)
    connection.execute(f"CREATE TABLE t{id(table)} AS SELECT * FROM given")
    return ibis.duckdb.from_connection(connection).table(f"t{id(table)}")


def judged(dataset: Dataset, sifted: Sifted, partitions: list[str]) -> dict[str, dict[str, Verdict]]:
    found = audit(dataset, sifted.staying, partitions, {}, sifted=sifted)
    return {p: {v.name: v for v in verdicts} for p, verdicts in found.items()}


def reasons(sifted: Sifted) -> dict[tuple[str, int], list[str]]:
    """The checks that each row that leaves fails."""
    assert sifted.rejected is not None
    assert sifted.rejected.columns == ("_partition", "_source", "_record", "reasons")
    return {
        (r["_partition"], r["_record"]): [x["column"] for x in r["reasons"]]
        for r in sifted.rejected.to_pyarrow().to_pylist()
    }


@pytest.mark.parametrize("engine", ["duckdb", pytest.param("spark", marks=SPARK)])
def test_failing_rows_leave_with_all_their_reasons(tmp_path: Path, engine: str) -> None:
    rules = 'ColumnValues "amount" < 10, IsUnique "id", ColumnLength "id" = 1'
    dataset = dataset_of(tmp_path, rules, refusing='RowCount = 2, Mean "amount" < 5')
    staged = staged_of(
        {ONE: [("a", 1.0), ("b", 2.0), ("cc", 99.0), ("d", 3.0), ("d", 4.0)], TWO: [("a", 1.0), ("b", 2.0)]},
        engine,
    )
    sifted = sift(dataset, staged, [ONE, TWO], {})
    assert reasons(sifted) == {
        (ONE, 3): ["ColumnValues_amount", "ColumnLength_id"],
        (ONE, 4): ["IsUnique_id"],
        (ONE, 5): ["IsUnique_id"],
    }
    assert sifted.rejected is not None
    first = next(r for r in sifted.rejected.to_pyarrow().to_pylist() if r["_record"] == 3)["reasons"][0]
    assert first == {
        "code": "DATA_QUALITY_FAILURE",
        "column": "ColumnValues_amount",
        "value": None,
        "message": 'ColumnValues "amount" < 10',
    }
    assert sifted.rows == {ONE: 3}
    assert sifted.failing[ONE] == {"ColumnValues_amount": 1, "IsUnique_id": 2, "ColumnLength_id": 1}
    staying = sorted(
        row["id"]
        for row in sifted.staying.filter(sifted.staying["_partition"] == ONE).to_pyarrow().to_pylist()
    )
    assert staying == ["a", "b"]
    verdicts = judged(dataset, sifted, [ONE, TWO])
    assert not any(v.refuses for by_name in verdicts.values() for v in by_name.values()), verdicts
    warned = verdicts[ONE]["IsUnique_id"]
    assert (warned.passed, warned.level, warned.metrics[QUARANTINED]) == (False, "warning", 2.0)
    assert warned.metrics["Column.id.Uniqueness"] == pytest.approx(3 / 5)  # of what came in
    assert warned.reason.startswith("2 rows quarantined: ")
    assert verdicts[ONE]["RowCount"].metrics["Dataset.*.RowCount"] == 2.0  # of what stays
    assert all(v.passed for v in verdicts[TWO].values())
    assert verdicts[TWO]["IsUnique_id"].metrics[QUARANTINED] == 0.0


def test_a_rule_that_passes_lets_its_failing_rows_stay(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, 'Completeness "amount" >= 0.5')
    staged = staged_of({ONE: [("a", 1), ("b", None)], TWO: [("a", 1), ("b", None), ("c", None)]})
    sifted = sift(dataset, staged, [ONE, TWO], {})
    assert reasons(sifted) == {(TWO, 2): ["Completeness_amount"], (TWO, 3): ["Completeness_amount"]}
    verdicts = judged(dataset, sifted, [ONE, TWO])
    assert verdicts[ONE]["Completeness_amount"].passed
    assert (verdicts[TWO]["Completeness_amount"].level, verdicts[TWO]["Completeness_amount"].severity) == (
        "warning",
        "error",
    )


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ('Completeness "amount" < 0.5', [("a", 1.0), ("b", 2.0)]),  # no row fails it, and the whole does
        ('ColumnValues "amount" < 10', [("a", 99.0), ("b", 98.0)]),  # no row is left
        ('ColumnValues "id" > 10', [("a", 1.0)]),  # it cannot be evaluated
        ('CustomSql "select nope from primary"', [("a", 1.0)]),
    ],
)
def test_what_does_not_hold_of_the_rest_refuses(
    tmp_path: Path, rule: str, rows: list[tuple[str, float | None]]
) -> None:
    dataset = dataset_of(tmp_path, rule, refusing="ColumnCount > 0")
    sifted = sift(dataset, staged_of({ONE: rows}), [ONE], {})
    verdicts = judged(dataset, sifted, [ONE])[ONE]
    (name,) = {n for n, _, _ in check_names(dataset.contract)} - {"ColumnCount", "schema", "balance"}
    assert verdicts[name].refuses
    assert verdicts[name].reason


def test_nothing_is_computed_without_such_rules(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "defs", rules='IsUnique "id"')
    staged = staged_of({ONE: [("a", 1), ("a", 2)]})
    sifted = sift(dataset, staged, [ONE], {})
    assert sifted.staying is staged
    assert (sifted.rejected, sifted.outcomes) == (None, {})


def test_rejected_rows_are_computed_once(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, 'ColumnValues "amount" < 10')
    staged = staged_of({ONE: [("a", 1), ("b", 99)]})
    kept: list[Any] = []

    def keep(table: Any) -> Any:
        kept.append(table)
        return table_of(staged.get_backend().con, table.to_pyarrow())

    sifted = sift(dataset, staged, [ONE], {}, keep=keep)
    assert len(kept) == 1
    assert reasons(sifted) == {(ONE, 2): ["ColumnValues_amount"]}
    assert sifted.staying.count().to_pyarrow().as_py() == 1


def test_history_is_of_what_came_in(lake_folder: Lake, tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, 'ColumnValues "amount" < 10', refusing="RowCount >= last()")
    staged = staged_of({ONE: [("a", 1), ("b", 99)], TWO: [("a", 1)]})
    history = MetricHistory(lake_folder, dataset)
    sifted = sift(dataset, staged, [ONE, TWO], {}, history=history)
    found = audit(dataset, sifted.staying, [ONE, TWO], {}, history=history, sifted=sifted)
    assert not any(v.refuses for verdicts in found.values() for v in verdicts)  # 1 row each stays
    assert history.measured(ONE) == {
        "Dataset.*.RowCount": 1.0,
        "Column.amount.ColumnValues.Compliance < 10": 0.5,
    }
