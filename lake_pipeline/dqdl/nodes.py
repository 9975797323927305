"""What a ruleset says, as frozen values.

``str()`` of every node is its canonical text; a node's place in the source (``span``) is kept for
messages but is no part of its identity. Variables are resolved while parsing, so that a rule means the
same alone as in its ruleset.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from lake_pipeline.dqdl.slugs import slug_of
from lake_pipeline.dqdl.tokens import SIZE_UNITS, Span
from lake_pipeline.errors import UsageError

NOWHERE = Span(0, 0)
_SECONDS = {"days": 86_400, "hours": 3_600, "minutes": 60}
_SPARK_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b"}


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a rule: a column, a path, a pattern or SQL, with the connector (of, and) before it."""

    text: str
    quoted: bool = True
    connector: str = ""
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    def __str__(self) -> str:
        word = f'"{self.text}"' if self.quoted else self.text
        return f"{self.connector} {word}" if self.connector else word


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric literal as written."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Call:
    """A function of a dynamic operand, such as ``avg(last(10))``."""

    name: str
    args: tuple[NumericOperand, ...]

    def __str__(self) -> str:
        return f"{self.name}({','.join(map(str, self.args))})"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``first op operand op operand …``: one level of precedence, from left to right."""

    first: NumericOperand
    rest: tuple[tuple[str, NumericOperand], ...]

    def __str__(self) -> str:
        return " ".join([str(self.first), *(f"{op} {operand}" for op, operand in self.rest)])


@dataclass(frozen=True, slots=True)
class Parenthesis:
    """A numeric expression in parentheses."""

    inner: NumericOperand

    def __str__(self) -> str:
        return f"({self.inner})"


NumericOperand = Number | Call | Arithmetic | Parenthesis


@dataclass(frozen=True, slots=True)
class Text:
    """A string operand; ``raw`` is the text between the quotes, with its backslashes."""

    raw: str

    def __str__(self) -> str:
        return f'"{self.raw}"'

    @property
    def listed(self) -> str:
        """The string meant inside ``in [...]``, where DQDL removes every escape."""
        return re.sub(r"\\(.)", r"\1", self.raw, flags=re.DOTALL)

    @property
    def literal(self) -> str:
        """The string meant after ``=``: the raw text as a Spark string literal."""
        return re.sub(
            r"\\(.)", lambda m: _SPARK_ESCAPES.get(m.group(1), m.group(1)), self.raw, flags=re.DOTALL
        )


@dataclass(frozen=True, slots=True)
class Special:
    """NULL, EMPTY or WHITESPACES_ONLY."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Day:
    """A date ``YYYY-MM-DD``; it need not exist in the calendar."""

    text: str

    def __str__(self) -> str:
        return f'"{self.text}"'


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of today, ``HH:MM`` or ``h:MM AM``."""

    text: str

    def __str__(self) -> str:
        return f'"{self.text}"'


@dataclass(frozen=True, slots=True)
class Now:
    """``now()`` or ``(now() ± amount unit)``."""

    sign: str = ""
    amount: int = 0
    unit: str = ""

    def __str__(self) -> str:
        return f"(now() {self.sign} {self.amount} {self.unit})" if self.sign else "now()"


@dataclass(frozen=True, slots=True)
class Duration:
    """An amount of days, hours or minutes."""

    amount: int
    unit: str

    def __str__(self) -> str:
        return f"{self.amount} {self.unit}"

    @property
    def hours(self) -> float:
        """The duration in hours."""
        return self.amount * _SECONDS[self.unit] / 3600


@dataclass(frozen=True, slots=True)
class Size:
    """A size of a file; without a unit, bytes."""

    amount: int
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.amount} {self.unit}" if self.unit else str(self.amount)

    @property
    def bytes(self) -> int:
        """The size in bytes; a unit is 1024 of the one below."""
        return self.amount << 10 * (SIZE_UNITS.index(self.unit) if self.unit else 0)


Operand = NumericOperand | Text | Special | Day | Clock | Now | Duration | Size


@dataclass(frozen=True, slots=True)
class Condition:
    """``op`` is one of ``= != > >= < <=`` or ``between in matches``, these also with ``not`` before."""

    kind: str
    op: str
    operands: tuple[Operand, ...]

    def __str__(self) -> str:
        if self.op.endswith("between"):
            return f"{self.op} {self.operands[0]} and {self.operands[1]}"
        if self.op.endswith("in"):
            return f"{self.op} [{','.join(map(str, self.operands))}]"
        return f"{self.op} {self.operands[0]}"

    @property
    def specials(self) -> frozenset[str]:
        """Names of the special operands in the condition."""
        return frozenset(o.name for o in self.operands if isinstance(o, Special))


Pairs = tuple[tuple[str, str], ...]


def _labels_text(labels: Pairs) -> str:
    return "labels=[" + ",".join(f'"{k}"="{v}"' for k, v in labels) + "]"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule or analyzer: its type, parameters, condition and modifiers."""

    type: str
    params: tuple[Param, ...] = ()
    condition: Condition | None = None
    where: str | None = None
    labels: Pairs = ()
    threshold: Condition | None = None
    tags: Pairs = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    def __str__(self) -> str:
        parts = [self.type, *map(str, self.params)]
        if self.condition is not None:
            parts.append(str(self.condition))
        if self.where is not None:
            parts.append(f'where "{self.where}"')
        if self.labels:
            parts.append(_labels_text(self.labels))
        if self.threshold is not None:
            parts.append(f"with threshold {self.threshold}")
        parts.extend(f'with {name} = "{value}"' for name, value in self.tags)
        return " ".join(parts)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' texts."""
        return tuple(p.text for p in self.params)

    @property
    def slug(self) -> str:
        """A stable name for an asset check, of letters, digits and underscores; not unique."""
        return slug_of(self.type, self.names)

    def tag(self, name: str) -> str | None:
        """The value of a tag, if the rule has it."""
        return dict(self.tags).get(name)


