"""A small valid contract, and the way to break it in one place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lake_pipeline.contracts import Contract, load

VALID = """\
apiVersion: v3.2.0
kind: DataContract
id: shop
version: 1.2.3
description:
  purpose: To test.
  limitations: None known.
team:
  name: shop-data
  members:
    - username: ann@lake.example
    - username: bob
schema:
  - name: shop
    description: Things sold.
    properties:
      - name: id
        logicalType: string
        primaryKey: true
        logicalTypeOptions:
          pattern: '^x[0-9]+$'
          minLength: 2
          maxLength: 9
      - name: price
        logicalType: number
        physicalType: decimal(10,2)
        required: true
        logicalTypeOptions:
          minimum: 0.01
          maximum: 99999.99
      - name: pieces
        logicalType: integer
        unique: true
        classification: public
        tags: [stock]
        enum:
          - value: 1
          - value: 12
            label: a dozen
      - name: sold_at
        logicalType: timestamp
        logicalTypeOptions:
          format: yyyy-MM-dd HH:mm:ss
          defaultTimezone: Europe/Berlin
          minimum: "2020-01-01T00:00:00"
    quality:
      - type: text
        description: Prices are in euro.
      - type: custom
        engine: dqdl
        severity: warning
        implementation: |
          Rules = [
            RowCount > 0,
            IsComplete "price"
          ]
slaProperties:
  - property: timeOfAvailability
    value: "07:30"
    valueExt: Europe/Berlin
customProperties:
  - property: drift
    value:
      additive: ignore
      types: strict
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write the valid contract with `old` replaced by `new` (given as pairs), and return its path."""

    def _write(*replacements: str) -> Path:
        text = VALID
        for old, new in zip(replacements[::2], replacements[1::2], strict=True):
            assert text.count(old) >= 1, f"not in the valid contract: {old!r}"
            text = text.replace(old, new, 1)
        path = tmp_path / "contract.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


@pytest.fixture
def valid(write: Callable[..., Path]) -> Contract:
    """The valid contract, loaded."""
    return load(write())
