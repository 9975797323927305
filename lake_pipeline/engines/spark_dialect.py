"""What Spark calls the functions that engines name differently.

The session's time zone is UTC, so Spark's TIMESTAMP holds instants and local times alike.
"""

from __future__ import annotations

import ibis
import ibis.expr.datatypes as dt
from ibis.backends.sql.datatypes import PySparkType

from lake_pipeline.contracts.formats import parts as format_parts
from lake_pipeline.engines.builtins import builtin
from lake_pipeline.engines.casts import Expr

INSTANT, LOCAL = dt.Timestamp("UTC", 6), dt.Timestamp(None, 6)
TEXTS = dt.Map(dt.string, dt.string)
STRICT_JSON = ("mode", "PERMISSIVE", "allowSingleQuotes", "false")
LONG_NUMBER = "[0-9.]{17}"  # what a double may not hold
STRING_OR_NUMBER = r'("(?:[^"\\]|\\.)*+")|(-?[0-9][0-9.eE+-]{16,})'
OPEN, CLOSE = "\x01", "\x02"  # no JSON has them
FOLDS = (60, 30, 120)  # minutes by which clocks go back


class SparkDialect:
    """The functions that Spark names in its own way."""

    def instant(self, local: Expr, zone: str) -> Expr:
        """``to_utc_timestamp``, which takes the earlier instant of a fold."""
        early = builtin("to_utc_timestamp", (LOCAL, dt.string), INSTANT)(local, zone)
        later = [early + ibis.interval(minutes=m) for m in FOLDS]
        return ibis.cases(*((self.local(t, zone) == local, t) for t in later), else_=early)

    def local(self, instant: Expr, zone: str) -> Expr:
        """``from_utc_timestamp``."""
        return builtin("from_utc_timestamp", (INSTANT, dt.string), LOCAL)(instant, zone)

    def parse(self, text: Expr, pattern: str) -> Expr:
        """``try_to_timestamp``; its patterns are the JDK's."""
        made = INSTANT if "offset" in format_parts(pattern) else LOCAL
        return builtin("try_to_timestamp", (dt.string, dt.string), made)(text, pattern)

    def from_json(self, text: Expr, shape: dt.DataType) -> Expr:
        """``from_json`` of an array of the text: alone, Spark stops reading where a value ends."""
        array = dt.Array(shape)
        options = builtin("MAP", (dt.string,) * len(STRICT_JSON), TEXTS)(*STRICT_JSON)
        parse = builtin("from_json", (dt.string, dt.string, TEXTS), array)
        read = parse(
            "[" + text.re_search(LONG_NUMBER).ifelse(exact_numbers(text), text) + "]",
            PySparkType.to_string(array),
            options,
        )
        return (read.length() == 1).ifelse(read[0], ibis.null(shape))

    def to_json(self, value: Expr) -> Expr:
        """``to_json``; the session keeps null fields."""
        return builtin("to_json", (value.type(),), dt.string)(value)


def exact_numbers(text: Expr) -> Expr:
    """JSON text with its long numbers in quotes, so that Spark does not read them as doubles."""
    replace = builtin("regexp_replace", (dt.string, dt.string, dt.string), dt.string)
    marked = replace(text, STRING_OR_NUMBER, f"$1{OPEN}$2{CLOSE}")
    return marked.replace(OPEN + CLOSE, "").replace(OPEN, '"').replace(CLOSE, '"')
