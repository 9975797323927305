"""The constraints of a column: which fit its type, and whether they contradict each other.

`OPTIONS` is the whole truth about `logicalTypeOptions`. An option that the standard has and this
lake would not enforce is refused: what is written in a contract holds, or the contract is not read.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable
from typing import Any, TypedDict

from lake_pipeline.contracts import temporal
from lake_pipeline.contracts.datatypes import Date, Decimal, Integer, Number, String, Timestamp, Type
from lake_pipeline.contracts.document import Node
from lake_pipeline.contracts.model import Bound, Value
from lake_pipeline.contracts.problems import Reporter
from lake_pipeline.errors import did_you_mean

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
OPTIONS: dict[str, tuple[str, ...]] = {
    "string": ("pattern", "minLength", "maxLength"),
    "integer": _BOUNDS,
    "number": _BOUNDS,
    "boolean": (),
    "date": ("format", *_BOUNDS),
    "timestamp": ("format", "timezone", "defaultTimezone", *_BOUNDS),
    "object": (),
    "array": (),
}
_ON_VALUES = ("required", "unique", "enum", "quality")
_IN_OPTIONS = (*_BOUNDS, "pattern", "minLength", "maxLength")
# Options of the standard that are not enforced here: what to write instead.
NOT_ENFORCED = {
    "format": "Use `pattern` for the form of a text, `minimum` and `maximum` for the size of a number.",
    "multipleOf": "Write a DQDL CustomSql rule.",
    "required": "Write `required: true` on the field itself.",
    **dict.fromkeys(("minItems", "maxItems", "uniqueItems"), "Write a DQDL CustomSql rule."),
    **dict.fromkeys(("minProperties", "maxProperties"), "Write `required: true` on the fields."),
    "enum": "ODCS has it on the column itself: `enum: [{value: …}]`.",
    "timezone": "Only a timestamp has a time zone.",
    "defaultTimezone": "Only a timestamp has a time zone.",
}
# Java's and RE2's common ground: what RE2 leaves out, and so not every engine can run.
_NOT_REGULAR = re.compile(r"\(\?<?[=!]|\(\?>|\(\?P=|(?<!\\)(?:\\\\)*\\[1-9]|[*+?}]\+")


class Limits(TypedDict, total=False):
    """The constraint fields of a `Column`."""

    enum: tuple[Value, ...]
    pattern: str | None
    minimum: Bound | None
    maximum: Bound | None
    exclusive_minimum: Bound | None
    exclusive_maximum: Bound | None
    min_length: int | None
    max_length: int | None


def read(node: Node, name: str, type_: Type, report: Reporter) -> Limits:
    """The constraints of one property; what does not fit its type goes to `report`."""
    options = node.get("logicalTypeOptions")
    logical = node.text("logicalType")
    if logical not in OPTIONS:
        return {}  # the type is the mistake; what follows from it is not worth a second message
    limits: Limits = {"enum": _read_enum(node, name, type_, report)}
    if options is None:
        return limits
    _check_options(options, name, logical, report)
    given = {key: entry for key in OPTIONS[logical] if (entry := options.get(key))}
    bounds = {key: _bound(given[key], name, key, type_, report) for key in _BOUNDS if key in given}
    _check_range(bounds, given, name, report)
    lengths = {key: _length(given[key], key, report) for key in ("minLength", "maxLength") if key in given}
    low, high = lengths.get("minLength"), lengths.get("maxLength")
    if low is not None and high is not None and low > high:
        message = f'"{name}": minLength {low} is more than maxLength {high}.'
        report.add(given["minLength"].span, message, "No text satisfies both.")
    return limits | {
        "pattern": _pattern(given["pattern"], name, report) if "pattern" in given else None,
        "minimum": bounds.get("minimum"),
        "maximum": bounds.get("maximum"),
        "exclusive_minimum": bounds.get("exclusiveMinimum"),
        "exclusive_maximum": bounds.get("exclusiveMaximum"),
        "min_length": low,
        "max_length": high,
    }


def refuse_inside_array(items: Node, name: str, report: Reporter) -> None:
    """Constraints on the values inside an array would not be checked, so they are problems."""
    hint = "Write a DQDL CustomSql rule; inside arrays only types are checked."
    options = items.get("logicalTypeOptions")
    for node, keys in ((items, _ON_VALUES), (options, _IN_OPTIONS)):
        for key in keys:
            if node and node.get(key) and node.entries[key].value is not False:
                report.add(node.at(key), f'"{name}": `{key}` inside an array would not be checked.', hint)
    for field in items.each("properties"):
        refuse_inside_array(field, name, report)


def _check_options(options: Node, name: str, logical: str, report: Reporter) -> None:
    valid = OPTIONS[logical]
    takes = f"A {logical} takes {', '.join(valid)}." if valid else f"A {logical} takes no options."
    for key in options.entries:
        if key in valid:
            continue
        hint = did_you_mean(key, valid) or NOT_ENFORCED.get(key, "")
        report.add(
            options.at(key), f'"{name}": `{key}` is no option of a {logical}.', f"{takes} {hint.strip()}"
        )


def _bound(node: Node, name: str, key: str, type_: Type, report: Reporter) -> Bound | None:
    kind, convert = _CONVERT[type(type_)]
    value: Bound | None = convert(node, type_)
    if value is None:
        report.add(node.span, f'"{name}": the {key} `{node.raw}` is no {kind}.', f"Write a {kind}.")
    return value


def _check_range(
    bounds: dict[str, Bound | None], given: dict[str, Node], name: str, report: Reporter
) -> None:
    for low_key, high_key in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if low_key in given and high_key in given:
            message = f'"{name}" has both {low_key} and {high_key}.'
            report.add(given[high_key].span, message, "Keep the one that you mean.")
    for low_key in ("minimum", "exclusiveMinimum"):
        for high_key in ("maximum", "exclusiveMaximum"):
            low: Any = bounds.get(low_key)
            high: Any = bounds.get(high_key)
            if low is None or high is None:
                continue
            exclusive = low_key.startswith("ex") or high_key.startswith("ex")
            if low > high or (exclusive and low == high):
                message = f'"{name}": no value lies between {low_key} {low} and {high_key} {high}.'
                report.add(given[low_key].span, message, "Exchange them, or widen one.")


def _length(node: Node, key: str, report: Reporter) -> int | None:
    if isinstance(node.value, int) and not isinstance(node.value, bool) and node.value >= 0:
        return node.value
    report.add(node.span, f"The {key} `{node.raw}` is no length.", "Write a whole number from 0.")
    return None


def _pattern(node: Node, name: str, report: Reporter) -> str | None:
    if not isinstance(node.value, str):
        report.add(node.span, f'"{name}": the pattern `{node.raw}` is no text.', "Quote it.")
        return None
    try:
        re.compile(node.value)
    except re.error as error:
        where = "" if error.pos is None else f" at character {error.pos + 1}"
        hint = (
            "Quote it with single quotes, so that YAML leaves backslashes alone, and escape what is literal."
        )
        report.add(node.span, f'"{name}": the pattern is no regular expression: {error.msg}{where}.', hint)
        return None
    if _NOT_REGULAR.search(node.value):
        hint = (
            "Look-around, back references and possessive repeats run on some engines only; write it without."
        )
        report.add(node.span, f'"{name}": the pattern does not mean the same on every engine.', hint)
    return node.value


def _read_enum(node: Node, name: str, type_: Type, report: Reporter) -> tuple[Value, ...]:
    entries = _enum_nodes(node, report)
    if entries is None:
        return ()
    span = node.at("enum")
    if not entries:
        report.add(span, f'"{name}": the enum is empty.', "Nothing would be allowed; list the values.")
    if not isinstance(type_, String | Integer | Number | Decimal | Date):
        report.add(span, f'"{name}": a {type_} has no enum.', "Remove it.")
        return ()
    kind, convert = _CONVERT[type(type_)]
    values: list[Value] = []
    for entry in entries:
        value = convert(entry, type_)
        if value is None:
            hint = f"Write a {kind}." + (" Quote it." if kind == "text" else "")
            report.add(entry.span, f'"{name}": the enum value `{entry.raw}` is no {kind}.', hint)
        elif value in values:
            report.add(entry.span, f'"{name}": the enum value `{entry.raw}` is listed twice.', "Remove one.")
        else:
            values.append(value)
    return tuple(values)


def _enum_nodes(node: Node, report: Reporter) -> tuple[Node, ...] | None:
    """The values of an enum, in whichever of the three places of the module's docstring they stand."""
    if node.get("enum"):
        return tuple(value for entry in node.each("enum") if (value := entry.get("value")))
    for custom in node.each("customProperties"):
        if custom.text("property") == "enum":
            return custom.each("value")
    for rule in node.each("quality"):
        if is_enum_metric(rule):
            arguments = rule.get("arguments")
            return arguments.each("validValues") if arguments else ()
    return None


