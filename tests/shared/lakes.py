"""Make datasets in code, land bytes, run stages, and look at a lake the way its readers do."""

from __future__ import annotations

import gzip
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from lake_pipeline.cli.common import engine_of
from lake_pipeline.datasets import Dataset, load_dataset
from lake_pipeline.flow.context import EMBEDDED, Engines
from lake_pipeline.flow.run import STAGES, Result, run_stages
from lake_pipeline.flow.state import Memory, ObjectReceipt
from lake_pipeline.flow.status import Status, status
from lake_pipeline.settings import ZONES
from lake_pipeline.storage import Lake
from lake_pipeline.storage.lake import partition_folder

DAY = "2026-03-01"
NEXT = "2026-03-02"
COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"logicalType": "string", "required": True},
    "amount": {"logicalType": "number", "logicalTypeOptions": {"minimum": 0, "maximum": 1000}},
    "day": {"logicalType": "date"},
}
DAILY = {"by": "daily", "start": "2026-01-01"}


def make_dataset(
    root: Path,
    name: str = "sales",
    *,
    columns: Mapping[str, Mapping[str, Any]] = COLUMNS,
    rules: str = "",
    drift: Mapping[str, str] | None = None,
    version: str = "1.0.0",
    warnings: str = "",
    quality: Sequence[Mapping[str, Any]] = (),
    sla: str = "",
    **attributes: Any,
) -> Dataset:
    """Write a dataset's folder below `root` and load it; attributes are those of its `defs.yaml`.

    quality: further entries of the contract's quality section, without their type and engine.
    """
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    partitions = attributes.setdefault("partitions", DAILY)
    by = partitions.get("by", "none")
    dated = {"daily": "{yyyy}/{mm}/{dd}/", "hourly": "{yyyy}/{mm}/{dd}/{hh}/", "monthly": "{yyyy}/{mm}/"}
    attributes.setdefault("landing", f"{name}/{dated.get(by, '')}")
    defs = {"type": "lake_pipeline.LakeDataset", "attributes": attributes}
    rulesets = [("error", rules), ("warning", warnings)]
    contract = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": name,
        "version": version,
        "status": "active",
        "schema": [
            {
                "name": name,
                "logicalType": "object",
                "properties": [{"name": n, **c} for n, c in columns.items()],
                "quality": [
                    {"type": "custom", "engine": "dqdl", "severity": s, "implementation": f"Rules = [ {r} ]"}
                    for s, r in rulesets
                    if r
                ]
                + [{"type": "custom", "engine": "dqdl", **entry} for entry in quality],
            }
        ],
        "customProperties": [{"property": "drift", "value": dict(drift or {"additive": "keep"})}],
        **({"slaProperties": [{"property": "timeOfAvailability", "value": sla}]} if sla else {}),
    }
    (folder / "defs.yaml").write_text(yaml.safe_dump(defs, sort_keys=False), encoding="utf-8")
    (folder / "contract.yaml").write_text(yaml.safe_dump(contract, sort_keys=False), encoding="utf-8")
    return load_dataset(folder)


def csv(*rows: str, header: str = "id,amount,day") -> bytes:
    """A CSV file of some records."""
    return ("\n".join([header, *rows]) + "\n").encode()


def gz(body: bytes) -> bytes:
    """The bytes as a gzip file, the same at every call."""
    return gzip.compress(body, mtime=0)


def put(lake: Lake, dataset: Dataset, name: str, body: bytes, partition: str = DAY) -> str:
    """Land a file as a producer does; returns its key."""
    key = dataset.template.fill(partition, name)
    lake.zone("raw").write(key, body)
    return key


def run(
    lake: Lake,
    dataset: Dataset,
    *partitions: str,
    stages: Sequence[str] = STAGES,
    force: bool = False,
    engines: Engines = EMBEDDED,
) -> Result:
    """Run stages of partitions (of `DAY` by default), as Dagster's op does."""
    run_id = f"run-{uuid.uuid4().hex[:6]}"
    return run_stages(lake, dataset, partitions or (DAY,), stages, run_id, force, engines=engines)


def actions(result: Result) -> dict[str, str]:
    """What became of each partition."""
    return {p: c.action for p, c in result.curated.items()}


def listing(lake: Lake) -> dict[str, set[str]]:
    """Every object of every zone, by key and content."""
    return {zone: {f"{o.key} {o.etag} {o.size}" for o in lake.zone(zone).list()} for zone in ZONES}


Place = tuple[str, int | str]


