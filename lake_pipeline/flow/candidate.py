"""A validated partition on its way through the gate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from lake_pipeline.flow.state import Manifest, Outcome, Receipt
from lake_pipeline.flow.validate import Validated


@dataclass(frozen=True)
class Candidate:
    """A validated partition on its way through the gate.

    published: the outcome whose rows are visible now, and `known` the objects those rows are from.
    """

    partition: str
    manifest: Manifest
    validated: Validated
    receipts: tuple[Receipt, ...]
    fingerprint: str
    previous: Outcome | None
    published: Outcome | None
    known: frozenset[str] = frozenset()

    @cached_property
    def landing(self) -> dict[str, int]:
        """The objects whose rows count, and the position in which they landed."""
        validated = {r.id for r in self.validated.receipts}
        return {e.id: i for i, e in enumerate(self.manifest.sources) if e.id in validated}

    @property
    def files(self) -> list[str]:
        """The URIs of the validated data files."""
        return [f for r in self.receipts for f in r.validated_files]

    @property
    def rejects(self) -> list[str]:
        """The URIs of the quarantine's data files that validation made."""
        return [f for r in self.receipts for f in r.quarantine_files]

    def number(self) -> int:
        """The number of the newest outcome."""
        return self.previous.number if self.previous else 0
