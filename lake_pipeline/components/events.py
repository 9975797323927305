"""What people see in Dagster: the metadata of definitions, materializations and checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from lake_pipeline.contracts import Column
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.flow.audit import Verdict
from lake_pipeline.flow.choice import Ran
from lake_pipeline.flow.curate import Curated
from lake_pipeline.flow.run import Result
from lake_pipeline.health.history import lag

SHOWN_PROBLEMS = 10
SHOWN_FILES = 20


def definition_metadata(dataset: Dataset, zone: str) -> dict[str, Any]:
    """Column schema and lineage, the table's name, and links to the files that define the dataset."""
    metadata: dict[str, Any] = {
        "dagster/code_references": dg.CodeReferencesMetadataValue(
            code_references=[
                dg.LocalFileCodeReference(file_path=str(dataset.folder / name), line_number=1, label=name)
                for name in (dataset.config.contract, "defs.yaml")
            ]
        ),
        "contract_version": dataset.contract.version,
    }
    if zone == "raw":
        return {**metadata, "landing": dataset.config.landing}
    metadata["dagster/table_name"] = f"{zone}.{dataset.name}"
    if zone != "quarantine":
        columns = dataset.contract.columns if zone == "curated" else dataset.landed_columns
        metadata["dagster/column_schema"] = dg.TableSchema([column_of(c) for c in columns])
    if zone == "curated":
        metadata["dagster/column_lineage"] = lineage(dataset)
    return metadata


def column_of(column: Column) -> dg.TableColumn:
    """A contract column as Dagster shows it."""
    constraints = dg.TableColumnConstraints(nullable=not column.required, unique=column.unique)
    return dg.TableColumn(
        column.name, type=str(column.type), description=column.description or None, constraints=constraints
    )


def lineage(dataset: Dataset) -> dg.TableColumnLineage:
    """Which validated column each curated one comes from."""
    from lake_pipeline.datasets.transforms import landed_names

    source = dg.AssetKey(["validated", dataset.name])
    names = tuple(c.name for c in dataset.contract.columns)
    landed = landed_names(dataset.config.steps, names)
    return dg.TableColumnLineage({name: [dg.TableColumnDep(source, old)] for name, old in landed.items()})


def run_metadata(about: Mapping[str, str]) -> dict[str, str]:
    """What every event says of its run; the run's id, the dataset and the partition are the event's own."""
    return {name: about[name] for name in ("source", "threshold_profile", "replay_id") if about[name]}


def materialization_metadata(
    dataset: Dataset, result: Result, zone: str, partition: str
) -> Mapping[str, Any] | None:
    """The numbers of one partition of one zone; None when it is not materialized."""
    return {"raw": _raw, "validated": _validated, "quarantine": _quarantine, "curated": _curated}[zone](
        dataset, result, partition
    )


def _raw(dataset: Dataset, result: Result, partition: str) -> Mapping[str, Any]:
    manifest = result.manifests[partition]
    return {
        "objects": len(manifest.sources),
        "bytes": sum(e.size for e in manifest.sources),
        "manifest": manifest.number,
        "data_version": manifest.hash[:16],
        "new_manifest": manifest.number != result.before.get(partition, 0),
    }


def arrival_metadata(tags: Mapping[str, str]) -> dict[str, Any]:
    """Which request a run is for, and how late the latest of its objects was, by the run's tags."""
    found: dict[str, Any] = {"request": tags["lake/request"]} if "lake/request" in tags else {}
    if "lake/late_seconds" in tags:
        found["late_seconds"] = int(tags["lake/late_seconds"])
    return found


def _validated(dataset: Dataset, result: Result, partition: str) -> Mapping[str, Any] | None:
    found = result.validated.get(partition)
    if found is None:
        return None
    drift = [d for o in found.receipts for d in o.drift]
    coerced: dict[str, int] = {}
    for receipt in found.receipts:
        for column, rows in receipt.coerced.items():
            coerced[column] = coerced.get(column, 0) + rows
    metadata: dict[str, Any] = {
        "dagster/row_count": found.valid,
        "landed_rows": found.rows,
        "validated_objects": len(found.fresh),
        **engine_metadata(found.ran),
        "drift_events": len(drift),
    }
    if drift:
        metadata["drift"] = dg.MetadataValue.json([dict(d) for d in drift[:SHOWN_FILES]])
    if coerced:
        metadata["coerced"] = dg.MetadataValue.json(coerced)
    return metadata


def _quarantine(dataset: Dataset, result: Result, partition: str) -> Mapping[str, Any] | None:
    found = result.validated.get(partition)
    if found is None:
        return None
    refused = found.refused_files
    curated = result.curated.get(partition)
    rows = curated.outcome.balance.quarantined if curated else found.quarantined
    metadata: dict[str, Any] = {"dagster/row_count": rows, "refused_files": len(refused)}
    if refused:
        lines = [f"- `{r.reason}` {r.uri}: {r.message}" for r in refused[:SHOWN_FILES]]
        metadata["files"] = dg.MetadataValue.md("\n".join(lines))
    return metadata


def _curated(dataset: Dataset, result: Result, partition: str) -> Mapping[str, Any] | None:
    found = result.curated.get(partition)
    if found is None or not found.fine:
        return None
    balance = found.outcome.balance
    return {
        "dagster/row_count": balance.curated,
        "landed_rows": balance.landed,
        "quarantined_rows": balance.quarantined,
        "deduplicated_rows": balance.deduplicated,
        "filtered_rows": balance.filtered,
        "published": found.action == "published",
        **landed_to_published(result, found),
        "contract_version": found.outcome.contract_version,
        "snapshot": str(found.outcome.snapshot),
        **engine_metadata(found.ran),
    }


def engine_metadata(ran: Ran | None) -> Mapping[str, Any]:
    """What did the work, and why it; nothing where there was none to do."""
    return {} if ran is None else {"engine": ran.reason, **ran.facts}


def landed_to_published(result: Result, found: Curated) -> Mapping[str, float]:
    """How long the newest object waited to be published, where it was published now."""
    seconds = lag(result, found, now())
    return {} if seconds is None else {"freshness_lag_seconds": seconds}


def verdict_metadata(verdict: Verdict) -> Mapping[str, Any]:
    """The rule and its metrics; numbers, so that Dagster plots them over partitions."""
    return {"rule": verdict.rule, **{name: float(value) for name, value in verdict.metrics.items()}}


def failure_text(dataset: Dataset, problems: list[Curated], unready: Mapping[str, str]) -> str:
    """What failed, why, and what to do next."""
    lines = [f"{dataset.name}: {len(problems) + len(unready)} partition(s) were not published."]
    lines += [f"  {text}" for text in [*unready.values()][:SHOWN_PROBLEMS]]
    lines += [
        f"  {p.partition} {p.action}: {'; '.join(p.outcome.reasons)}" for p in problems[:SHOWN_PROBLEMS]
    ]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"  … and {len(problems) - SHOWN_PROBLEMS} more")
    if problems:
        lines.append(f'Look: lake sql "SELECT reasons, raw FROM quarantine.{dataset.name}"')
    return "\n".join(lines)
