"""What is wrong with a rule before there is data is said before there is data."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import ibis.expr.datatypes as dt
import pyarrow as pa
import pytest

from lake_pipeline.dqdl import evaluate, parse, problems
from lake_pipeline.errors import UsageError

COLUMNS = [("id", dt.int64), ("name", dt.string), ("day", dt.date)]
DATA = pa.table({"id": [1, 2], "name": ["a", "b"]})


def found(rule: str) -> list[str]:
    return [problem for made in parse(f"Rules = [ {rule} ]").rules for problem in problems(made, COLUMNS)]


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        ("RowCount > averag(last(3))", 'unknown function averag. Did you mean "average"?'),
        ('(RowCount > 0) and (Mean "id" between 1 and 2 * nope(last(2)))', "unknown function nope."),
        ("RowCount > 0 where \"soundex(name) = 'x'\"", "function soundex is not allowed or not known"),
        ('RowCount > 0 where "name > 5"', "cast one of them"),
        ('RowCount > 0 where "id"', "neither true nor false"),
        ('RowCount > 0 where "id ~ ~ 5 ("', "this is not Spark SQL"),
        ('CustomSql "select count(*) from primary where day - day > 1" = 0', "write datediff(a, b)"),
        ('CustomSql "delete from primary" = 0', "must be a SELECT"),
    ],
)
def test_problems_are_found_without_data(rule: str, part: str) -> None:
    assert part in found(rule)[0]


@pytest.mark.parametrize(
    "rule",
    [
        "RowCount > avg(last(3)) * 0.5",
        "RowCount > 0 where \"id > 5 and upper(name) = 'A'\"",
        'RowCount > 0 where "elsewhere > 5"',
        'CustomSql "select count(*) from primary p join customers c on p.id = c.id where c.age > 5" = 0',
        'CustomSql "select id from primary"',
    ],
)
def test_what_is_right_or_not_known_has_no_problem(rule: str) -> None:
    """Of other tables, and of columns that a file brings besides, nothing is known before there is data."""
    assert found(rule) == []


def test_now_is_a_moment() -> None:
    with pytest.raises(UsageError, match=r"now is a datetime.*and not datetime.date\(2026, 3, 1\)"):
        evaluate("Rules = [ RowCount > 0 ]", DATA, now=date(2026, 3, 1))  # type: ignore[arg-type]
    assert evaluate("Rules = [ RowCount > 0 ]", DATA, now=datetime(2026, 3, 1, tzinfo=UTC)).passed


@pytest.mark.parametrize("sources", [{"ref": DATA, "Ref": DATA}, {"Primary": DATA}, {"primary": DATA}])
def test_names_of_sources_differ_in_more_than_case(sources: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="rename one"):
        evaluate("Rules = [ RowCount > 0 ]", DATA, sources=sources)
