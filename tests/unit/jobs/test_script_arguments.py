"""A script's arguments, read by awsglue where it is and by argparse elsewhere: the same ones, whatever comes beside."""

from __future__ import annotations

import argparse
import sys
from types import ModuleType
from typing import Any

import pytest

from lake_pipeline.jobs.script import INPUTS, RECORDS, Arguments, read_arguments

GIVEN = {
    "contract": "s3://b/with space/contract.yaml",
    "defs": "s3://b/a=b/defs.yaml",
    "input": "s3://b/ünï/input.json",
    "output": "s3://b/--x/output.json",
}
OWN = {
    "lake-run-key": "orders/2026-03-01/ab",
    "lake-attempt": "2",
    "lake-result": "s3://b/r.json",
    "lake-messages": "s3://b/messages",
    "lake-driver-log": "s3://b/driver.log",
}
# What Glue passes besides: its own ids, and the arguments that it reads itself.
BESIDES = [
    *("--JOB_NAME", "lake-validate", "--JOB_RUN_ID", "jr_1", "--JOB_ID", "j_1"),
    *("--job-bookmark-option", "job-bookmark-disable"),
    *("--conf", "spark.a=1 --conf spark.b=2", "--enable-metrics", "true"),
]


class Refused(Exception):
    """What awsglue raises where argparse would end the process."""


class Parser(argparse.ArgumentParser):
    """As awsglue's."""

    def error(self, message: str) -> Any:
        raise Refused(message)


ASKED: list[list[str]] = []


def get_resolved_options(args: list[str], options: list[str]) -> dict[str, Any]:
    """As awsglue's: argparse with abbreviations, names with underscores, and Glue's own options in the answer."""
    ASKED.append(options)
    parser = Parser()
    parser.add_argument("--job-bookmark-option", choices=["job-bookmark-enable", "job-bookmark-disable"])
    parser.add_argument("--continuation-option", choices=["continuation-enabled"])
    for name in ("--JOB_NAME", "--JOB_ID", "--JOB_RUN_ID", "--TempDir", "--encryption-type"):
        parser.add_argument(name)
    for name in options:
        parser.add_argument("--" + name, required=True)
    return vars(parser.parse_known_args(args[1:])[0])


@pytest.fixture(params=["awsglue", "argparse"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where there is awsglue, and where there is none."""
    ASKED.clear()
    if request.param == "awsglue":
        package, module = ModuleType("awsglue"), ModuleType("awsglue.utils")
        module.getResolvedOptions = get_resolved_options  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "awsglue", package)
        monkeypatch.setitem(sys.modules, "awsglue.utils", module)
    return str(request.param)


def argv(*pairs: dict[str, str]) -> list[str]:
    return ["script.py", *BESIDES, *(p for d in pairs for n, v in d.items() for p in (f"--{n}", v))]


def test_all_arguments_are_read(reader: str) -> None:
    assert read_arguments(argv(GIVEN, OWN)) == Arguments(GIVEN, OWN)
    assert len(ASKED) == (reader == "awsglue")
    assert all(asked == [*INPUTS, *RECORDS] for asked in ASKED)


@pytest.mark.usefixtures("reader")
def test_a_job_by_hand_has_no_records() -> None:
    assert read_arguments(argv(GIVEN)) == Arguments(GIVEN, {})


def test_an_argument_that_lacks_is_named(reader: str, capsys: pytest.CaptureFixture[str]) -> None:
    lacking = {n: v for n, v in GIVEN.items() if n != "input"}
    with pytest.raises((Refused, SystemExit)) as refused:
        read_arguments(argv(lacking, OWN))
    assert "--input" in (str(refused.value) if reader == "awsglue" else capsys.readouterr().err)
