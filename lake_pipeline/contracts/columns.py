"""From an ODCS property to a `Column`: its type, and the constraints which fit that type.

Where things stand in the YAML (all of it is the standard's own grammar):

- type: `logicalType`; `decimal(p,s)` is `logicalType: number` with `physicalType: decimal(18,2)`;
- enum: `enum: [{value: USD}, …]`; also read are the `invalidValues` quality metric with
  `validValues` and `mustBe: 0`, and an `enum` custom property with a list;
- the rest: `logicalTypeOptions`, as `constraints.OPTIONS` lists them;
- key: `primaryKey: true` and, for more than one column, `primaryKeyPosition: 1, 2, …`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from lake_pipeline.contracts import constraints, temporal
from lake_pipeline.contracts.datatypes import (
    MAX_PRECISION,
    Array,
    Boolean,
    Decimal,
    Integer,
    Number,
    Object,
    String,
    Type,
)
from lake_pipeline.contracts.document import Node
from lake_pipeline.contracts.model import RESERVED_PREFIX, Column
from lake_pipeline.contracts.problems import Reporter, Span
from lake_pipeline.errors import did_you_mean

PLAIN: dict[str, Type] = {
    "string": String(),
    "integer": Integer(),
    "number": Number(),
    "boolean": Boolean(),
}
LOGICAL_TYPES = tuple(constraints.OPTIONS)
# Types which ODCS has and the lake does not, and names from other languages: what to write instead.
INSTEAD = {
    "time": "Use a string with a pattern.",
    "map": "Use an object, or an array of key and value.",
    "vector": "Use an array of number.",
    "decimal": "Write `logicalType: number` and `physicalType: decimal(18,2)`.",
    **dict.fromkeys(("int", "long", "bigint", "int64"), "Write `integer`."),
    **dict.fromkeys(("float", "double", "float64"), "Write `number`."),
    **dict.fromkeys(("text", "varchar", "str"), "Write `string`."),
    **dict.fromkeys(("struct", "record"), "Write `object`."),
    **dict.fromkeys(("list",), "Write `array`."),
    **dict.fromkeys(("datetime", "timestamptz"), "Write `timestamp`."),
    "bool": "Write `boolean`.",
}
_DECIMAL = re.compile(r"\s*(decimal|numeric)\s*(\(.*\))?\s*", re.IGNORECASE)
_PRECISION = re.compile(r"\(\s*(\d+)\s*,\s*(\d+)\s*\)")


def read_columns(properties: Iterable[Node], report: Reporter, *, nested: bool = False) -> tuple[Column, ...]:
    """The columns of a `properties` list; what is wrong with them goes to `report`."""
    columns: list[Column] = []
    first: dict[str, tuple[str, int]] = {}
    for node in properties:
        column = _read_column(node, report, nested)
        folded = column.name.casefold()
        if column.name and folded in first:
            other, line = first[folded]
            same = "a second time" if other == column.name else f'beside "{other}"; engines fold case'
            hint = f"The first stands on line {line}; rename or remove one."
            report.add(_name_span(node), f'The column "{column.name}" is declared {same}.', hint)
            continue
        first[folded] = (column.name, column.line)
        columns.append(column)
    return tuple(columns)


def _name_span(node: Node) -> Span:
    name = node.get("name")
    return name.span if name else node.span


def _read_column(node: Node, report: Reporter, nested: bool) -> Column:
    name = _read_name(node, report)
    type_ = read_type(node, name, report)
    if nested:
        _refuse_nested(node, name, report)
    limits = constraints.read(node, name, type_, report)
    return Column(
        name,
        type_,
        required=node.flag("required") or (node.flag("primaryKey") and not nested),
        unique=node.flag("unique"),
        description=node.text("description"),
        classification=node.text("classification") or None,
        tags=tuple(str(tag.value) for tag in node.each("tags")),
        line=node.span.line,
        **limits,
    )


def _read_name(node: Node, report: Reporter) -> str:
    name = node.text("name")
    if not name:
        report.add(node.span, "This column has no name.", "Write `- name: order_id`.")
    elif name.startswith(RESERVED_PREFIX):
        hint = f'Names that begin with _ belong to the lake\'s lineage columns; call it "{name.lstrip("_")}".'
        report.add(_name_span(node), f'The column name "{name}" is reserved.', hint)
    return name


def _refuse_nested(node: Node, name: str, report: Reporter) -> None:
    for key in ("primaryKey", "unique"):
        if node.flag(key):
            message = f'"{name}" is a field of an object and cannot be {key}.'
            report.add(node.at(key), message, "Only columns of the table can; move it to the top.")


def read_type(node: Node, name: str, report: Reporter) -> Type:
    """The type of a property or of an array's items; a string stands in where it is wrong."""
    logical = node.text("logicalType")
    decimal = _read_decimal(node, logical, report)
    if decimal:
        return decimal
    if logical in PLAIN:
        return PLAIN[logical]
    reader = _STRUCTURED.get(logical)
    if reader:
        return reader(node, name, report)
    _refuse_type(node, name, logical, report)
    return String()


