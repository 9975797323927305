"""YAML with its source positions: a tree whose every value and key knows its line.

Parsers that hand over plain dictionaries (and pydantic after them) lose the line numbers, and a
message without one sends the author searching. Dates stay text, as `datacontract` reads them: the
contract's types, not YAML's guess, say what is a date.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from lake_pipeline.contracts.problems import Reporter, Span

_RESOLVERS = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_KINDS: dict[type, str] = {dict: "mapping", list: "list"}


@dataclass(frozen=True)
class Node:
    """One YAML value: `raw` is the scalar's text, `value` what it means, `span` where it stands.

    `block` is the column of the first character of a literal block (`|`), 0 for other scalars.
    """

    value: object
    span: Span = field(compare=False)
    raw: str = ""
    entries: Mapping[str, Node] = field(default_factory=dict)
    keys: Mapping[str, Span] = field(default_factory=dict, compare=False)
    items: tuple[Node, ...] = ()
    block: int = field(default=0, compare=False)

    @property
    def kind(self) -> str:
        """`mapping`, `list` or `scalar`."""
        return _KINDS.get(type(self.value), "scalar")

    def get(self, key: str) -> Node | None:
        """The entry of a mapping; None when absent, or when this is no mapping, or when it is null."""
        entry = self.entries.get(key)
        return None if entry is None or entry.value is None else entry

    def each(self, key: str) -> tuple[Node, ...]:
        """The items of the list under `key`; empty when absent."""
        entry = self.get(key)
        return entry.items if entry else ()

    def text(self, key: str) -> str:
        """The string under `key`, without surrounding white space; "" when it is no string."""
        entry = self.get(key)
        return entry.value.strip() if entry and isinstance(entry.value, str) else ""

    def flag(self, key: str) -> bool:
        """True only for a real boolean `true` under `key`."""
        entry = self.get(key)
        return entry is not None and entry.value is True

    def at(self, key: str) -> Span:
        """Where `key` stands, or where this mapping begins."""
        return self.keys.get(key, self.span)

    def where(self, line: int, column: int) -> Span:
        """The place in the file of a 1-based position inside this scalar's own text."""
        if self.block:
            return Span(self.span.line + line, self.block + column - 1, 1)
        if line == 1:
            return Span(self.span.line, self.span.column + column, 1)
        return self.span


def read(text: str, report: Reporter) -> Node | None:
    """The document's tree, or None (and a problem) when it is not a YAML mapping."""
    loader: Any = yaml.SafeLoader(text)
    loader.yaml_implicit_resolvers = _RESOLVERS
    try:
        root = loader.get_single_node()
        if root is None:
            report.add(Span(1), "The file is empty.", "A contract begins with `apiVersion: v3.2.0`.")
            return None
        tree = _Builder(loader, report).build(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        span = Span(mark.line + 1, mark.column + 1, 1) if mark else Span(1)
        report.add(span, f"This is not YAML: {error.problem or error.context}.", _syntax_hint(span, report))
        return None
    except (yaml.YAMLError, RecursionError) as error:
        report.add(Span(1), f"This is not YAML: {error}.")
        return None
    finally:
        loader.dispose()
    if tree.kind != "mapping":
        report.add(
            tree.span, "A contract is a mapping of keys to values.", "Begin with `apiVersion: v3.2.0`."
        )
        return None
    return tree


def _syntax_hint(span: Span, report: Reporter) -> str:
    line = report.lines[span.line - 1] if span.line <= len(report.lines) else ""
    if "\t" in line:
        return "YAML is indented with spaces, never with tabs."
    if re.search(r":\s.*:\s", line):
        return 'A value that contains ": " must be quoted.'
    return "Check the indentation and the quotes of this line and of the one above."


@dataclass(frozen=True)
class _Builder:
    loader: Any
    report: Reporter

    def build(self, node: yaml.Node) -> Node:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            items = tuple(self.build(item) for item in node.value)
            return Node([item.value for item in items], _span(node), items=items)
        value = self.loader.construct_object(node)
        return Node(value, _span(node), raw=node.value, block=self._block_column(node))

    def _mapping(self, node: yaml.MappingNode) -> Node:
        self._refuse_repeats(node)
        self.loader.flatten_mapping(node)
        entries: dict[str, Node] = {}
        keys: dict[str, Span] = {}
        for key, value in node.value:
            keys[str(key.value)] = _span(key)
            entries[str(key.value)] = self.build(value)
        return Node({k: v.value for k, v in entries.items()}, _span(node), entries=entries, keys=keys)

    def _refuse_repeats(self, node: yaml.MappingNode) -> None:
        first: dict[str, Span] = {}
        for key, _ in node.value:
            name = str(key.value)
            if name in first and name != "<<":
                hint = f"It stands on line {first[name].line} already; keep one of them."
                self.report.add(_span(key), f'The key "{name}" is given twice.', hint)
            first.setdefault(name, _span(key))

    def _block_column(self, node: yaml.Node) -> int:
        if getattr(node, "style", None) != "|":
            return 0
        body = self.report.lines[node.start_mark.line + 1 : node.end_mark.line + 1]
        return next((len(line) - len(line.lstrip()) + 1 for line in body if line.strip()), 1)


def _span(node: yaml.Node) -> Span:
    start, end = node.start_mark, node.end_mark
    width = end.column - start.column if end.line == start.line else 1
    return Span(start.line + 1, start.column + 1, max(width, 1))
