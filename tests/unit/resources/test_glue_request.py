"""A job run's arguments and options: what is sent, and what is refused before anything is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lake_pipeline.errors import Terminal
from lake_pipeline.resources.glue.errors import ArgumentRefused
from lake_pipeline.resources.glue.records import folder_of, message_of
from lake_pipeline.resources.glue.request import (
    HAS_OPTION,
    INTERNAL,
    JobRequest,
    RunOptions,
    script_arguments,
    spark_conf,
    start_parameters,
)
from lake_pipeline.resources.glue.sizing import Workers


def parameters(kind: str = "glueetl", deadline: float | None = None, **options: Any) -> dict[str, Any]:
    request = JobRequest(
        "validate", "orders/1", {"contract": "s3://b/c.yaml"}, RunOptions(**options), kind, deadline
    )
    return start_parameters(request)


def test_everything_a_spark_run_can_be_told() -> None:
    found = parameters(
        deadline=3600.0,
        workers=Workers("G.2X", 5),
        timeout_minutes=90,
        security_configuration="sealed",
        py_files=("s3://b/a.zip", "s3://b/b.zip"),
        modules=("s3://b/lake.whl", "duckdb==2.0.0"),
        spark_conf={"spark.sql.shuffle.partitions": "64", "spark.sql.ansi.enabled": "true"},
        extra={"--enable-metrics": "true"},
    )
    assert found == {
        "JobName": "validate",
        "Arguments": {
            "--job-bookmark-option": "job-bookmark-disable",
            "--conf": "spark.sql.shuffle.partitions=64 --conf spark.sql.ansi.enabled=true",
            "--extra-py-files": "s3://b/a.zip,s3://b/b.zip",
            "--additional-python-modules": "s3://b/lake.whl,duckdb==2.0.0",
            "--enable-metrics": "true",
            "--contract": "s3://b/c.yaml",
        },
        "Timeout": 90,
        "SecurityConfiguration": "sealed",
        "WorkerType": "G.2X",
        "NumberOfWorkers": 5,
        "ExecutionClass": "STANDARD",
    }


@pytest.mark.parametrize(
    ("options", "deadline", "expected"),
    [
        ({"workers": Workers("G.1X", 3)}, None, "FLEX"),
        ({"workers": Workers("G.1X", 3)}, 60.0, "STANDARD"),
        ({"workers": Workers("G.4X", 3)}, None, "STANDARD"),
        ({"workers": Workers("G.1X", 3), "execution": "STANDARD"}, None, "STANDARD"),
        ({"workers": Workers("G.2X", 3), "execution": "FLEX"}, 60.0, "FLEX"),
        ({}, None, None),
    ],
)
def test_flex_is_for_work_without_a_deadline(
    options: dict[str, Any], deadline: float | None, expected: str | None
) -> None:
    assert parameters(deadline=deadline, **options).get("ExecutionClass") == expected


def test_the_other_kinds() -> None:
    shell = parameters("pythonshell", max_capacity=1.0, modules=("x==1",))
    assert shell["MaxCapacity"] == 1.0
    assert shell["Arguments"] == {"--additional-python-modules": "x==1", "--contract": "s3://b/c.yaml"}
    ray = parameters("glueray", workers=Workers("Z.2X", 4), modules=("x==1",), py_files=("s3://b/p.zip",))
    assert (ray["WorkerType"], ray["NumberOfWorkers"], "ExecutionClass" in ray) == ("Z.2X", 4, False)
    assert (ray["Arguments"]["--pip-install"], ray["Arguments"]["--s3-py-modules"]) == (
        "x==1",
        "s3://b/p.zip",
    )


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("glueelt", {}, 'Did you mean "glueetl"'),
        ("glueetl", {"timeout_minutes": 0}, "1 to 10080"),
        ("glueetl", {"timeout_minutes": 10081}, "7 days"),
        ("glueetl", {"max_capacity": 1.0}, "for pythonshell"),
        ("glueetl", {"workers": Workers("G.8X", 2), "execution": "FLEX"}, r"G\.1X or G\.2X"),
        ("pythonshell", {"workers": Workers("G.1X", 2)}, "has no workers"),
        ("pythonshell", {"max_capacity": 2.0}, "0.0625 or 1"),
        ("pythonshell", {"spark_conf": {"spark.a": "1"}}, "for glueetl"),
        ("glueray", {"execution": "FLEX"}, "FLEX is for glueetl"),
        ("glueetl", {"spark_conf": {"a": "1"}}, "spark\\.…"),
        ("glueetl", {"spark_conf": {"spark.a": "1 2"}}, "white space"),
        ("glueetl", {"modules": ("a,b",)}, "joined by commas"),
        ("glueetl", {"extra": {"--conf": "spark.a=1"}}, "`spark_conf`"),
        ("glueetl", {"extra": {"--JOB_NAME": "x"}}, "Glue sets it itself"),
        ("glueetl", {"extra": {"enable-metrics": "x"}}, "cannot be set|not one that"),
        ("glueetl", {"extra": {"--lake-run-key": "x"}}, "set by the resource"),
    ],
)
def test_options_that_cannot_be(kind: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ArgumentRefused, match=says):
        parameters(kind, **options)


@pytest.mark.parametrize("name", sorted(INTERNAL | HAS_OPTION.keys() | {"--lake-run-key", "--lake-anything"}))
def test_reserved_arguments_are_refused(name: str) -> None:
    with pytest.raises(ArgumentRefused, match="reserved"):
        script_arguments({name: "x"})
    with pytest.raises(ArgumentRefused, match="reserved"):
        script_arguments({name.removeprefix("--"): "x"})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"rows": "x" * 2049}, "2049 characters, at most 2048.*pass its URI"),
        ({f"a{i}": "x" * 2000 for i in range(10)}, "at most 16384.*pass its URI"),
        ({"rows": ""}, "empty"),
        ({"rows": "--x"}, "starts with -"),
        ({"rows": "a\nb"}, "line breaks"),
        ({"rows": 3}, "is a int; Glue takes text"),
        ({"ro ws": "x"}, "cannot name an argument"),
        ({"": "x"}, "cannot name an argument"),
        ({"a-b": "x", "a_b": "y"}, "given twice"),
        ({"a": "x", "--a": "y"}, "given twice"),
    ],
)
def test_arguments_that_cannot_be(arguments: Mapping[str, Any], says: str) -> None:
    with pytest.raises(ArgumentRefused, match=says):
        script_arguments(arguments)


def test_the_callers_arguments_are_left_alone() -> None:
    arguments = {"contract": "s3://b/c.yaml"}
    conf = {"spark.a": "1"}
    start_parameters(JobRequest("validate", "k", arguments, RunOptions(spark_conf=conf)))
    assert (arguments, conf) == ({"contract": "s3://b/c.yaml"}, {"spark.a": "1"})


def test_refusals_are_terminal_and_conf_is_chained() -> None:
    assert issubclass(ArgumentRefused, Terminal)
    assert spark_conf({"spark.a": "1"}) == "spark.a=1"


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "a/../b", ".", "a\nb", "-a", "a/" + "b" * 129, "a/" * 300 + "b"]
)
def test_run_keys_that_cannot_be(key: str) -> None:
    with pytest.raises(ArgumentRefused, match="run key"):
        folder_of("runs", "job", key)


def test_keys_that_differ_have_folders_that_differ() -> None:
    keys = ["a/b", "a%2Fb", "a b", "a+b", "ä", "A/b"]
    assert len({folder_of("runs", "job", key) for key in keys}) == len(keys)


@pytest.mark.parametrize("line", ["boom", "[1]", '{"method": 3}', '{"method": "log", "params": [1]}', '"x"'])
def test_a_line_that_is_no_message_is_not_lost(line: str) -> None:
    assert message_of(line) == {"method": "log", "params": {"message": line, "level": "WARNING"}}