def is_enum_metric(rule: Node) -> bool:
    """Is this quality entry the standard's own way to say enum, with no tolerance?"""
    arguments = rule.get("arguments")
    tolerance = rule.get("mustBe")
    named = "invalidValues" in (rule.text("metric"), rule.text("rule"))
    return bool(named and arguments and arguments.get("validValues") and tolerance and tolerance.value == 0)


def _text(node: Node, _: Type) -> Any:
    return node.value if isinstance(node.value, str) else None


def _integer(node: Node, _: Type) -> Any:
    return node.value if type(node.value) is int else None


def _number(node: Node, _: Type) -> Any:
    if type(node.value) not in (int, float):
        return None
    number = float(str(node.value))
    return node.value if number - number == 0 else None  # neither NaN nor infinite


def _decimal(node: Node, type_: Type) -> Any:
    if _number(node, type_) is None:
        return None
    value = decimal.Decimal(str(node.value))
    exponent = value.normalize().as_tuple().exponent
    scale = type_.scale if isinstance(type_, Decimal) else 0
    return value if isinstance(exponent, int) and -exponent <= scale else None


def _date(node: Node, _: Type) -> Any:
    return temporal.parse_date(node.raw) if isinstance(node.value, str) else None


def _timestamp(node: Node, type_: Type) -> Any:
    zone = type_.timezone if isinstance(type_, Timestamp) else "UTC"
    return temporal.parse_timestamp(node.raw, zone) if isinstance(node.value, str) else None


_CONVERT: dict[type, tuple[str, Callable[[Node, Type], Any]]] = {
    String: ("text", _text),
    Integer: ("whole number", _integer),
    Number: ("number", _number),
    Decimal: ("number of the decimal's scale", _decimal),
    Date: ("date, like 2026-02-25", _date),
    Timestamp: ("timestamp, like 2026-02-25T07:30:00Z", _timestamp),
}
