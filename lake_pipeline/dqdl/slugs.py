"""Names of rules that fit where only letters, digits and underscores do (Dagster's asset checks)."""

from __future__ import annotations

import hashlib
import re

from lake_pipeline.dqdl.rules import RULE_TYPES

MAX_SLUG = 100


def slug_of(head: str, params: tuple[str, ...]) -> str:
    """``head`` and the parameters that tell rules of a type apart.

    >>> slug_of("ReferentialIntegrity", ("carrier", "carriers.code"))
    'ReferentialIntegrity_carrier'
    """
    rule_type = RULE_TYPES.get(head)
    shown = params[: rule_type.slug_params] if rule_type else params
    hidden = params if rule_type and rule_type.slug_params == 0 else ()
    parts = [head, *(_clean(p) for p in shown), *(_digest(p) for p in hidden)]
    slug = "_".join(parts)
    return slug if len(slug) <= MAX_SLUG else f"{slug[: MAX_SLUG - 9]}_{_digest(slug)}"


def _clean(text: str) -> str:
    """The text with runs of other characters as one underscore; a digest where nothing is left of it."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
