"""What a dataset is after its runs, as plain values in which nothing is left that must differ between two lakes.

Object ids, roots, hashes that follow from them, run ids, times, and the names and number of data files depend on
the lake or the engine, and on nothing else a reader sees; all else must be the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from lakes import View

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.run import Result
from lake_pipeline.flow.state import Memory, document_of
from lake_pipeline.storage import Lake

TABLES = ("validated", "curated", "quarantine")
# Follow from object ids, the time or the run; of data files, only whether there are any is the same.
DIFFERS = {
    *("run_id", "at", "first_seen", "last_seen", "modified", "snapshot"),
    *("fingerprint", "inputs", "batch", "rules", "replaces"),
}
DATA_FILES = {"validated_files", "quarantine_files", "files", "rejects"}
DOUBLE = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?")
ID = re.compile(r"\b[0-9a-f]{20}\b")


class Names:
    """What stands for the ids, versions and the root of one lake."""

    def __init__(self, lake: Lake, dataset: Dataset) -> None:
        self.root = lake.settings.root
        self.known: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        memory = Memory(lake, dataset)
        seen: dict[str, int] = {}
        for partition, newest in memory.manifests().items():
            for number in range(1, newest.number + 1):
                for entry in memory.manifest(partition, number).entries:
                    if entry.id not in self.known:
                        seen[entry.key] = seen.get(entry.key, 0) + 1
                        self.known[entry.id] = f"<{entry.key} #{seen[entry.key]}>"
                        self.versions[entry.version or entry.etag] = f"<version of {self.known[entry.id]}>"

    def plain(self, value: Any) -> Any:
        """The value, with a type that tells 1 from 1.0 and True, and without what differs."""
        if isinstance(value, Mapping):
            return {k: self._field(k, v) for k, v in value.items() if k not in DIFFERS}
        if isinstance(value, list | tuple):
            return [self.plain(v) for v in value]
        if isinstance(value, str):
            text = self.versions.get(value, value).replace(self.root, "<lake>")
            return ID.sub(lambda m: self.known.get(m[0], m[0]), text)
        return value if value is None or isinstance(value, bool) else f"{type(value).__name__} {value!r}"

    def about(self, value: Any) -> Any:
        """A report's value: what is summed up in another order differs in a double's last digits."""
        text = json.dumps(self.plain(value), ensure_ascii=False)
        return json.loads(DOUBLE.sub(lambda m: f"{float(m[0]):.12g}", text))

    def _field(self, name: str, value: Any) -> Any:
        return bool(value) if name in DATA_FILES else self.plain(value)


def remains(lake: Lake, dataset: Dataset, result: Result) -> dict[str, Any]:
    """The tables, receipts, outcomes, reports and files of a dataset, and what its last run said."""
    names, view, memory = Names(lake, dataset), View(lake, dataset), Memory(lake, dataset)
    store = lake.zone("dq-results")
    reports = [json.loads(store.read(o.key)) for o in store.list(dataset.name)]
    receipts = [o for found in memory.receipts().values() for r in found for o in map(document_of, r.objects)]
    said = {
        "actions": {p: c.action for p, c in result.curated.items()},
        "fresh": {p: sorted(o.uri for o in v.fresh) for p, v in result.validated.items()},
        "tables": {zone: table(lake, view, names, zone) for zone in TABLES},
        "receipts": ordered(names.plain(receipts)),
        "outcomes": {p: names.about(document_of(o)) for p, o in memory.outcomes().items()},
        "reports": ordered(names.about(reports)),
        "files": {p: sorted(view.kept_files(p)) for p in result.partitions},
    }
    return {k: names.plain(v) if k in ("actions", "fresh") else v for k, v in said.items()}


def table(lake: Lake, view: View, names: Names, zone: str) -> dict[str, Any]:
    """A table's columns with their types, and its rows in an order of their own."""
    schema = lake.tables.arrow_schema(f"{zone}.{view.dataset.name}")
    columns = {f.name: str(f.type) for f in schema} if schema else {}
    rows = names.plain(view.rows(zone))
    for row in rows:
        if row.get("stage") == "DATA_QUALITY":  # its reasons are those of the report
            row["reasons"] = names.about(row["reasons"])
    return {"columns": columns, "rows": ordered(rows)}


def ordered(rows: list[Any]) -> list[Any]:
    """Rows in the order of their text, lineage first."""
    return sorted(rows, key=lambda r: (str(r.get("_source")), str(r.get("_record")), str(r)))


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two remains differ, each place in one line."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(k for k in other if k not in one)]
        found = [differences(one.get(k), other.get(k), f"{path}.{k}") for k in keys]
        order = (
            []
            if list(one) == list(other) or set(one) != set(other)
            else [f"{path}: order {[*one]} ≠ {[*other]}"]
        )
        return [*order, *(d for some in found for d in some)]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [d for i, (a, b) in pairs for d in differences(a, b, f"{path}[{i}]")]
    return [] if one == other else [f"{path}: {short(one)} ≠ {short(other)}"]


def short(value: Any) -> str:
    """A value in a line."""
    text = f"{len(value)} × " + str(value) if isinstance(value, list) else str(value)
    return text if len(text) <= 300 else text[:300] + "…"
