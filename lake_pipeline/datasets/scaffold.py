"""A first version of a dataset folder, to be edited: it loads, and lands, as it is."""

from __future__ import annotations

from pathlib import Path

DEFS = """# How this lake runs {name}; what the data means is in contract.yaml beside this file.
type: lake_pipeline.LakeDataset

attributes:
  landing: {name}/{{yyyy}}/{{mm}}/{{dd}}/
  formats:
    - type: csv
  partitions:
    by: daily
    start: "2026-01-01"
"""

CONTRACT = """apiVersion: v3.2.0
kind: DataContract
id: {name}
name: {name}
version: 1.0.0
status: active
description:
  purpose: What consumers use {name} for.
team:
  name: data
schema:
  - name: {name}
    logicalType: object
    properties:
      - name: id
        logicalType: string
        required: true
        primaryKey: true
        primaryKeyPosition: 1
        description: The key.
      - name: at
        logicalType: timestamp
        description: When it happened.
      - name: amount
        logicalType: number
        logicalTypeOptions:
          minimum: 0
        description: How much.
    quality:
      - type: custom
        engine: dqdl
        severity: error
        implementation: |
          Rules = [ RowCount > 0, IsComplete "id" ]
"""


def write_dataset(folder: Path) -> None:
    """Write `defs.yaml` and `contract.yaml` for a dataset named like the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "defs.yaml").write_text(DEFS.format(name=folder.name), encoding="utf-8")
    (folder / "contract.yaml").write_text(CONTRACT.format(name=folder.name), encoding="utf-8")
