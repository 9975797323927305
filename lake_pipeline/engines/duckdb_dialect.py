"""What DuckDB calls the functions that engines name differently, and how its SQL quotes."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
from ibis.backends.sql.datatypes import DuckDBType

from lake_pipeline.contracts.formats import parts as format_parts
from lake_pipeline.contracts.formats import to_strptime
from lake_pipeline.engines.builtins import builtin
from lake_pipeline.engines.casts import Expr
from lake_pipeline.formats.json_texts import LONG_NUMBER, texts_of

EXACT = "lake_exact_numbers"  # the name of `exact_numbers` in DuckDB
TEXTS = "lake_json_texts"  # the name of `texts_of_lines`


class DuckDBDialect:
    """The functions that DuckDB names in its own way."""

    def instant(self, local: Expr, zone: str) -> Expr:
        """``timezone(zone, timestamp)``."""
        return builtin("timezone", (dt.string, dt.Timestamp(None, 6)), dt.Timestamp("UTC", 6))(zone, local)

    def local(self, instant: Expr, zone: str) -> Expr:
        """``timezone(zone, timestamptz)``."""
        return builtin("timezone", (dt.string, dt.Timestamp("UTC", 6)), dt.Timestamp(None, 6))(zone, instant)

    def parse(self, text: Expr, pattern: str) -> Expr:
        """``try_strptime``, which does not know the offset ``Z``."""
        text = text.replace("Z", "+00:00") if "offset" in format_parts(pattern) else text
        made = dt.Timestamp("UTC" if "offset" in format_parts(pattern) else None, 6)
        return builtin("try_strptime", (dt.string, dt.string), made)(text, to_strptime(pattern))

    def from_json(self, text: Expr, shape: dt.DataType) -> Expr:
        """``from_json``, only where the text is JSON."""
        parse = builtin("from_json", (dt.string, dt.string), shape)
        valid = builtin("json_valid", (dt.string,), dt.boolean)(text)
        exact = builtin(EXACT, (dt.string,), dt.string)(text)
        text = text.re_search(LONG_NUMBER).ifelse(exact, text)
        return valid.ifelse(parse(text, json.dumps(structure(shape))), ibis.null(shape))

    def to_json(self, value: Expr) -> Expr:
        """``to_json`` as text."""
        return builtin("to_json", (value.type(),), dt.JSON())(value).cast("string")

    def moment(self, text: Expr) -> Expr:
        """``TRY_CAST``."""
        return text.try_cast(dt.Timestamp("UTC", 6))

    def apart(self, table: Expr) -> Expr:
        """The table: DuckDB finds what is written twice."""
        return table

    def text(self, value: Expr) -> Expr:
        """``CAST(… AS VARCHAR)``."""
        return value.cast("string")


JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*')


def exact_numbers(texts: pa.Array) -> pa.Array:
    """JSON texts with their long numbers in quotes."""
    return pa.array([t and JSON_TOKEN.sub(_in_quotes, t) for t in texts.to_pylist()], pa.string())


def texts_of_lines(lines: pa.Array) -> pa.Array:
    """JSON objects with nothing but texts in them; see `texts_of`."""
    return pa.array([line and texts_of(line) for line in lines.to_pylist()], pa.string())


def _in_quotes(token: re.Match[str]) -> str:
    return token[0] if token[0].startswith('"') or len(token[0]) < 17 else f'"{token[0]}"'


def structure(shape: dt.DataType) -> Any:
    """A type as DuckDB's ``from_json`` wants it: ``{"a": "VARCHAR", "b": ["BIGINT"]}``."""
    if isinstance(shape, dt.Struct):
        return {name: structure(field) for name, field in shape.items()}
    if isinstance(shape, dt.Array):
        return [structure(shape.value_type)]
    return DuckDBType.to_string(shape)


_OPTIONS = threading.Lock()  # Ibis has one set of options for all threads


def sql_of(expression: Expr) -> str:
    """An expression as DuckDB's SQL, a select within a select as it is written.

    Ibis makes one of them, in which DuckDB computes again what is named within a CASE.
    """
    with _OPTIONS:
        before, ibis.options.sql.fuse_selects = ibis.options.sql.fuse_selects, False
        try:
            return str(ibis.to_sql(expression, dialect="duckdb", pretty=False))
        finally:
            ibis.options.sql.fuse_selects = before


def quoted(text: str) -> str:
    """An SQL string."""
    return "'" + text.replace("'", "''") + "'"


def named(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def path_list(paths: Iterable[object]) -> str:
    """Paths as an SQL list."""
    return "[" + ", ".join(quoted(str(p)) for p in paths) + "]"
