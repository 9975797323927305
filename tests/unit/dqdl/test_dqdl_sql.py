"""SQL in rules may read the named tables and nothing else."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lake_pipeline.dqdl import Outcome, evaluate

DATA = pa.table({"id": [1, 2], "name": ["a", "b"]})

HOSTILE_QUERIES = [
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from '/etc/passwd'",
    "select * from `/etc/passwd`",
    "select * from parquet.`/tmp/x`",
    "select * from glob('*')",
    "select * from range(10)",
    "select * from duckdb_settings()",
    "select * from information_schema.tables",
    "select * from sqlite_master",
    "select * from other",
    "select getenv('HOME')",
    "select current_setting('temp_directory')",
    "select count(*) from primary where name in (select content from read_text('x'))",
    "with x as (select * from read_csv('x')) select * from x",
    "pragma database_list",
    "attach '/tmp/x.db'",
    "copy primary to '/tmp/x'",
    "set threads = 1",
    "insert into primary values (1)",
    "create table x as select 1",
    "drop table primary",
    "select 1; drop table primary",
    "install httpfs",
    "load 'x'",
    "call x()",
    "select * into x from primary",
    "",
    "select",
    "select (" + "(" * 3000,
]

HOSTILE_PREDICATES = [
    "id in (select 1)",
    "1 = 1; drop table primary",
    "1 = 1 union select 1",
    "1 = 1 limit 1",
    "1 = 1 order by id",
    "1 = 1 group by id",
    "count(*) > 1",
    "row_number() over () > 1",
    "getenv('HOME') = 'x'",
    "exists (select * from read_text('x'))",
    "id <",
    "nope = 1",
    ")",
]


def outcome(rule: str) -> Outcome:
    return evaluate(f"Rules = [ {rule} ]", DATA).outcomes[0]


@pytest.mark.parametrize("query", HOSTILE_QUERIES)
@pytest.mark.parametrize("condition", ["", " >= 0"])
def test_hostile_queries_are_errors(query: str, condition: str) -> None:
    found = outcome(f'CustomSql "{query}"{condition}')
    assert found.status == "Error"
    assert found.reason


@pytest.mark.parametrize("text", HOSTILE_PREDICATES)
def test_hostile_predicates_are_errors(text: str) -> None:
    found = outcome(f'RowCount >= 0 where "{text}"')
    assert found.status == "Error"
    assert "where clause is invalid" in str(found.reason)


@pytest.mark.parametrize(
    "text",
    [
        "id = 1",
        "name rlike 'a.*'",
        "name = 'a' and id between 0 and 1",
        "id in (1) -- the first",
        "upper(name) = 'A' or name is null",
        "cast(id as string) = '1'",
        "substring(name, 1, 1) = 'a'",
        "`name` like 'a%'",
        'name = \\"a\\"',
    ],
)
def test_predicates_are_spark_sql(text: str) -> None:
    found = outcome(f'RowCount = 1 where "{text}"')
    assert found.status == "Passed", found.reason


def test_queries_are_spark_sql() -> None:
    query = "with p as (select id from PRIMARY where name <=> 'a') select count(*) / 2 from p"
    found = outcome(f'CustomSql "{query}" = 0.5')
    assert found.status == "Passed", found.reason
