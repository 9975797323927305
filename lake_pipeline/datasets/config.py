"""How this lake runs a dataset: the attributes of its `defs.yaml`, as validated values.

The contract says what the data means; this says where it lands, how its files are written, and what
the lake does with it. Every field has one meaning, listed here and nowhere else.
"""

from __future__ import annotations

import re
from datetime import date
from functools import cached_property
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lake_pipeline.datasets.transforms import Step, parse_step

Compression = Literal["auto", "none", "gzip", "zstd"]


class Value(BaseModel):
    """A frozen value that knows all its fields: an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FileFormat(Value):
    """What every format has. `suffixes` name the files that are of this format, e.g. ``[".csv", ".csv.gz"]``."""

    compression: Compression = Field("auto", description="auto goes by the suffix: .gz, .zst")
    suffixes: tuple[str, ...] = Field(
        (), description="file suffixes of this format; the format's own by default"
    )

    @cached_property
    def endings(self) -> tuple[str, ...]:
        """The suffixes, the default ones with their compressed forms where none are given."""
        return self.suffixes or tuple(s + z for s in DEFAULT_SUFFIXES[self.type] for z in ("", ".gz", ".zst"))  # type: ignore[attr-defined]


class Csv(FileFormat):
    """Delimited text: RFC 4180 with the options below."""

    type: Literal["csv", "tsv"] = "csv"
    delimiter: str = Field("", description="one character; a comma for csv, a tab for tsv")
    quote: str = Field('"', description="one character, or empty for none")
    header: bool = Field(True, description="whether the first record names the columns")
    nulls: tuple[str, ...] = Field(("",), description="unquoted or quoted text that means NULL")
    encoding: str = Field("utf-8", description="a Python codec name")

    @property
    def separator(self) -> str:
        """The delimiter, or the format's own."""
        return self.delimiter or ("\t" if self.type == "tsv" else ",")

    @field_validator("delimiter", "quote")
    @classmethod
    def _one_character(cls, value: str) -> str:
        if len(value) > 1 or value in {"\n", "\r"}:
            raise ValueError("must be one character, and no line break")
        return value

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if not (self.quote + self.separator).isascii():
            raise ValueError("delimiter and quote must be ASCII characters")
        if self.quote == self.separator:
            raise ValueError("delimiter and quote must differ")
        return self

    @field_validator("encoding")
    @classmethod
    def _codec(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError as e:
            raise ValueError(f'"{value}" is no encoding; use e.g. utf-8, latin-1, cp1252, utf-16') from e
        return value


class Jsonl(FileFormat):
    """JSON Lines: one object a line, UTF-8."""

    type: Literal["jsonl"]
    nulls: tuple[str, ...] = Field((), description="text values that mean NULL besides null")


class Json(FileFormat):
    """One JSON array of objects, UTF-8."""

    type: Literal["json"]
    nulls: tuple[str, ...] = Field((), description="text values that mean NULL besides null")


class Parquet(FileFormat):
    """Parquet files; compression is their own business."""

    type: Literal["parquet"]
    nulls: tuple[str, ...] = Field((), description="text values that mean NULL besides null")


Format = Annotated[Csv | Jsonl | Json | Parquet, Field(discriminator="type")]

DEFAULT_SUFFIXES = {
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "jsonl": (".jsonl", ".ndjson"),
    "json": (".json",),
    "parquet": (".parquet",),
}


class Partitions(Value):
    """How the dataset is cut. With `column`, every row must lie in its file's partition."""

    by: Literal["none", "monthly", "daily", "hourly"] = Field("none", description="the width of a partition")
    start: str = Field("", description="the first partition's date, e.g. 2013-01-01")
    end: str = Field("", description="the day after the last partition, for data that ended")
    column: str = Field("", description="a date or timestamp column that decides a row's partition")
    timezone: str = Field("UTC", description="the time zone whose days and hours partitions are")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.by != "none" and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", self.start):
            raise ValueError(f"partitions by {self.by} need a start, e.g. start: 2024-01-01")
        if self.by == "none" and (self.start or self.column):
            raise ValueError("start and column make sense only with by: monthly, daily or hourly")
        return self

    @field_validator("start", "end")
    @classmethod
    def _date(cls, value: str) -> str:
        try:
            date.fromisoformat(value or "2013-01-01")
        except ValueError as e:
            raise ValueError(f'"{value}" is no date; write it like 2013-01-01') from e
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, LookupError, OSError) as e:
            raise ValueError(f'"{value}" is no time zone; write it like Europe/Berlin') from e
        return value


