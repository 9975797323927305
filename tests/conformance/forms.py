"""One row of the conformance table of lexical forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lake_pipeline.contracts import Type


@dataclass(frozen=True)
class Forms:
    """The texts of one type. `nothing` is the text that means NULL in none of the formats."""

    name: str
    type: Type
    canonical: Mapping[str, Any]
    coercible: Mapping[str, Any] = field(default_factory=dict)
    failing: tuple[str, ...] = ()
