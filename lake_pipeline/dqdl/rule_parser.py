"""The grammar of rules and analyzers: one method per production.

``and`` after a parameter continues the parameters, as in the reference parser: ``IsComplete "a" and
IsComplete "b"`` needs parentheses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NoReturn

from lake_pipeline.dqdl import nodes, operands
from lake_pipeline.dqdl.cursor import Cursor
from lake_pipeline.dqdl.habits import spelt
from lake_pipeline.dqdl.rules import NUMBER, RULE_TYPES, RuleType, Signature
from lake_pipeline.dqdl.tokens import Span, Token

ORDER = "its type, parameters, condition, where, labels and with"
JOINED = '(IsComplete "a") and (IsUnique "b")'
AFTER = ("where", "labels", "with", "`,`")
MAX_LABELS = 10
MAX_LABEL_KEY = 128
MAX_LABEL_VALUE = 256


class RuleParser:
    """Parses the blocks of rules and analyzers; knows the variables and default labels before them."""

    def __init__(self, source: str) -> None:
        self.cursor = Cursor(source)
        self.variables: operands.Variables = {}
        self.default_labels: nodes.Pairs = ()

    def rules(self) -> tuple[nodes.AnyRule, ...]:
        cursor = self.cursor
        cursor.expect("Rules", "word")
        cursor.expect("=")
        cursor.expect("[")
        found: list[nodes.AnyRule] = []
        while not cursor.at("]") or found:
            found.append(self.disjunction())
            if not cursor.accept(","):
                break
        if cursor.at_keyword("where", "labels"):
            cursor.fail(f"{cursor.token.text} stands in the wrong place: a rule has {ORDER}, in this order")
        if not cursor.at("]"):
            cursor.fail(expected=["`,`", "`]`", "and", "or", "where", "labels", "with"])
        cursor.advance()
        return tuple(found)

    def disjunction(self) -> nodes.AnyRule:
        return self.joined("or", self.conjunction)

    def conjunction(self) -> nodes.AnyRule:
        return self.joined("and", self.primary)

    def joined(self, word: str, part: Callable[[], nodes.AnyRule]) -> nodes.AnyRule:
        start = self.cursor.token.span
        found = [part()]
        while self.cursor.accept(word, "keyword"):
            found.append(part())
        if len(found) == 1:
            return found[0]
        return nodes.Composite(word.upper(), tuple(found), span=start)

    def primary(self) -> nodes.AnyRule:
        cursor = self.cursor
        if not cursor.at("("):
            return self.rule()
        start = cursor.advance().span
        with cursor.nested():
            inner = self.disjunction()
        cursor.expect(")")
        if not cursor.at_keyword("labels"):
            return inner
        labels = {**dict(self.labels()), **dict(inner.labels)}
        self.check_label_count(labels, start)
        return dataclasses.replace(inner, labels=tuple(labels.items()))

    def rule(self) -> nodes.Rule:
        cursor = self.cursor
        name = cursor.token
        rule_type, params, signature = self.rule_head()
        if rule_type.analyzer_only:
            cursor.fail(f"{name.text} is an analyzer, not a rule", at=name.span)
        condition = self.condition_of(signature, name)
        where = self.where(rule_type) if cursor.at_keyword("where") else None
        labels = self.labels() if cursor.at_keyword("labels") else ()
        self.check_label_count(dict(labels), name.span)
        threshold, tags = self.modifiers(rule_type)
        return nodes.Rule(rule_type.name, params, condition, where, labels, threshold, tags, name.span)

    def rule_head(self) -> tuple[RuleType, tuple[nodes.Param, ...], Signature]:
        cursor = self.cursor
        name = cursor.token
        if name.kind != "word" or name.value not in RULE_TYPES:
            problem = f"unknown rule type {name.text}" if name.kind == "word" else None
            cursor.fail(problem, expected=RULE_TYPES if name.kind == "word" else ["a rule"])
        cursor.advance()
        rule_type = RULE_TYPES[name.value]
        params = self.params()
        signature = rule_type.signature(len(params))
        if signature is None:
            self.wrong_params(rule_type, params, name)
        return rule_type, params, signature

    def wrong_params(self, rule_type: RuleType, params: tuple[nodes.Param, ...], name: Token) -> NoReturn:
        cursor = self.cursor
        expected = [str(s) for s in rule_type.signatures]
        if cursor.token.kind in ("bad", "date", "time"):
            cursor.fail(expected=expected)
        loose = next((p for p in params if not p.quoted), None)
        if loose is None:
            cursor.fail(f"{name.text} takes {' or '.join(expected)}, not {len(params)}", at=name.span)
        if loose.text in RULE_TYPES:
            cursor.fail(f"here begins another rule; separate them by `,` or write {JOINED}", at=loose.span)
        following = [*(operands.OPERATORS if any(s.kinds for s in rule_type.signatures) else ()), *AFTER]
        cursor.fail(f"unexpected {loose.text}", at=loose.span, expected=following, word=loose.text)

    def params(self) -> tuple[nodes.Param, ...]:
        cursor = self.cursor
        found: list[nodes.Param] = []
        kinds = ("string", "word", "variable")
        while True:
            connected = cursor.at_keyword("of", "and") and cursor.following.kind in kinds
            if not connected and cursor.token.kind not in kinds:
                return tuple(found)
            connector = cursor.advance().value if connected else ""
            found.append(self.param(connector))

    def param(self, connector: str) -> nodes.Param:
        token = self.cursor.token
        if token.kind != "variable":
            self.cursor.advance()
            return nodes.Param(token.value, token.kind == "string", connector, token.span)
        value = operands.variable(self.cursor, self.variables)
        if not isinstance(value, str):
            self.cursor.fail(
                f"Invalid variable type for '{token.value}': a parameter is a string", at=token.span
            )
        return nodes.Param(value, True, connector, token.span)

    def condition_of(self, signature: Signature, name: Token) -> nodes.Condition | None:
        cursor = self.cursor
        if not operands.at_condition(cursor):
            if signature.kinds and not signature.optional:
                cursor.fail(
                    f"{name.text} needs a condition; {spelt(cursor.token.text) or 'the end'} is none",
                    expected=operands.OPERATORS,
                )
            return None
        if not signature.kinds:
            cursor.fail(f"{name.text} takes no condition")
        return operands.condition(cursor, signature.kinds, self.variables)

    def where(self, rule_type: RuleType) -> str:
        if not rule_type.where:
            self.cursor.fail(f"{rule_type.name} takes no where")
        self.cursor.advance()
        token = self.cursor.expect_kind("string", "a quoted condition in SQL")
        if not token.value.strip():
            self.cursor.fail("the where clause is empty", at=token.span)
        return token.value

    def modifiers(self, rule_type: RuleType) -> tuple[nodes.Condition | None, nodes.Pairs]:
        cursor = self.cursor
        threshold: nodes.Condition | None = None
        tags: dict[str, str] = {}
        while cursor.accept("with", "keyword"):
            name = cursor.expect_kind("word", "a tag's name")
            if name.value.lower() != "threshold":
                if not cursor.at("="):
                    what = f'{name.text} is no threshold, and other tags are written as name = "value"'
                    cursor.fail(what, at=name.span, expected=["threshold"], word=name.text)
                tags.pop(name.value, None)
                tags[name.value] = self.tag_value()
                continue
            if not rule_type.threshold or threshold is not None:
                why = "takes no threshold" if not rule_type.threshold else "has one threshold at most"
                cursor.fail(f"{rule_type.name} {why}", at=name.span)
            threshold = operands.condition(cursor, (NUMBER,), self.variables)
        return threshold, tuple(tags.items())

    def tag_value(self) -> str:
        cursor = self.cursor
        cursor.expect("=")
        if cursor.token.kind in ("string", "date", "time", "int", "decimal"):
            return cursor.advance().value
        cursor.fail(expected=["a quoted string", "a number"])

    def analyzers(self) -> tuple[nodes.Rule, ...]:
        cursor = self.cursor
        cursor.expect("Analyzers", "word")
        cursor.expect("=")
        cursor.expect("[")
        found: list[nodes.Rule] = []
        while not cursor.at("]") or found:
            found.append(self.analyzer())
            if not cursor.accept(","):
                break
        cursor.expect("]")
        return tuple(found)

    def analyzer(self) -> nodes.Rule:
        name = self.cursor.token
        rule_type, params, signature = self.rule_head()
        if not signature.kinds and not rule_type.analyzer_only:
            self.cursor.fail(f"{name.text} has no metric and cannot be an analyzer", at=name.span)
        return nodes.Rule(rule_type.name, params, span=name.span)

    def labels(self) -> nodes.Pairs:
        self.cursor.expect("labels", "keyword")
        return self.label_array()

    def label_block(self, name: str) -> nodes.Pairs:
        span = self.cursor.expect(name, "word").span
        labels = self.label_array()
        self.check_label_count(dict(labels), span)
        return labels

    def label_array(self) -> nodes.Pairs:
        cursor = self.cursor
        cursor.expect("=")
        cursor.expect("[")
        found: dict[str, str] = {}
        while not found or cursor.accept(","):
            key = cursor.expect_kind("string", "a quoted label")
            cursor.expect("=")
            value = cursor.expect_kind("string", "a quoted value")
            if not key.value.strip() or not value.value.strip():
                cursor.fail("Label key or value cannot be empty", at=key.span)
            if len(key.value) > MAX_LABEL_KEY or len(value.value) > MAX_LABEL_VALUE:
                cursor.fail(
                    f"a label is too long (key {MAX_LABEL_KEY}, value {MAX_LABEL_VALUE})", at=key.span
                )
            if key.value in found:
                cursor.fail("Duplicate label key. Key must be unique.", at=key.span)
            found[key.value] = value.value
        cursor.expect("]")
        return tuple(found.items())

    def check_label_count(self, labels: dict[str, str], span: Span) -> None:
        if len({**dict(self.default_labels), **labels}) > MAX_LABELS:
            self.cursor.fail(f"Number of labels exceed maximum allowed (MAX: {MAX_LABELS})", at=span)