class Deduplicate(Value):
    """Of rows with equal `key` within a partition one stays: the last by `order_by` (ties: the later landed)."""

    key: tuple[str, ...] = Field(min_length=1, description="contract columns; a NULL equals no other value")
    order_by: tuple[str, ...] = Field((), description="contract columns; without any, the order of landing")
    keep: Literal["last", "first"] = Field("last", description="which row of a key stays")
    losers: Literal["drop", "quarantine"] = Field(
        "drop", description="drop: counted as deduplicated; quarantine: as DUPLICATE_KEY"
    )


class RejectBudget(Value):
    """How many of a file's rows may be rejects; above either bound the whole file is refused."""

    rows: int | None = Field(None, ge=0, description="the most rejected rows; no limit by default")
    percent: float | None = Field(None, ge=0, le=100, description="the most, in percent of the file's rows")

    def exceeded(self, rejected: int, total: int) -> bool:
        """Whether `rejected` of `total` rows are too many."""
        over_rows = self.rows is not None and rejected > self.rows
        over_percent = self.percent is not None and rejected * 100 > self.percent * total
        return over_rows or over_percent


class FileSize(Value):
    """The sizes in bytes that a file may have: as it lands, and decompressed."""

    min: int = Field(1, ge=1, description="smaller is FILE_TOO_SMALL")
    max: int = Field(50 * 1024**3, ge=1, description="larger is FILE_TOO_LARGE")
    max_inflated: int = Field(
        200 * 1024**3, ge=1, description="a compressed file whose text is larger is FILE_TOO_LARGE"
    )


class Retries(Value):
    """How Dagster repeats a step after a transient error: exponential backoff with jitter."""

    attempts: int = Field(3, ge=0, description="how often a step is repeated")
    first_seconds: float = Field(2.0, gt=0, description="the wait before the first repeat")
    rate: float = Field(2.0, ge=1, description="how many times longer each further wait is")


class CircuitBreaker(Value):
    """When runs of the dataset stop to start by themselves; people can run it all the same."""

    failures: int = Field(
        5, ge=0, description="how many failed partitions in a row stop them; 0 for any number"
    )
    cool_down_seconds: float = Field(600, gt=0, description="after how long one partition is tried again")


class Arrivals(Value):
    """When what landed starts a run: at `max_events` waiting objects or `max_wait_seconds` after the first."""

    max_events: int = Field(100, ge=1, description="so many waiting objects start a run at once")
    max_wait_seconds: float = Field(60.0, ge=0, description="the longest wait after the first waiting object")
    eager: bool = Field(False, description="start at every tick, each partition in a run of its own")
    attempts: int = Field(
        6,
        ge=0,
        description="how often a partition whose run broke off, by an error that may pass, is run again",
    )
    again_seconds: float = Field(
        120, gt=0, description="the wait before the first such run; each further wait is three times as long"
    )
    schedule: str = Field(
        "", description="a cron expression in the partitions' time zone: start what has landed then, too"
    )

    @field_validator("schedule")
    @classmethod
    def _cron(cls, value: str) -> str:
        if value and len(value.split()) != 5:
            raise ValueError('must be a cron expression of five fields, e.g. "30 7 * * *"')
        return value


class Python(Value):
    """A transform in Python: ``module:function`` from an Ibis table to an Ibis table.

    It may drop rows and add columns, and must keep the columns ``_partition``, ``_source``, ``_record``.
    """

    python: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", description="module:function, importable")
    derives: tuple[str, ...] = Field((), description="contract columns that the function makes")


