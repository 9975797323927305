"""Date and time patterns: which parts of the JDK's language every engine reads alike.

ODCS writes formats as JDK `DateTimeFormatter` patterns, Spark reads those, DuckDB reads strptime's.
The table below is the part with one meaning in both; anything else is refused when the contract is
read, not discovered in a nightly run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# JDK field -> (strptime directive, part of the instant that it gives, regular expression of its texts).
# Parsers differ in what they let pass (one digit for two, a lower-case "am"); the expressions do not.
FIELDS: dict[str, tuple[str, str, str]] = {
    "yyyy": ("%Y", "year", "[0-9]{4}"),
    "uuuu": ("%Y", "year", "[0-9]{4}"),
    "MM": ("%m", "month", "[0-9]{2}"),
    "M": ("%-m", "month", "[0-9]{1,2}"),
    "dd": ("%d", "day", "[0-9]{2}"),
    "d": ("%-d", "day", "[0-9]{1,2}"),
    "HH": ("%H", "hour", "([01][0-9]|2[0-3])"),
    "H": ("%-H", "hour", "([01]?[0-9]|2[0-3])"),
    "hh": ("%I", "hour12", "(0[1-9]|1[0-2])"),
    "h": ("%-I", "hour12", "(0?[1-9]|1[0-2])"),
    "a": ("%p", "half", "(AM|PM)"),
    "mm": ("%M", "minute", "[0-5][0-9]"),
    "ss": ("%S", "second", "[0-5][0-9]"),
    "SSS": ("%g", "fraction", "[0-9]{3}"),
    "SSSSSS": ("%f", "fraction", "[0-9]{6}"),
    "XXX": ("%z", "offset", "(Z|[+-]((0[0-9]|1[0-7]):[0-5][0-9]|18:00))"),
    "XX": ("%z", "offset", "(Z|[+-]((0[0-9]|1[0-7])[0-5][0-9]|1800))"),
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
    return _literal(token).replace("%", "%%")


def _literal(token: re.Match[str]) -> str:
    return token["literal"] or token["quoted"].replace("''", "'") or "'"


def to_regex(pattern: str) -> str:
    r"""The texts that have the pattern's form, as a regular expression of RE2 and Java.

    >>> to_regex("d/M/yyyy")
    '^[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}\\z'
    """
    return "^" + "".join(map(_expression, _TOKEN.finditer(pattern))) + r"\z"


def _expression(token: re.Match[str]) -> str:
    return FIELDS[token["field"]][2] if token["field"] else re.escape(_literal(token))


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
