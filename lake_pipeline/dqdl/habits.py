"""What people write out of habit of other languages, and how DQDL writes it: the advice in a syntax error."""

from __future__ import annotations

import re
import unicodedata

from lake_pipeline.dqdl.tokens import LOWER_ONLY, LOWER_OR_UPPER, SIZE_UNITS, TIME_UNITS

_UNITS = (*TIME_UNITS, *SIZE_UNITS)
_LOWER = "|".join(LOWER_ONLY)
_EITHER = "|".join([*LOWER_OR_UPPER, *map(str.upper, LOWER_OR_UPPER)])

# Looked for where the error is; what stands before it may be part of the habit.
HABITS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), advice)
    for pattern, advice in (
        (r"(?<==)=", "Equality is one `=`"),
        (r"(?<==)[<>]", "Write `>=` or `<=`"),
        (r"(?<=<)>", "Write `!=`"),
        (r"['“”„«»‘’`]", 'Texts and names stand in straight double quotes: "a"'),
        (r"//|--|/\*", "A comment begins with `#` and ends with its line"),
        (r";", "Rules are separated by `,`"),
        (r"&&?", 'Write `and`, between rules in parentheses: (IsComplete "a") and (IsUnique "b")'),
        (r"\|\|?", 'Write `or`, between rules in parentheses: (IsComplete "a") or (IsUnique "b")'),
        (r"%", "A share is a number from 0 to 1: 0.95"),
        (r"−", "Write the minus of the keyboard: -"),
        (r"(?<=now\(\) )[-+]", "Put it in parentheses: (now() - 3 days)"),
        (r"-?\.[0-9]|-?[0-9][0-9.]*[eE_][0-9]|\+[0-9]", "Numbers are written as 1000000, -1 or 0.5"),
        (rf"[0-9]+(?:{'|'.join(_UNITS)})\b", "Leave a space between the number and its unit"),
        (r"(?<=[0-9] )(?:days?|hours?|minutes?)\b", "Units are `days`, `hours` and `minutes`: 1 days"),
        (r"(?<=[0-9] )(?i:[kmgt]?b)\b", "Units are `B`, `KB`, `MB`, `GB` and `TB`"),
        (r"(?i:like)\b", 'Write `matches` and a regular expression: matches "x.*"'),
        (r"(?i:is)\b", "Write `= NULL` or `!= NULL`"),
        (r"(?<=in )(?:\(|\")", 'A list stands in brackets: in ["a","b"]'),
        (r"(?i:true|false)\b", 'A boolean is compared as a text: = "true"'),
        (r"(?i:none|nil|na)\b", "Write NULL"),
        (rf"(?!(?:{_LOWER})\b)(?i:{_LOWER})\b", "This keyword is written in lower case"),
        (
            rf"(?!(?:{_EITHER})\b)(?i:{_EITHER})\b",
            "This keyword is written in lower case, or all of it in upper case",
        ),
    )
)


def advice(source: str, at: int) -> str:
    """The advice for a habit that shows at a place of the source, as a sentence; or nothing.

    >>> advice("RowCount == 1", 10)
    ' Equality is one `=`.'
    """
    found = next((text for habit, text in HABITS if habit.match(source, at)), None)
    return f" {found}." if found else ""


def spelt(text: str) -> str:
    """A text as a message can show it: what cannot be seen, by its name.

    >>> spelt(chr(160))
    'NO-BREAK SPACE (U+00A0)'
    """
    if len(text) == 1 and (text.isspace() or not text.isprintable()):
        return f"{unicodedata.name(text, 'a control character')} (U+{ord(text):04X})"
    return text if len(text) <= 40 else text[:40] + "…"
