# ruff: noqa: INP001  (beside a script)
"""The reference's pages on what values and expressions mean: SQL, and casts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rendering import code, prose, simple_table, table

from lake_pipeline.dqdl import sql_functions, sql_kinds, sql_meaning
from lake_pipeline.engines import casts


def sql_page() -> Iterator[str]:
    """The SQL that rules and transforms may contain."""
    yield "# SQL"
    yield (
        "`where`, `CustomSql`, `derive` and `filter` are Spark SQL, translated for the engine. It has one meaning on all of "
        "them, which tests compare value by value; what engines understand in their own ways is refused when the dataset "
        "is loaded, linted or checked, with what to write instead."
    )
    yield prose((sql_meaning.__doc__ or "").split("\n\n", 1)[1])
    yield "## Functions"
    yield "These, and no others. A list's items are counted from 0, the letters of a text from 1."
    rows = []
    for function in sql_functions.FUNCTIONS.values():
        gives = str(function.gives) if isinstance(function.gives, sql_kinds.Kind) else "as its arguments"
        takes = "any" if function.takes >= sql_functions.VALUES else ", ".join(sorted(function.takes))
        row = (code(function.form), takes, "" if gives == "unknown" else gives)
        if row not in rows:
            rows.append(row)
    yield table(("function", "takes", "gives"), rows)


def cast_page() -> Iterator[str]:
    """The casts, from the docstring of `engines/casts.py`."""
    text = prose(casts.__doc__ or "")
    before, after = re.split(
        r"^=+(?: +=+)+$.*^=+(?: +=+)+$", text, maxsplit=1, flags=re.MULTILINE | re.DOTALL
    )
    yield "# Casts"
    sentence = before.strip().removeprefix("Casts: ")
    yield sentence[:1].upper() + sentence[1:]
    head, rows = simple_table(casts.__doc__ or "")
    yield table(head, rows)
    yield after.strip()
