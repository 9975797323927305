"""SQL in rules may read the named tables and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ibis
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


SMUGGLED = [
    # a CTE's name inside does not make a table of that name known outside
    "select * from other where exists (with other as (select 1) select * from other)",
    "select * from `/etc/passwd` where exists (with `/etc/passwd` as (select 1) select 1)",
    "with `/tmp/x.csv` as (select 1 as id) select id from `/tmp/x.csv`",
    "with a as (select * from b), b as (select 1 as id) select * from a",
    "with recursive r as (select 1 as id union all select id + 1 from r) select id from r",
    "with primary as (select 1 as id) select id from primary",
    "with ref as (select 1 as id) select id from ref",
    "select explode(sequence(1, 1000000000)) as id",
    "select id from primary lateral view explode(array(1, 2)) t as x",
    "select unnest([1, 2]) as id",
    "select * from range(1000000000) as r",
    "select * from values (1) as t(id) join read_csv('x') as u on true",
    "select id from primary tablesample (10 percent) union select * from read_text('/etc/passwd')",
    "select input_file_name() as name",
    "select rand() as id",
    "select randn(1) as id",
    "select uuid() as name",
    "select shuffle(array(1, 2))[0] as id",
    "select id from primary tablesample (10 percent)",
    "select current_user() as name",
    "select current_database() as name",
    "select version() as name",
    "select java_method('java.lang.System', 'exit', 1) as name",
    "select reflect('java.lang.System', 'getenv') as name",
    "select spark_partition_id() as id",
    "select (select content from read_text('/etc/passwd')) as name",
    "select id from primary order by (select max(x) from other)",
    "select id from primary where id in (table other)",
    "select id from main.primary",
    "select id from memory.main.primary",
    "select id from system.information_schema.tables",
    "select id from `primary`.`x`",
    "select ${env} as id",
    "select :x as id",
    "select ? as id",
    "select id from json.`/tmp/x`",
    "select getvariable('x') as name",
    "explain select id from primary",
    "describe primary",
    "show tables",
    "use memory",
    "refresh table primary",
    "cache table primary",
    "analyze table primary compute statistics",
    "select id from primary; select 1",
    "from primary insert overwrite table x select id",
    "select transform(id) using 'cat' as (id) from primary",
    "select id from (select transform(id) using 'cat' as id from primary) t",
    "select id from identifier('other')",
    "select /*+ broadcast(x) */ id from other x",
]


@pytest.mark.parametrize("query", SMUGGLED)
@pytest.mark.parametrize("condition", ["", " >= 0"])
def test_smuggled_reads_are_errors(query: str, condition: str) -> None:
    """Also where a table of that name is there to be read."""
    connection = ibis.duckdb.connect()
    connection.raw_sql("CREATE TABLE other AS SELECT 9 AS id, 'secret' AS name, 1 AS x")
    connection.raw_sql("CREATE TABLE mine AS SELECT 1 AS id, 'a' AS name")
    data = connection.table("mine")
    rules = f'Rules = [ CustomSql "{query}"{condition} ]'
    found = evaluate(rules, data, sources={"ref": DATA}).outcomes[0]
    assert found.status == "Error", found
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    "query",
    [
        "with p as (select id from primary), q as (select id from p) select count(*) from q join p on p.id = q.id",
        "select count(*) from (select id from primary union all select id from ref) u where id = 1",
        "select count(*) from primary p where exists (select 1 from ref where ref.id = p.id)",
        "select sum(case when name rlike '^[ab]$' then 1 else 0 end) from primary",
        "select count(distinct primary.name) from primary join ref on primary.id = ref.id",
        "select max(n) from (select row_number() over (order by id) as n from primary) t",
        "select count(*) / 2 from (primary cross join ref)",
        "select count(*) from (primary left join ref on primary.id = ref.id) where ref.id is not null",
        "select count(*) - 2 from ref join (primary cross join ref as z) on ref.id = primary.id",
    ],
)
def test_honest_queries_run(query: str, on_engine: Callable[[pa.Table], Any]) -> None:
    rules = (
        f'Rules = [ CustomSql "{query}" = 2, CustomSql "{query}" > 1, CustomSql "select id from primary" ]'
    )
    found = evaluate(rules, on_engine(DATA), sources={"ref": on_engine(DATA)})
    assert found.passed, found.outcomes
    assert found.rows().to_pyarrow().num_rows == 2


def test_rules_with_the_same_names_inside_do_not_meet() -> None:
    """Each query has its own `with`, its own tables, and its own rows left by `where`."""
    rules = """Rules = [
        CustomSql "with p as (select id from primary where id = 1) select id from p" with threshold >= 0.5,
        CustomSql "with p as (select id from ref) select id from p",
        RowCount = 1 where "id = 2",
        IsComplete "name" where "id = 1",
        (ColumnValues "id" = 1 where "id = 1" with compositeRuleEvaluation.method = "ROW") and (IsUnique "id")
    ]"""
    found = evaluate(rules, DATA, sources={"ref": DATA})
    assert found.passed, found.outcomes
    rows = {row["id"]: row for row in found.rows().to_pyarrow().to_pylist()}
    assert len(rows[1]["DataQualityRulesPass"]) == 4
    assert len(rows[2]["DataQualityRulesFail"]) == 1


@pytest.mark.parametrize("text", ["id", "1", "name", "'true'", "id + 1", "current_date"])
@pytest.mark.parametrize("rows", [2, 0])
def test_a_where_that_is_no_condition_is_an_error(
    text: str, rows: int, on_engine: Callable[[pa.Table], Any]
) -> None:
    found = evaluate(f'Rules = [ RowCount >= 0 where "{text}" ]', on_engine(DATA.slice(0, rows))).outcomes[0]
    assert found.status == "Error"
    assert "neither true nor false" in str(found.reason)


@pytest.mark.parametrize(
    ("text", "rows"), [("NULL", 0), ("true", 2), ("NULL or id = 1", 1), ("not (id = 1)", 1)]
)
def test_a_where_may_be_unknown(text: str, rows: int, on_engine: Callable[[pa.Table], Any]) -> None:
    assert evaluate(f'Rules = [ RowCount = {rows} where "{text}" ]', on_engine(DATA)).passed


ENGINES_OWN = ["user", "current_role", "current_schema", "current_catalog", "current_time", "localtime"]


@pytest.mark.parametrize("name", [*ENGINES_OWN, "`current_date`", "`current_user`"])
def test_a_missing_column_is_no_value_of_the_engine(name: str, on_engine: Callable[[pa.Table], Any]) -> None:
    rules = (
        f'Rules = [ RowCount >= 0 where "{name} is not null", CustomSql "select count({name}) from primary" >= 0, '
        f'CustomSql "select count(*) from primary p join ref r on p.id = r.id where {name} is null" >= 0 ]'
    )
    found = evaluate(rules, on_engine(DATA), sources={"ref": on_engine(DATA)})
    assert [outcome.status for outcome in found.outcomes] == ["Error"] * 3


def test_a_column_may_have_the_name_of_an_engines_value(on_engine: Callable[[pa.Table], Any]) -> None:
    table = pa.table({"user": ["ann", "bob"], "current_date": [1, 2]})
    rules = """Rules = [
        RowCount = 1 where "user = 'ann'",
        RowCount = 1 where "`current_date` = 2 and upper(user) = 'BOB'",
        CustomSql "select user from primary where user <> 'nobody' order by user",
        CustomSql "select count(*) from (select user from primary) t where user = 'ann'" = 1,
        CustomSql "select count(*) from primary p where exists (select 1 from ref where ref.user = p.user)" = 2
    ]"""
    found = evaluate(rules, on_engine(table), sources={"ref": on_engine(table)})
    assert found.passed, found.outcomes


@pytest.mark.parametrize(
    "text",
    [
        "dayofweek(date'2026-03-01') = 1",
        "dayofweek(date'2026-03-07') = 7 and extract(dayofweek from date'2026-03-01') = 1",
        "substring('abc', 0, 2) = 'ab' and substring('abc', 1, 2) = 'ab'",
        "cast(2.7 as int) = 2 and cast(-2.7 as bigint) = -2",
        "cast(cast(id as double) + 0.9 as int) = id and int('2.7') = 2",
        "cast('9223372036854775807' as bigint) = 9223372036854775807 and cast(true as int) = 1",
        "cast('abc' as int) is null and cast(' 12 ' as int) = 12",
        "'a_b' like 'a\\_b' and not ('axb' like 'a\\_b') and 'axb' like 'a_b'",
    ],
)
def test_spark_sql_means_the_same_on_every_engine(text: str, on_engine: Callable[[pa.Table], Any]) -> None:
    spelt = text.replace("\\", "\\\\")  # SQL's own escape
    found = evaluate(f'Rules = [ RowCount = 2 where "{spelt}" ]', on_engine(DATA)).outcomes[0]
    assert found.status == "Passed", found
