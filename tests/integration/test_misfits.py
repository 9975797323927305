"""Objects whose path names a partition that cannot be: they are shown, and stop nothing."""

from __future__ import annotations

from pathlib import Path

from lakes import DAY, csv, make_dataset, put, run

from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.flow.inventory import landed_partitions
from lake_pipeline.flow.status import status
from lake_pipeline.storage import Lake


def test_a_date_that_cannot_be_is_shown_and_not_run(lake_root: Lake, tmp_path: Path) -> None:
    sales = make_dataset(tmp_path / "defs")
    good = put(lake_root, sales, "a.csv", csv(f"a1,1,{DAY}"))
    for date in ("2026/02/30", "1999/01/01"):
        key = good.replace(DAY.replace("-", "/"), date)
        assert key != good
        lake_root.zone("raw").write(key, csv("x1,1,2026-02-28"))
    assert landed_partitions(lake_root, sales) == [DAY]
    run(lake_root, sales)
    engine = DuckDB(tmp_path)
    found = {s.partition: s for s in status(lake_root, sales, engine)}
    engine.close()
    assert {p: s.state for p, s in found.items()} == {
        DAY: "published",
        "2026-02-30": "refused",
        "1999-01-01": "refused",
    }
    assert "PARTITION_MISMATCH" in found["2026-02-30"].reasons[0]
    assert "before the first partition" in found["1999-01-01"].reasons[0]
