"""The cases: who runs against whom, on what, and which limit the project has set itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks import postgres
from benchmarks.contenders import Contender, demo, empty_job, floor, lake_rerun, lake_run, peer
from benchmarks.workloads import orders, small_orders

OURS = "lake run"
Numbers = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Scale:
    """How much of everything. days: of the year that the demo runs; repeats: of the cases that are short."""

    rows: int = 5_000_000
    large_rows: int = 20_000_000
    files: int = 10_000
    rows_each: int = 100
    engine_rows: tuple[int, ...] = (1_000_000, 5_000_000, 20_000_000)
    past_memory_rows: int = 60_000_000
    little_memory: str = "300MB"
    days: int = 366
    repeats: int = 3

    @property
    def demo_arguments(self) -> tuple[str, ...]:
        """What makes `lake demo` run that long."""
        return ("--year",) if self.days > 30 else ()


FULL = Scale()
TINY = Scale(
    2_000, 5_000, files=20, rows_each=10, engine_rows=(2_000,), past_memory_rows=3_000, days=30, repeats=1
)


@dataclass(frozen=True)
class Case:
    """One table of the results.

    contenders: made when the case runs, inside a stack that ends what they need. limits: what was promised,
    as (text, measured, limit), from the numbers of all cases by their names.
    """

    title: str
    contenders: Callable[[Scale, ExitStack], Mapping[str, Contender]]
    limits: Callable[[Mapping[str, Numbers]], Iterator[tuple[str, float, float]]]
    repeat: bool = True


def startup(scale: Scale, _: ExitStack) -> Mapping[str, Contender]:
    """What costs before any work."""
    return {"an empty Dagster job": empty_job, "lake run, published already": lake_rerun(orders(1_000))}


def many_rows(scale: Scale, _: ExitStack) -> Mapping[str, Contender]:
    """One file of orders: the project, the practical limits, and the peers."""
    file = orders(scale.rows)
    return {
        "Polars, cast and write": peer("polars", "polars_sink.py", file),
        "DuckDB, cast and write": peer("", "duckdb_copy.py", file),
        OURS: lake_run(file),
        "dlt, no checks": peer("dlt", "dlt_load.py", file),
        "Floe": peer("floe", "floe_ingest.py", file),
        "Spark script": peer("spark", "spark_script.py", file),
    }


def many_rows_limits(all_cases: Mapping[str, Numbers]) -> Iterator[tuple[str, float, float]]:
    """Time against the three, and memory."""
    found = all_cases["rows"]
    ours, fixed = found[OURS], all_cases.get("startup", {}).get("an empty Dagster job")
    if fixed and "DuckDB, cast and write" in found:
        limit = 3 * own(found["DuckDB, cast and write"]) + fixed["seconds"]
        yield "at most 3 × DuckDB's copy and Dagster's start-up (s)", ours["seconds"], limit
    if "Floe" in found:
        yield "at most half of Floe (s)", ours["seconds"], own(found["Floe"]) / 2
    if "Spark script" in found:
        yield "at most a quarter of the Spark script (s)", ours["seconds"], own(found["Spark script"]) / 4
    yield "under 2 GB (MB)", ours["peak_mb"], 2_000


def engines(scale: Scale, _: ExitStack) -> Mapping[str, Contender]:
    """The same dataset by both engines on this machine, as data grows; and the script that Spark is used for."""
    found: dict[str, Contender] = {}
    for rows in scale.engine_rows:
        file = orders(rows)
        found[f"{rows:,} rows: lake run, DuckDB"] = lake_run(file)
        found[f"{rows:,} rows: lake run, Spark"] = lake_run(file, engine="spark")
        found[f"{rows:,} rows: Spark script"] = peer("spark", "spark_script.py", file)
    file, many = orders(scale.past_memory_rows), f"{scale.past_memory_rows:,} rows"
    found[f"{many}: lake run, DuckDB"] = lake_run(file)
    found[f"{many}: lake run, DuckDB with {scale.little_memory}"] = lake_run(file, memory=scale.little_memory)
    found[f"{many}: lake run, Spark"] = lake_run(file, engine="spark")
    return found


def engines_limits(all_cases: Mapping[str, Numbers]) -> Iterator[tuple[str, float, float]]:
    """Validating, quarantining and auditing on Spark, against the script that does none of it."""
    found = all_cases["engines"]
    for name, numbers in found.items():
        rows, _, what = name.partition(": ")
        script = f"{rows}: Spark script"
        if what == "lake run, Spark" and script in found:
            limit = 1.5 * found[script]["seconds"]
            yield f"{rows}: at most 1.5 × the Spark script, both whole (s)", numbers["seconds"], limit


def larger(scale: Scale, _: ExitStack) -> Mapping[str, Contender]:
    """Four times the rows: memory must not follow."""
    return {OURS: lake_run(orders(scale.large_rows))}


def larger_limits(all_cases: Mapping[str, Numbers]) -> Iterator[tuple[str, float, float]]:
    """Memory."""
    yield "under 2 GB (MB)", all_cases["larger"][OURS]["peak_mb"], 2_000


def small_files(scale: Scale, _: ExitStack) -> Mapping[str, Contender]:
    """Many small files in one partition."""
    folder = small_orders(scale.files, scale.rows_each)
    return {
        "DuckDB's glob": peer("", "duckdb_glob.py", folder),
        OURS: lake_run(*sorted(folder.glob("*.csv"))),
    }


def small_files_limits(all_cases: Mapping[str, Numbers]) -> Iterator[tuple[str, float, float]]:
    """Time against the glob."""
    found = all_cases["files"]
    yield "at most 3 × DuckDB's glob (s)", found[OURS]["seconds"], 3 * own(found["DuckDB's glob"])


def year(scale: Scale, _: ExitStack) -> Mapping[str, Contender]:
    """The year of flights and weather against Dagster's own cost of recording it, on SQLite."""
    return {
        "the same events, no work": floor(days=scale.days),
        "lake demo": demo("project", "", *scale.demo_arguments),
    }