@dataclass
class View:
    """What readers see of a dataset: its tables, by pyiceberg alone, and what the pipeline remembers."""

    lake: Lake
    dataset: Dataset

    def rows(self, zone: str) -> list[dict[str, Any]]:
        """The rows of the zone's table, sorted by their lineage."""
        table = self.lake.tables.table(f"{zone}.{self.dataset.name}")
        found: list[dict[str, Any]] = table.scan().to_arrow().to_pylist() if table else []
        return sorted(found, key=lambda r: (r["_partition"], str(r["_source"]), r["_record"] or 0))

    @cached_property
    def curated(self) -> list[dict[str, Any]]:
        return self.rows("curated")

    @cached_property
    def validated(self) -> list[dict[str, Any]]:
        return self.rows("validated")

    @cached_property
    def quarantine(self) -> list[dict[str, Any]]:
        return self.rows("quarantine")

    def values(self, column: str = "id", zone: str = "curated") -> list[Any]:
        """One column of a zone's rows, sorted."""
        return sorted(r[column] for r in self.rows(zone))

    def file_of(self, row: Mapping[str, Any]) -> str:
        """The name of the landed file that a quarantine row is about."""
        return str(row["source_uri"]).rpartition("/")[2]

    def file_codes(self) -> dict[str, list[str]]:
        """By file name: the codes of refused files."""
        found: dict[str, list[str]] = {}
        for row in self.quarantine:
            if row["kind"] == "file":
                found.setdefault(self.file_of(row), []).extend(r["code"] for r in row["reasons"])
        return found

    def rejects(self, name: str) -> list[dict[str, Any]]:
        """The rejected rows of a file, by line and record."""
        mine = [r for r in self.quarantine if r["kind"] == "row" and self.file_of(r) == name]
        return sorted(mine, key=lambda r: (r["line"] or 0, r["_record"] or 0))

    def codes(self, name: str) -> list[list[str]]:
        """The reason codes of each rejected row of a file."""
        return [sorted(x["code"] for x in r["reasons"]) for r in self.rejects(name)]

    def receipts(self, partition: str = DAY) -> list[ObjectReceipt]:
        """The newest receipts of the partition's objects that count."""
        memory = Memory(self.lake, self.dataset)
        sources = {e.id for e in memory.manifests([partition])[partition].sources}
        found = {o.id: o for r in memory.receipts([partition])[partition] for o in r.objects}
        return [o for id_, o in found.items() if id_ in sources]

    def status(self) -> dict[str, Status]:
        """The state of each partition, as `lake status` says it."""
        with engine_of(self.lake) as engine:
            return {s.partition: s for s in status(self.lake, self.dataset, engine)}

    def kept_files(self, partition: str = DAY) -> dict[str, bytes]:
        """The untouched files in quarantine, by their name."""
        store = self.lake.zone("quarantine")
        prefix = f"files/{self.dataset.name}/{partition_folder(partition)}"
        return {o.key.rpartition("/")[2]: store.read(o.key) for o in store.list(prefix)}


def place(row: Mapping[str, Any]) -> Place:
    """What identifies a landed row: its object and record, or the line where a record could not be told."""
    return str(row["_source"]), row["_record"] if row["_record"] is not None else f"line {row['line']}"


def check_law(lake: Lake, dataset: Dataset, published: Iterable[str] | None = None) -> View:
    """Every landed row is in exactly one place, counted in the tables; returns what readers see.

    Where that is not so, the error shows what the lake remembers and what its tables consist of.
    """
    view = View(lake, dataset)
    try:
        _check_law(view, published)
    except AssertionError as e:
        raise AssertionError(f"{e}\n\n{evidence(view)}") from e
    return view


def evidence(view: View) -> str:
    """The logs of a dataset, the files of its tables, and their snapshots."""
    lake, name, lines = view.lake, view.dataset.name, list[str]()
    for zone in ("validated", "curated", "quarantine"):
        table = lake.tables.table(f"{zone}.{name}")
        lines += [
            f"{zone}: {f.partition}, {f.rows} rows: {f.uri}" for f in lake.tables.files(f"{zone}.{name}")
        ]
        for snapshot in table.snapshots() if table else ():
            lines.append(f"  {snapshot.snapshot_id} after {snapshot.parent_snapshot_id}: {snapshot.summary}")
    store = lake.zone("ops")
    for kind in ("manifests", "receipts", "outcomes"):
        for key in sorted(o.key for o in store.list(f"{kind}/{name}")):
            lines += [key, store.read(key).decode()]
    return "\n".join(lines)


def _check_law(view: View, published: Iterable[str] | None) -> None:
    curated = Counter(map(place, view.curated))
    rejected = Counter(place(r) for r in view.quarantine if r["kind"] == "row")
    twice = {p for p, n in (curated + rejected).items() if n > 1}
    assert not twice, (
        f"a row is in two places: {[r for r in view.curated + view.quarantine if place(r) in twice]}"
    )
    states = view.status()
    assert all(s.settled for s in states.values()), f"tables lag behind their logs: {states}"
    for partition, state in states.items():
        mine = [r for r in view.quarantine if r["_partition"] == partition]
        assert state.balance.quarantined == sum(r["rows"] for r in mine)
        assert state.balance.curated == sum(r["_partition"] == partition for r in view.curated)
        if state.state != "pending":
            assert state.balance.holds, f"{partition} {state.state}: {state.balance}"
    known = {place(r) for r in view.validated}
    for partition in states if published is None else published:
        # a published partition is its manifest's: what is validated is curated, lost its key, or was filtered
        if states[partition].state != "published":
            continue
        objects = {o.id: o for o in view.receipts(partition)}
        assert sum(o.rows for o in objects.values()) == states[partition].balance.landed
        assert {r["_source"] for r in view.curated if r["_partition"] == partition} <= set(objects)
        assert sum(r["_source"] in objects for r in view.validated) == sum(o.valid for o in objects.values())
        assert {place(r) for r in view.curated if r["_partition"] == partition} <= known
        assert {r["_source"] for r in view.quarantine if r["_partition"] == partition} <= set(objects)


def json_lines(*rows: Mapping[str, Any]) -> bytes:
    """A JSON Lines file."""
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode()