class Auto(Value):
    """Up to which size `engine: auto` stays on this machine; a step above any limit goes to `above`."""

    bytes: int = Field(10 * 10**9, ge=0, description="landed bytes that a step reads")
    files: int = Field(100_000, ge=0, description="landed objects that a step reads")
    memory: int | None = Field(
        None,
        ge=0,
        description="bytes held at once, by an estimate from the landed bytes and formats; 16 times LAKE_MEMORY",
    )
    above: Literal["glue", "spark"] = Field("glue", description="the engine for what is larger")


class Glue(Value):
    """How AWS Glue runs the jobs of a dataset; what is not said is as the job's own definition says."""

    jobs: str = Field("lake-{step}", description="the jobs' names; {step} is validate, curate or compact")
    deadline_minutes: int | None = Field(
        None, ge=1, description="a job run must end within; without, it has time and may be FLEX"
    )
    timeout_minutes: int | None = Field(None, ge=1, description="after which Glue itself ends a job run")
    execution: Literal["auto", "STANDARD", "FLEX"] = Field("auto", description="the execution class")
    worker_type: str = Field("", description="e.g. G.1X; by default it follows from the bytes")
    workers: int | None = Field(None, ge=2, description="their number, where worker_type is given")
    security_configuration: str = Field("", description="the name of a Glue security configuration")
    py_files: tuple[str, ...] = Field((), description="s3:// URIs of Python code, e.g. of a transform")
    spark_conf: dict[str, str] = Field({}, description="Spark settings, e.g. spark.sql.shuffle.partitions")


class DatasetConfig(BaseModel):
    """The attributes of a `defs.yaml` of type `lake_pipeline.LakeDataset`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    landing: str = Field(
        description="path template of landed files below the raw zone, e.g. orders/{yyyy}/{mm}/{dd}/"
    )
    contract: str = Field("contract.yaml", description="the contract's file, relative to this one")
    formats: tuple[Format, ...] = Field(
        (Csv(),), min_length=1, description="the formats files may have, told apart by their suffixes"
    )
    partitions: Partitions = Field(Partitions(), description="how the dataset is cut")
    transform: tuple[Any, ...] | Python = Field((), description="declared steps, or python: module:function")
    deduplicate: Deduplicate | None = Field(None, description="which of several rows with one key stays")
    reject_budget: RejectBudget = Field(RejectBudget(), description="how many rows of a file may be rejected")
    overwritten_keys: Literal["reprocess", "ignore", "quarantine"] = Field(
        "reprocess",
        description="a landed key is overwritten: take the new object, keep the first, or refuse the new one",
    )
    duplicate_content: Literal["quarantine", "allow"] = Field(
        "quarantine", description="a file with the content of another of its partition: refuse it, or take it"
    )
    producer_manifest: Literal["none", "required"] = Field(
        "none", description="required: a partition waits for a _MANIFEST.json that lists its files"
    )
    arrivals: Arrivals = Field(Arrivals(), description="when what landed starts a run by itself")
    file_size: FileSize = Field(FileSize(), description="the sizes a file may have")
    engine: Literal["duckdb", "spark", "glue", "auto"] = Field(
        "duckdb", description="what runs the work: this process, a Spark master, AWS Glue, or by size"
    )
    auto: Auto = Field(Auto(), description="the limits of engine: auto")
    glue: Glue = Field(Glue(), description="the job runs of engine: glue")
    retries: Retries = Field(Retries(), description="how transient errors are repeated")
    breaker: CircuitBreaker = Field(CircuitBreaker(), description="when automatic runs stop")

    @field_validator("transform")
    @classmethod
    def _steps(cls, value: tuple[Any, ...] | Python) -> tuple[Any, ...] | Python:
        for step in () if isinstance(value, Python) else value:
            parse_step(step)
        return value

    @property
    def steps(self) -> tuple[Step, ...]:
        """The declared transform steps; empty for a Python transform."""
        return () if isinstance(self.transform, Python) else tuple(parse_step(s) for s in self.transform)