@dataclass(frozen=True, slots=True)
class Composite:
    """Rules joined by AND or by OR."""

    op: str
    rules: tuple[AnyRule, ...]
    labels: Pairs = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    def __str__(self) -> str:
        text = f" {self.op} ".join(f"({rule})" for rule in self.rules)
        return f"({text}) {_labels_text(self.labels)}" if self.labels else text

    @property
    def slug(self) -> str:
        """The slugs of the parts, joined by the operator."""
        return slug_of(f"_{self.op.lower()}_".join(rule.slug for rule in self.rules), ())


AnyRule = Rule | Composite


@dataclass(frozen=True, slots=True)
class Ruleset:
    """A parsed document. ``warnings`` tell what was accepted but ignored."""

    rules: tuple[AnyRule, ...]
    analyzers: tuple[Rule, ...] = ()
    metadata: Pairs = ()
    primary: str | None = None
    additional: tuple[str, ...] = ()
    default_labels: Pairs = ()
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, rules: Iterable[AnyRule]) -> Ruleset:
        """A ruleset of these rules, for instance those of several rulesets, to be evaluated at once."""
        collected = tuple(rules)
        if not collected:
            raise UsageError("A ruleset needs at least one rule.")
        return cls(collected)

    def labels_of(self, rule: AnyRule) -> dict[str, str]:
        """The labels of a rule: the defaults, overridden by its own."""
        return {**dict(self.default_labels), **dict(rule.labels)}

    def __str__(self) -> str:
        blocks = []
        if self.metadata:
            blocks.append("Metadata = { " + ", ".join(f'"{k}": "{v}"' for k, v in self.metadata) + " }")
        if self.primary is not None or self.additional:
            blocks.append("DataSources = { " + ", ".join(self._sources()) + " }")
        if self.default_labels:
            blocks.append("DefaultLabels=" + _labels_text(self.default_labels).removeprefix("labels="))
        if self.rules:
            blocks.append(_block("Rules", self.rules))
        if self.analyzers:
            blocks.append(_block("Analyzers", self.analyzers))
        return "\n".join(blocks)

    def _sources(self) -> Iterable[str]:
        if self.primary is not None:
            yield f'"Primary": "{self.primary}"'
        if self.additional:
            yield '"AdditionalDataSources": [ ' + ", ".join(f'"{s}"' for s in self.additional) + " ]"


def _block(name: str, rules: Iterable[AnyRule]) -> str:
    return f"{name} = [\n    " + ",\n    ".join(map(str, rules)) + "\n]"
