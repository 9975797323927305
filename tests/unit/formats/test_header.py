"""What a file's first record says, and why it may not do."""

from __future__ import annotations

import pytest

from lake_pipeline.datasets.config import Csv
from lake_pipeline.formats.delimited import header
from lake_pipeline.formats.spool import Refused

EXPECTED, REQUIRED = ("id", "name", "note"), ("id", "name")


@pytest.mark.parametrize(
    ("text", "form", "names"),
    [
        ("id,name,note\n1,2,3\n", Csv(), EXPECTED),
        ("name,id\n", Csv(), ("name", "id")),
        ('"id","name","a ""b"""\r\n', Csv(), ("id", "name", 'a "b"')),
        ('id,name,"two\nlines"\n', Csv(), ("id", "name", "two\nlines")),
        ("id;name\n", Csv(delimiter=";"), ("id", "name")),
        ("id\tname\n", Csv(type="tsv"), ("id", "name")),
        ("\n\r\nid,name\n1,2\n", Csv(), ("id", "name")),
        ("1,2,3\n", Csv(header=False), EXPECTED),
        ("\n1,2,3\n", Csv(header=False), EXPECTED),
        ("id,name", Csv(), ("id", "name")),
    ],
)
def test_columns(text: str, form: Csv, names: tuple[str, ...]) -> None:
    assert header(text, form, EXPECTED, REQUIRED) == names


@pytest.mark.parametrize(
    ("text", "form", "code", "message"),
    [
        (
            "id,note\n",
            Csv(),
            "HEADER_MISMATCH",
            "Required columns are missing: name. The file has: id, note.",
        ),
        ("1,2,3\n4,5,6\n", Csv(), "HEADER_MISMATCH", "Required columns are missing: id, name."),
        ("id;name;note\n", Csv(), "WRONG_DELIMITER", "delimited by ';'; the format says ','"),
        ("id\tname\n", Csv(), "WRONG_DELIMITER", r"delimited by '\\t'"),
        ("id|name\n", Csv(), "WRONG_DELIMITER", "delimited by '|'"),
        ("id,name\n", Csv(type="tsv"), "WRONG_DELIMITER", "delimited by ','"),
        ("id,name,id\n", Csv(), "HEADER_MISMATCH", 'The column "id" stands there more than once'),
        ("id,name,ID\n", Csv(), "HEADER_MISMATCH", "more than once"),
        ("id,name,\n", Csv(), "HEADER_MISMATCH", "A column has no name"),
        ("id,name, \n", Csv(), "HEADER_MISMATCH", "A column has no name"),
        ('id,"name\n1,2\n', Csv(), "HEADER_MISMATCH", "cannot be parsed"),
        ('id,"na"me,x\n', Csv(), "HEADER_MISMATCH", "cannot be parsed"),
        ("1,2\n", Csv(header=False), "HEADER_MISMATCH", "has 2 fields; without a header, the contract's 3"),
        ("", Csv(), "HEADER_MISMATCH", "Required columns are missing"),
        (" id,name\n", Csv(), "HEADER_MISMATCH", "missing: id"),
    ],
)
def test_refusals(text: str, form: Csv, code: str, message: str) -> None:
    with pytest.raises(Refused) as e:
        header(text, form, EXPECTED, REQUIRED)
    assert e.value.reason.code == code
    assert message.replace("\\\\", "\\") in e.value.reason.message
