# ruff: noqa: INP001  (beside a script)
"""How docs/make_reference.py shows things of the code in Markdown: tables, docstrings, types, schemas."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import pyarrow as pa


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def code(text: object) -> str:
    """Text as code, nothing where there is none."""
    return f"`{text}`" if str(text) else ""


def prose(text: str) -> str:
    """A docstring as Markdown: without indentation, ``code`` with single backticks."""
    return re.sub(r"``(.+?)``", r"`\1`", inspect.cleandoc(text))


def summary(thing: Any) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(prose(thing.__doc__ or "").split("\n\n")[0].split())


def simple_table(docstring: str) -> tuple[list[str], list[list[str]]]:
    """The first RST simple table of a docstring: its head (empty where it has none) and its rows."""
    lines = inspect.cleandoc(docstring).splitlines()
    rules = [i for i, line in enumerate(lines) if re.fullmatch(r"=+( +=+)+", line)]
    bounds = [m.span() for m in re.finditer("=+", lines[rules[0]])]
    starts = [start for start, _ in bounds]

    def cut(line: str) -> list[str]:
        ends = [*starts[1:], None]
        return [line[a:b].strip() for a, b in zip(starts, ends, strict=True)]

    head = cut(lines[rules[0] + 1]) if len(rules) > 2 else []
    rows: list[list[str]] = []
    for line in lines[rules[-2] + 1 : rules[-1]]:
        if not head and len(name := re.split(r" {3,}", line.strip())[0]) >= starts[1] - 1:
            rows.append([name, line.strip()[len(name) :].strip()])  # a name wider than its column
            continue
        cells = cut(line)
        if cells[0]:
            rows.append(cells)
        else:
            rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], cells, strict=True)]
    return head, [[re.sub(r"``(.+?)``", r"`\1`", cell) for cell in row] for row in rows]


def shown_default(spec: Mapping[str, Any]) -> str:
    """A property's default; nothing where that is a value with defaults of its own."""
    default = spec.get("default", "")
    if (
        default in ("", None)
        or isinstance(default, dict)
        or (isinstance(default, list) and default and isinstance(default[0], dict))
    ):
        return ""
    return code(str(default).lower() if isinstance(default, bool) else str(default).replace("'", '"'))


def shown_type(spec: Mapping[str, Any]) -> str:
    """What a property takes, in words."""
    if "$ref" in spec:
        name = spec["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in spec or "oneOf" in spec:
        parts = [shown_type(s) for s in spec.get("anyOf", spec.get("oneOf", ())) if s.get("type") != "null"]
        return " or ".join(dict.fromkeys(parts))
    if "enum" in spec:
        return " ".join(map(code, spec["enum"]))
    if "const" in spec:
        return code(spec["const"])
    if spec.get("type") == "array":
        return f"list of {shown_type(spec.get('items', {}))}"
    words = {"string": "text", "boolean": "`true` or `false`", "integer": "whole number"}
    kind = str(spec.get("type", "step"))
    return words.get(kind, kind)


def shown_arrow(kind: pa.DataType) -> str:
    """An Arrow type in words."""
    if pa.types.is_list(kind):
        return "list of (" + ", ".join(f.name for f in kind.value_type) + ")"
    return "timestamp, UTC" if pa.types.is_timestamp(kind) else str(kind)


def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with its words."""
    children = getattr(command, "commands", {})
    for name, child in children.items():
        yield from walk(child, (*words, name))
    if not children:
        yield words, command


def attributes(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """A row for each property of a JSON schema's object."""
    for name, spec in schema["properties"].items():
        default = "required" if name in schema.get("required", ()) else shown_default(spec)
        yield code(name), shown_type(spec), default, prose(spec.get("description", ""))


def variables(thing: Any, defaults: Mapping[str, tuple[str, str]]) -> list[tuple[str, str, str]]:
    """A row for each field of what the environment says, from the docstring; defaults: its variable and its default."""
    text = " ".join(prose(thing.__doc__ or "").split("\n\n", 1)[1].split())
    parts = re.split(rf"(?<![\w`])({'|'.join(f.name for f in fields(thing))}): ", text)[1:]
    return [
        (code(defaults[name][0]), defaults[name][1], clean(what, defaults[name][0]))
        for name, what in zip(parts[::2], parts[1::2], strict=True)
    ]


def clean(text: str, variable: str) -> str:
    """A setting's sentence without the variable's own name."""
    text = text.strip().replace(f"`{variable}`: ", "").replace(f"`{variable}`, ", "")
    return text[:1].upper() + text[1:]
