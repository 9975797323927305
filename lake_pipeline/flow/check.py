"""What would happen to a file, without writing anything to the lake: a dry run in a lake of its own."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import UNPARTITIONED, check_key
from lake_pipeline.flow.audit import Verdict
from lake_pipeline.flow.context import Work, working
from lake_pipeline.flow.curate import Curated, curate
from lake_pipeline.flow.inventory import take_inventory
from lake_pipeline.flow.state import ObjectReceipt
from lake_pipeline.flow.validate import validate
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

SAMPLE = 20


@dataclass(frozen=True)
class Preview:
    """What would become of a file: its receipt, its rejects (at most `SAMPLE`), and the audit of it alone."""

    receipt: ObjectReceipt
    rejects: tuple[dict[str, Any], ...]
    curated: Curated

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The audit's verdicts."""
        return self.curated.verdicts


def check(lake: Lake, dataset: Dataset, file: Path, partition: str | None) -> Preview:
    """Land and run the file in a throw-away lake; rules that compare with other tables see the real ones.

    Without a partition, whether its rows belong to one is not checked.
    """
    spec = dataset.config.partitions
    dataset = replace(dataset, config=dataset.config.model_copy(update={"engine": "duckdb"}))
    if partition is not None:
        key = check_key(spec, partition)
    elif spec.by == "none":
        key = UNPARTITIONED
    else:
        key = check_key(spec, f"{spec.start}-00:00" if spec.by == "hourly" else spec.start)
        config = dataset.config.model_copy(update={"partitions": spec.model_copy(update={"column": ""})})
        dataset = replace(dataset, config=config)
    with tempfile.TemporaryDirectory(prefix="lake-check-") as folder:
        scratch = Lake(Settings.at(folder, dataset_folders=lake.settings.dataset_folders))
        scratch.zone("raw").write(dataset.template.fill(key, file.name), file)
        with working(scratch, dataset, "check", reference=lake) as work:
            manifests = take_inventory(scratch, dataset, [key])
            receipt = validate(work, manifests)[key].receipts[0]
            curated = curate(work, [key])[key]
            store = scratch.zone("quarantine")
            paths = [
                Path(store.root) / store.key(f.uri)
                for f in scratch.tables.files(f"quarantine.{dataset.name}")
            ]
            rows = first_rows(work, paths) if paths else []
    rejects = tuple(
        {**r, "reasons": r["reasons"]}
        for r in rows
        if (r["stage"], r["kind"]) == ("INGEST_VALIDATION", "row")
    )
    return Preview(receipt, tuple(json.loads(json.dumps(r, default=str)) for r in rejects), curated)


def first_rows(work: Work, paths: list[Path]) -> list[dict[str, Any]]:
    """The first rejects, by line and record."""
    table = work.engine.table(work.engine.ibis(), paths)
    first = table.order_by("line", "_record").limit(SAMPLE)
    found: list[dict[str, Any]] = first.to_pyarrow().to_pylist()
    return found
