"""Is this document an ODCS v3 contract at all: unknown keys and wrong kinds, with their lines.

The standard's pydantic model is the authority, but it drops keys that it does not know and it knows
no line numbers. So the tree is walked beside the model: keys against the model's fields, and the
model's own verdict mapped back to the place in the file.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any

import pydantic
from open_data_contract_standard.model import OpenDataContractStandard, Team, TeamMember

from lake_pipeline.contracts.document import Node
from lake_pipeline.contracts.problems import Reporter, Span
from lake_pipeline.errors import did_you_mean

API_VERSIONS = ("v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0", "v3.2.0")
REQUIRED_KEYS = ("apiVersion", "kind", "id", "version")
# Keys that people write by habit, and where ODCS puts the matter.
MISPLACED = {
    "type": "ODCS calls it `logicalType`.",
    "nullable": "ODCS says it the other way round: `required: true` means that NULL is refused.",
    "owner": "Owners stand under `team`.",
    "columns": "Columns stand under `schema: - properties:`.",
    "pattern": "It belongs under `logicalTypeOptions`.",
    "format": "It belongs under `logicalTypeOptions`.",
    "timezone": "It belongs under `logicalTypeOptions`, as `defaultTimezone`.",
    "defaultTimezone": "It belongs under `logicalTypeOptions`.",
    "drift": "It belongs under `customProperties`, as `property: drift`.",
    **dict.fromkeys(
        ("minimum", "maximum", "minLength", "maxLength"), "It belongs under `logicalTypeOptions`."
    ),
}
# pydantic's error type -> what the value should have been
WANTED = {
    "string_type": "a text; quote it",
    "bool_type": "true or false, without quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "list_type": "a list (lines that begin with `- `)",
    "dict_type": "a mapping (`key: value`)",
    "model_type": "a mapping (`key: value`)",
}


def check_shape(root: Node, report: Reporter) -> None:
    """Report every key that ODCS v3 does not have and every value of the wrong kind."""
    _check_keys(root, OpenDataContractStandard, report)
    _check_kinds(root, report)
    for key in REQUIRED_KEYS:
        if root.get(key) is None:
            report.add(Span(1), f'The contract has no "{key}".', "Every ODCS contract needs it.")
    version = root.get("apiVersion")
    if version and version.value not in API_VERSIONS:
        hint = f"Valid are {', '.join(API_VERSIONS)}.{did_you_mean(str(version.value), API_VERSIONS)}"
        report.add(version.span, f'The apiVersion "{version.value}" is not one of ODCS v3.', hint)
    kind = root.get("kind")
    if kind and kind.value != "DataContract":
        report.add(kind.span, f'The kind "{kind.value}" is not a contract.', "Write `kind: DataContract`.")


def _check_keys(node: Node, model: type[pydantic.BaseModel], report: Reporter) -> None:
    known = {info.alias or name: info.annotation for name, info in model.model_fields.items()}
    for key, child in node.entries.items():
        if key in known:
            for inner, inner_model in _models_below(child, known[key]):
                _check_keys(inner, inner_model, report)
            continue
        hint = did_you_mean(key, known) or MISPLACED.get(key, f"Known here are {', '.join(known)}.")
        report.add(node.at(key), f'ODCS has no key "{key}" here.', _key_hint(key, node, hint))


def _key_hint(key: str, node: Node, hint: str) -> str:
    if key != "primaryKey":
        return hint
    names = [prop.text("name") for prop in node.each("properties")]
    wanted = node.entries[key].value
    for name in wanted if isinstance(wanted, list) else [wanted]:
        if name not in names:
            hint = f'No column is called "{name}".{did_you_mean(str(name), names)}'
            return f"{hint} Mark each key column with `primaryKey: true`."
    return "Mark each key column with `primaryKey: true` and `primaryKeyPosition: 1, 2, …`."


def _models_below(node: Node, annotation: Any) -> Iterator[tuple[Node, type[pydantic.BaseModel]]]:
    """The (node, model) pairs that an annotation such as `list[SchemaObject] | None` asks for."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        if node.kind == "mapping":
            yield node, annotation
        return
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list:
        for item in node.items:
            yield from _models_below(item, arguments[0])
    elif origin in (typing.Union, types.UnionType):
        for argument in arguments:
            if (typing.get_origin(argument) is list) == (node.kind == "list"):
                yield from _models_below(node, argument)


def _check_kinds(root: Node, report: Reporter) -> None:
    try:
        OpenDataContractStandard.model_validate(root.value, strict=True)
    except pydantic.ValidationError as error:
        for fault in error.errors():
            if fault["type"] != "extra_forbidden":
                _report_fault(root, fault, report)


def _report_fault(root: Node, fault: Any, report: Reporter) -> None:
    path = [step for step in fault["loc"] if not _is_union_arm(step)]
    node, key = root, ""
    for step in path:
        child = node.entries.get(str(step)) if isinstance(step, str) else _item(node, step)
        if child is None:
            break
        node, key = child, str(step) if isinstance(step, str) else key
    if _belongs_to_other_arm(fault["loc"], node):
        return
    if key == "enum" and node.kind == "scalar":
        report.add(node.span, f"{node.raw!r} is not an enum entry.", f"Write `- value: {node.raw}`.")
        return
    wanted = WANTED.get(fault["type"], fault["msg"])
    got = {"scalar": f"`{node.raw}`"}.get(node.kind, f"a {node.kind}")
    report.add(node.span, f'"{key}" is {got}.', f"It must be {wanted}.")


def _item(node: Node, step: int) -> Node | None:
    return node.items[step] if step < len(node.items) else None


def _is_union_arm(step: int | str) -> bool:
    """Pydantic puts the tried member of a union into the path: `Team`, `list[TeamMember]`, `str`."""
    arms = (Team.__name__, TeamMember.__name__, "Context", "str", "bool", "int", "float")
    return isinstance(step, str) and (step in arms or "[" in step)


def _belongs_to_other_arm(loc: tuple[int | str, ...], node: Node) -> bool:
    """A list tried as one `Team`, or a mapping as `list[TeamMember]`, is no mistake of the author's."""
    arms = [step for step in loc if _is_union_arm(step)]
    if not arms or node.kind == "scalar":
        return False
    return (node.kind == "list") != ("list" in str(arms[-1]))