def year_on_postgres(scale: Scale, stack: ExitStack) -> Mapping[str, Contender]:
    """The same on Postgres, each on a server of its own."""
    if not postgres.available():
        print("   no initdb on this machine: Postgres is not measured", flush=True)
        return {}
    first, second = (stack.enter_context(postgres.server()) for _ in range(2))
    return {
        "the same events, no work": floor("postgres", first, scale.days),
        "lake demo": demo("postgres", second, *scale.demo_arguments),
    }


def year_limits(case: str) -> Callable[[Mapping[str, Numbers]], Iterator[tuple[str, float, float]]]:
    """Time against the floor."""

    def limits(all_cases: Mapping[str, Numbers]) -> Iterator[tuple[str, float, float]]:
        found = all_cases[case]
        limit = 1.6 * found["the same events, no work"]["seconds"]
        yield "at most 1.6 × the same events without work (s)", found["lake demo"]["seconds"], limit

    return limits


def own(numbers: Mapping[str, float]) -> float:
    """A peer's time by its own clock, which is kinder to it: without start-up and imports."""
    return numbers.get("own_seconds") or numbers["seconds"]


def no_limits(_: Mapping[str, Numbers]) -> Iterator[tuple[str, float, float]]:
    """Nothing was promised."""
    yield from ()


CASES: dict[str, Case] = {
    "startup": Case("Before any work", startup, no_limits),
    "rows": Case("5,000,000 orders in one CSV file, 0.1 % bad", many_rows, many_rows_limits),
    "engines": Case("Orders by engine: DuckDB and Spark on 2 cores", engines, engines_limits, repeat=False),
    "larger": Case("20,000,000 orders in one CSV file", larger, larger_limits, repeat=False),
    "files": Case("10,000 files of 100 orders in one partition", small_files, small_files_limits),
    "year": Case("A year, 729 partitions; Dagster on SQLite", year, year_limits("year"), repeat=False),
    "year-postgres": Case(
        "A year, 729 partitions; Dagster on Postgres",
        year_on_postgres,
        year_limits("year-postgres"),
        repeat=False,
    ),
}
