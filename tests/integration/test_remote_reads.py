"""On S3, what is only looked at is not downloaded: counts, partitions and columns that a query does not need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from lakes import DAY, NEXT, csv, make_dataset, put, run

from lake_pipeline.cli.common import engine_of
from lake_pipeline.datasets import Dataset
from lake_pipeline.engines.query import query
from lake_pipeline.flow.status import status
from lake_pipeline.storage import Lake, ObjectStore, columns


@pytest.fixture
def sales(lake_s3: Lake, tmp_path: Path) -> Dataset:
    """Two published days with rejects, one of them with a refused file, and a wide column."""
    found = make_dataset(tmp_path / "defs", columns=COLUMNS)
    for day in (DAY, NEXT):
        rows = [f"{day}-{n},{n},{day},{'x' * 2000}-{n}" for n in range(300)]
        put(lake_s3, found, "a.csv", csv(*rows, f"bad,zz,{day},", header=HEADER), day)
    put(lake_s3, found, "b.csv", b"id;amount;day;text\n" + b"a;1;2;3\n" * 3, NEXT)
    run(lake_s3, found, DAY, NEXT)
    return found


HEADER = "id,amount,day,text"
COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"logicalType": "string", "required": True},
    "amount": {"logicalType": "number", "required": True},
    "day": {"logicalType": "date", "required": True},
    "text": {"logicalType": "string"},
}


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of data files that are downloaded whole."""
    found: list[str] = []
    real = ObjectStore.fetch

    def fetch(store: ObjectStore, key: str, folder: Path) -> Path:
        found.append(key)
        return real(store, key, folder)

    monkeypatch.setattr(ObjectStore, "fetch", fetch)
    return found


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """The columns that are read of data files, by key."""
    found: dict[str, set[str]] = {}
    real = columns.fetch_columns

    def fetch(store: ObjectStore, key: str, folder: Path, names: Any) -> Path:
        path = real(store, key, folder, names)
        found[key] = set(pq.read_schema(path).names)
        return path

    monkeypatch.setattr(columns, "fetch_columns", fetch)
    return found


def test_status_reads_no_rows_that_the_manifests_count(
    lake_s3: Lake, sales: Dataset, fetched: list[str]
) -> None:
    with engine_of(lake_s3) as engine:
        found = {s.partition: s.balance for s in status(lake_s3, sales, engine)}
    assert {p: (b.landed, b.curated, b.quarantined) for p, b in found.items()} == {
        DAY: (301, 300, 1),
        NEXT: (301 + found[NEXT].quarantined - 1, 300, found[NEXT].quarantined),
    }
    assert all(b.holds for b in found.values())
    assert not [key for key in fetched if DAY in key]


@pytest.mark.parametrize(
    ("where", "days"),
    [
        (f"_partition = '{DAY}'", {DAY}),
        (f"'{DAY}' < _partition AND amount >= 0", {NEXT}),
        (f"_partition IN ('{NEXT}', 'x')", {NEXT}),
        (f"_partition BETWEEN '{DAY}' AND '{DAY}'", {DAY}),
        ("_partition LIKE '2026-03-02%'", {NEXT}),
        (f"_partition = '{DAY}' OR amount >= 0", {DAY, NEXT}),
        (f"NOT _partition = '{DAY}'", {DAY, NEXT}),
        (f"upper(_partition) = '{DAY}'", {DAY, NEXT}),
    ],
)
def test_a_query_reads_the_partitions_it_asks_for(
    lake_s3: Lake, sales: Dataset, remote: dict[str, set[str]], where: str, days: set[str]
) -> None:
    sql = f"SELECT _partition, count(amount) FROM curated.sales WHERE {where} GROUP BY 1 ORDER BY 1"
    with engine_of(lake_s3) as engine:
        _, rows = query(lake_s3, engine, sql)
    asked = {DAY, NEXT} if "OR" in where else ({NEXT} if "NOT" in where else days)
    assert rows == [(day, 300) for day in sorted(asked if "upper" not in where else {DAY})]
    assert {day for day in (DAY, NEXT) if any(day in key for key in remote)} == days
    assert set().union(*remote.values()) == {"_partition", "amount"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM curated.sales ORDER BY ALL",
        "SELECT count(*) FROM curated.sales",
        "SELECT s FROM curated.sales s ORDER BY s.id LIMIT 1",
        "SELECT COLUMNS('a.*') FROM curated.sales ORDER BY ALL",
        "SELECT a.amount FROM curated.sales a NATURAL JOIN curated.sales b ORDER BY ALL LIMIT 2",
        f"SELECT a.ID FROM curated.sales a LEFT JOIN curated.sales b ON a.id = b.id WHERE b._partition = '{DAY}' ORDER BY ALL",
        f"WITH t AS (SELECT Amount x FROM curated.sales WHERE _partition = '{DAY}') SELECT sum(x) FROM t",
        f"SELECT (SELECT count(*) FROM curated.sales) - count(*) FROM curated.sales WHERE _partition = '{DAY}'",
        "SELECT line, [r.code for r in reasons] FROM quarantine.sales ORDER BY ALL",
    ],
)
def test_a_query_means_the_same(lake_s3: Lake, sales: Dataset, sql: str) -> None:
    with engine_of(lake_s3) as engine:
        found = query(lake_s3, engine, sql)
    with engine_of(lake_s3) as engine:
        whole = {
            name: [
                engine.reach(lake_s3.zone(name.partition(".")[0]), f.uri) for f in lake_s3.tables.files(name)
            ]
            for name in ("curated.sales", "quarantine.sales")
        }
        assert found == engine.select(sql, whole, {})
