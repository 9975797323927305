"""The grammar of a DQDL document: the blocks before the rules, and their order.

Follows the reference parser (awslabs/dqdl) also where it surprises: text after the last block is ignored,
with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lake_pipeline.dqdl import nodes
from lake_pipeline.dqdl.rule_parser import RuleParser
from lake_pipeline.dqdl.rules import RULE_TYPES
from lake_pipeline.dqdl.tokens import Token
from lake_pipeline.errors import did_you_mean

HEADERS = ("Metadata", "DataSources", "DefaultLabels", "Rules", "Analyzers")


def parse(text: str) -> nodes.Ruleset:
    """The ruleset of a DQDL document; raises :class:`DQDLSyntaxError`. CRLF line ends are normalised.

    >>> str(parse('Rules = [ RowCount > 0, IsComplete "id" ]').rules[1])
    'IsComplete "id"'
    """
    return _Document(text.replace("\r\n", "\n")).document()


class _Document(RuleParser):
    def document(self) -> nodes.Ruleset:
        cursor = self.cursor
        metadata = self.metadata() if self.at_header("Metadata") else ()
        primary, additional = self.data_sources() if self.at_header("DataSources") else (None, ())
        while cursor.token.kind == "word" and not self.at_header("DefaultLabels", "Rules", "Analyzers"):
            self.variable_declaration()
        if self.at_header("DefaultLabels"):
            self.default_labels = self.label_block("DefaultLabels")
        if not self.at_header("Rules", "Analyzers"):
            cursor.fail(expected=["Rules", "Analyzers"])
        rules = self.rules() if self.at_header("Rules") else ()
        analyzers = self.analyzers() if self.at_header("Analyzers") else ()
        if not rules and not analyzers:
            cursor.fail("No rules or analyzers provided", expected=["at least one rule"])
        return nodes.Ruleset(
            rules, analyzers, metadata, primary, additional, self.default_labels, self.ignored()
        )

    def ignored(self) -> tuple[str, ...]:
        token = self.cursor.token
        if token.kind == "end":
            return ()
        line = self.cursor.source.count("\n", 0, token.span.start) + 1
        return (f"line {line}: the text from {token.text} on stands after the last block and is ignored",)

    def at_header(self, *names: str) -> bool:
        return self.cursor.token.kind == "word" and self.cursor.token.value in names

    def metadata(self) -> nodes.Pairs:
        pairs = []
        for key, value in self.dictionary("Metadata", ("Version",)):
            if not isinstance(value, str):
                self.cursor.fail("Version must be a string", at=key.span)
            pairs.append((key.value, value))
        return tuple(pairs)

    def data_sources(self) -> tuple[str | None, tuple[str, ...]]:
        primary: str | None = None
        additional: tuple[str, ...] = ()
        for key, value in self.dictionary("DataSources", ("Primary", "AdditionalDataSources")):
            if (key.value == "Primary") != isinstance(value, str):
                self.cursor.fail(f"{key.value} has a value of the wrong form", at=key.span)
            if isinstance(value, str):
                primary = value
            else:
                additional = value
        return primary, additional

    def dictionary(self, name: str, keys: tuple[str, ...]) -> Iterable[tuple[Token, str | tuple[str, ...]]]:
        cursor = self.cursor
        cursor.expect(name, "word")
        cursor.expect("=")
        cursor.expect("{")
        found: dict[str, tuple[Token, str | tuple[str, ...]]] = {}
        while not found or cursor.accept(","):
            key = cursor.expect_kind("string", "a quoted key")
            if key.value not in keys:
                cursor.fail(f"Unsupported key {key.text}", at=key.span, expected=keys, word=key.value)
            if key.value in found:
                cursor.fail(f"key {key.text} stands twice", at=key.span)
            cursor.expect(":")
            found[key.value] = key, self.value()
        cursor.expect("}")
        return found.values()

    def value(self) -> str | tuple[str, ...]:
        if self.cursor.at("["):
            return self.array(empty=True)
        return self.cursor.expect_kind("string", "a quoted string").value

    def array(self, *, empty: bool) -> tuple[str, ...]:
        cursor = self.cursor
        cursor.expect("[")
        found: list[str] = []
        while not (cursor.at("]") and (empty or found)):
            if found:
                cursor.expect(",")
            found.append(cursor.expect_kind("string", "a quoted string").value)
        cursor.expect("]")
        return tuple(found)

    def variable_declaration(self) -> None:
        cursor = self.cursor
        name = cursor.advance()
        if name.value in RULE_TYPES:
            cursor.fail("a rule stands in a block: Rules = [ … ]", at=name.span)
        if not cursor.at("=") or self.misspelt_header(name):
            cursor.fail(f"unexpected {name.text}", at=name.span, expected=HEADERS, word=name.text)
        if not name.value.isidentifier():
            cursor.fail(f"{name.text} is no name for a variable", at=name.span)
        if name.value in self.variables:
            cursor.fail(f"variable {name.text} is defined twice", at=name.span)
        cursor.expect("=")
        value = self.array(empty=False) if cursor.at("[") else self.variable_text()
        self.check_no_nesting(value, name)
        self.variables[name.value] = value

    def misspelt_header(self, name: Token) -> bool:
        """Whether ``name = [`` opens a block with its header misspelt: what follows is no string."""
        opening, content = self.cursor.following, self.cursor.peek(2)
        if opening.value == "{":
            return True
        return opening.value == "[" and content.kind != "string" and bool(did_you_mean(name.text, HEADERS))

    def variable_text(self) -> str:
        return self.cursor.expect_kind("string", "a quoted string or an array of them").value

    def check_no_nesting(self, value: str | tuple[str, ...], name: Token) -> None:
        used = re.findall(r"\$(\w+)", value if isinstance(value, str) else " ".join(value))
        nested = next((word for word in used if word in self.variables), None)
        if nested is not None:
            self.cursor.fail(f"variable {name.text} uses ${nested}; variables do not nest", at=name.span)
