"""Date and time patterns: which parts of the JDK's language every engine reads alike.

ODCS writes formats as JDK `DateTimeFormatter` patterns, Spark reads those, DuckDB reads strptime's.
The table below is the part with one meaning in both; anything else is refused when the contract is
read, not discovered in a nightly run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# JDK field -> (strptime directive, part of the instant that it gives)
FIELDS: dict[str, tuple[str, str]] = {
    "yyyy": ("%Y", "year"),
    "uuuu": ("%Y", "year"),
    "MM": ("%m", "month"),
    "M": ("%-m", "month"),
    "dd": ("%d", "day"),
    "d": ("%-d", "day"),
    "HH": ("%H", "hour"),
    "H": ("%-H", "hour"),
    "hh": ("%I", "hour12"),
    "h": ("%-I", "hour12"),
    "a": ("%p", "half"),
    "mm": ("%M", "minute"),
    "ss": ("%S", "second"),
    "SSS": ("%g", "fraction"),
    "SSSSSS": ("%f", "fraction"),
    "XXX": ("%z", "offset"),
    "XX": ("%z", "offset"),
}
DATE_PARTS = frozenset({"year", "month", "day"})
_TOKEN = re.compile(r"'(?P<quoted>(?:[^']|'')*)'|(?P<field>([A-Za-z])\3*)|(?P<literal>[^A-Za-z'])")
_STRPTIME = {"%Y": "yyyy", "%m": "MM", "%d": "dd", "%H": "HH", "%M": "mm", "%S": "ss", "%f": "SSSSSS"}


@dataclass(frozen=True)
class FormatFault:
    """Why a pattern cannot be used, and what to write instead."""

    message: str
    hint: str


def parts(pattern: str) -> frozenset[str]:
    """The parts of an instant that a valid pattern gives.

    >>> sorted(parts("yyyy-MM-dd"))
    ['day', 'month', 'year']
    """
    return frozenset(FIELDS[m["field"]][1] for m in _TOKEN.finditer(pattern) if m["field"] in FIELDS)


def to_strptime(pattern: str) -> str:
    """The same pattern in the language of DuckDB's and C's strptime.

    >>> to_strptime("yyyy-MM-dd'T'HH:mm:ss")
    '%Y-%m-%dT%H:%M:%S'
    """
    return "".join(map(_directive, _TOKEN.finditer(pattern)))


def _directive(token: re.Match[str]) -> str:
    if token["field"]:
        return FIELDS[token["field"]][0]
    literal = token["literal"] or token["quoted"].replace("''", "'") or "'"
    return literal.replace("%", "%%")


def fault(pattern: str, *, time: bool) -> FormatFault | None:
    """What is wrong with the pattern of a date (or, with `time`, of a timestamp); None when nothing is."""
    if re.search(r"%[A-Za-z]", pattern):
        suggestion = re.sub(r"%[A-Za-z]", lambda m: _STRPTIME.get(m[0], m[0]), pattern)
        return FormatFault(f'"{pattern}" is a strptime pattern.', f"ODCS uses the JDK's: {suggestion}")
    if "".join(m[0] for m in _TOKEN.finditer(pattern)) != pattern:
        return FormatFault(f'"{pattern}" has an unbalanced quote.', "Quote text in pairs: 'T'.")
    fields = [m["field"] for m in _TOKEN.finditer(pattern) if m["field"]]
    unknown = [field for field in fields if field not in FIELDS]
    if unknown:
        hint = f"Use {' '.join(FIELDS)}, and quote text: 'T'."
        return FormatFault(f'"{pattern}": no engine-independent meaning for "{unknown[0]}".', hint)
    return _incomplete(pattern, [FIELDS[field][1] for field in fields], time)


def _incomplete(pattern: str, given: list[str], time: bool) -> FormatFault | None:
    if len(given) != len(set(given)):
        return FormatFault(f'"{pattern}" gives the same part twice.', "Give each part once.")
    missing = sorted(DATE_PARTS - set(given))
    if missing:
        return FormatFault(f'"{pattern}" has no {" and no ".join(missing)}.', "For example yyyy-MM-dd.")
    if not time and set(given) - DATE_PARTS:
        return FormatFault(
            f'"{pattern}" has a time, which a date cannot keep.', "Use `logicalType: timestamp`."
        )
    if ("hour12" in given) != ("half" in given):
        return FormatFault(f'"{pattern}": hours 1 to 12 need "a", and only they.', "Use HH for 0 to 23.")
    return None
