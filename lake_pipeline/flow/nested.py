"""How the objects and lists in a JSON file differ from the contract's: by the structure of all its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import ibis.expr.datatypes as dt

from lake_pipeline.contracts import Array, Contract, DriftEvent, Object, classify


def nested_events(contract: Contract, structure: Mapping[str, object]) -> Iterator[DriftEvent]:
    """Structural drift of JSON values: fields added to or missing from objects, by the file's structure."""
    nested = [c for c in contract.columns if isinstance(c.type, Object | Array) and c.name in structure]
    for column in nested:
        seen = _json_type(structure[column.name])
        narrowed = replace(contract, columns=(column,))
        for event in classify(narrowed, {column.name: seen}, ordered=False):
            if event.kind == "nested_changed":
                yield event


def _json_type(structure: object) -> dt.DataType:
    """DuckDB's structure of a JSON value as an Ibis type; scalars say nothing of themselves."""
    if isinstance(structure, dict):
        return dt.Struct({k: _json_type(v) for k, v in structure.items()}) if structure else dt.JSON()
    if isinstance(structure, list):
        return dt.Array(_json_type(structure[0])) if structure else dt.JSON()
    return dt.JSON()
