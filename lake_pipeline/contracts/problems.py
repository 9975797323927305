"""What is wrong with a contract, all of it at once, at the place in the file where it can be put right.

A contract is read by its author far more often when it is wrong than when it is right. Stopping at
the first mistake makes one edit-and-run cycle per mistake, so every reader in this package reports
to a `Reporter` and carries on; `load` raises once, at the end, with everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lake_pipeline.errors import Terminal


@dataclass(frozen=True)
class Span:
    """A stretch of one source line: 1-based line and column, width in characters."""

    line: int
    column: int = 1
    width: int = 0


_SHOWN = 100


@dataclass(frozen=True)
class Problem:
    """One mistake: where (1-based line), the source line as written, what is wrong, what to do."""

    file: Path
    line: int
    text: str
    message: str
    hint: str = ""
    column: int = 1
    width: int = 0

    def __str__(self) -> str:
        lines = [f"{self.file}:{self.line}: {self.message}"]
        if self.text.strip():
            lines += self._underlined()
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)

    def _underlined(self) -> list[str]:
        """The source line, cut to what a screen shows around the place, and the marks below it."""
        gutter, before = f"  {self.line} | ", self.column - 1
        cut = max(0, before - _SHOWN // 2) if len(self.text) > _SHOWN else 0
        shown = self.text[cut : cut + _SHOWN]
        width = max(1, min(self.width, len(shown) - (before - cut)))
        return [gutter + shown, " " * (len(gutter) + before - cut) + "^" * width]


class ContractError(Terminal):
    """The contract cannot be used; `problems` holds every reason, in the order of the file."""

    def __init__(self, path: Path, problems: tuple[Problem, ...]) -> None:
        self.path = path
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{path}: {count} in the contract", *map(str, problems)]))


@dataclass(frozen=True)
class Reporter:
    """Collects problems of one file while its readers carry on."""

    file: Path
    lines: tuple[str, ...]
    found: list[Problem] = field(default_factory=list)

    def add(self, span: Span, message: str, hint: str = "") -> None:
        """Record one problem at `span`; the same one twice is recorded once."""
        text = self.lines[span.line - 1] if 0 < span.line <= len(self.lines) else ""
        problem = Problem(self.file, span.line, text, message, hint.strip(), span.column, span.width)
        if problem not in self.found:
            self.found.append(problem)

    def problems(self) -> tuple[Problem, ...]:
        """Everything found so far, from the top of the file to its end."""
        return tuple(sorted(self.found, key=lambda p: (p.line, p.column)))