def _refuse_type(node: Node, name: str, logical: str, report: Reporter) -> None:
    valid = f"Valid are {', '.join(LOGICAL_TYPES)}."
    entry = node.get("logicalType")
    if entry is None:
        report.add(_name_span(node), f'"{name}" has no logicalType.', valid)
        return
    hint = INSTEAD.get(logical.lower()) or valid + did_you_mean(logical.lower(), LOGICAL_TYPES)
    report.add(entry.span, f'"{name}": the logicalType "{entry.raw}" is unknown.', hint)


def _read_decimal(node: Node, logical: str, report: Reporter) -> Decimal | None:
    entry = node.get("physicalType")
    match = _DECIMAL.fullmatch(entry.raw) if entry else None
    if entry is None or match is None:
        return None
    if logical != "number":
        message = f'"{entry.raw}" does not fit logicalType "{logical or "none"}".'
        report.add(entry.span, message, "A decimal is `logicalType: number`.")
        return None
    digits = _PRECISION.fullmatch(match[2] or "")
    precision, scale = (int(digits[1]), int(digits[2])) if digits else (0, 0)
    if not digits or not 1 <= precision <= MAX_PRECISION or scale > precision:
        hint = f"Write decimal(p,s) with p from 1 to {MAX_PRECISION} and s from 0 to p, like decimal(18,2)."
        report.add(entry.span, f'"{entry.raw}" is no decimal type.', hint)
        return Decimal(18, 2)
    return Decimal(precision, scale)


def _read_object(node: Node, name: str, report: Reporter) -> Object:
    fields = node.each("properties")
    if not fields:
        report.add(_name_span(node), f'The object "{name}" has no fields.', "List them under `properties:`.")
    return Object(read_columns(fields, report, nested=True))


def _read_array(node: Node, name: str, report: Reporter) -> Array:
    items = node.get("items")
    if items is None:
        hint = "Write `items:` and its `logicalType`."
        report.add(_name_span(node), f'The array "{name}" does not say what it holds.', hint)
        return Array(String())
    constraints.refuse_inside_array(items, name, report)
    return Array(read_type(items, f"{name}[]", report))


_STRUCTURED: dict[str, Callable[[Node, str, Reporter], Type]] = {
    "date": temporal.read_date,
    "timestamp": temporal.read_timestamp,
    "object": _read_object,
    "array": _read_array,
}


def read_primary_key(properties: Iterable[Node], report: Reporter) -> tuple[str, ...]:
    """The key's columns by `primaryKeyPosition`, or in the contract's order where none has one."""
    keyed: list[tuple[int | None, str, Node]] = []
    for node in properties:
        position = node.get("primaryKeyPosition")
        number = position.value if position and isinstance(position.value, int) else None
        number = None if number == -1 else number  # the standard's default
        if node.flag("primaryKey"):
            keyed.append((number, node.text("name"), node))
            _refuse_optional(node, report)
        elif number is not None:
            message = f'"{node.text("name")}" has a primaryKeyPosition but is no key.'
            report.add(
                node.at("primaryKeyPosition"), message, "Add `primaryKey: true`, or remove the position."
            )
    positions = [number for number, _, _ in keyed if number is not None]
    if positions and sorted(positions) != list(range(1, len(keyed) + 1)):
        for _, name, node in keyed:
            span = node.at("primaryKeyPosition" if node.get("primaryKeyPosition") else "primaryKey")
            hint = f"Number the {len(keyed)} key columns 1 to {len(keyed)}, each once, or none of them."
            report.add(span, f'The primaryKeyPosition of "{name}" leaves the key\'s order open.', hint)
    elif positions:
        keyed.sort(key=lambda entry: entry[0] or 0)
    return tuple(name for _, name, _ in keyed)


def _refuse_optional(node: Node, report: Reporter) -> None:
    required = node.get("required")
    if required and required.value is False:
        message = f'"{node.text("name")}" is part of the primary key and cannot be optional.'
        report.add(required.span, message, "Write `required: true`.")
