"""Every engine takes the same texts for the same values, from every file format."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_args

import pyarrow as pa
import pytest
from forms import Forms
from lexical_forms import TABLE
from under_test import NO_ENGINES

from lake_pipeline.contracts import Column
from lake_pipeline.datasets.config import Csv, DatasetConfig, Jsonl, Parquet
from lake_pipeline.engines.casts import TEXT_CASTS


def as_csv(texts: list[str]) -> tuple[Any, bytes]:
    """Every field quoted, so that white space, empty texts and line breaks are what they are."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([["v", "other"], *([text, "x"] for text in texts)])
    return Csv(nulls=()), out.getvalue().encode()


def as_jsonl(texts: list[str]) -> tuple[Any, bytes]:
    """Every text a JSON string."""
    lines = [json.dumps({"v": text, "other": "x"}) for text in texts]
    return Jsonl(type="jsonl"), "\n".join(lines).encode()


def as_parquet(texts: list[str]) -> tuple[Any, pa.Table]:
    """A string column."""
    return Parquet(type="parquet"), pa.table({"v": texts, "other": ["x"] * len(texts)})


CARRIERS: dict[str, Callable[[list[str]], tuple[Any, Any]]] = {
    "csv": as_csv,
    "jsonl": as_jsonl,
    "parquet": as_parquet,
}


@pytest.fixture(scope="session", params=CARRIERS)
def carrier(request: pytest.FixtureRequest) -> str:
    """Every file format that holds texts."""
    return str(request.param)


@pytest.fixture(scope="session")
def verdicts(judge: Any, carrier: str) -> Callable[[Forms, bool], dict[str, Any]]:
    """By text: the good row or the reject it became; a whole type in one file."""

    @cache
    def of(forms_index: int, coerce: bool) -> dict[str, Any]:
        forms = TABLE[forms_index]
        texts = [*forms.canonical, *forms.coercible, *forms.failing]
        form, content = CARRIERS[carrier](texts)
        columns = (Column("v", forms.type),)
        seen = judge(form, columns, content, names=("v", "other"), coerce=coerce)
        assert not seen.result.broken, seen.result.error
        rows = {**seen.good, **seen.rejects}
        assert sorted(rows) == list(range(1, len(texts) + 1)), "a case is missing"
        return {text: rows[number] for number, text in enumerate(texts, 1)}

    def judged_forms(forms: Forms, coerce: bool = True) -> dict[str, Any]:
        return of(TABLE.index(forms), coerce)

    return judged_forms


@pytest.mark.parametrize("forms", TABLE, ids=lambda f: f.name)
def test_canonical_forms_are_taken_and_not_rescued(verdicts: Any, forms: Forms) -> None:
    seen = {text: verdicts(forms)[text] for text in forms.canonical}
    assert wrong_values(seen, forms.canonical) == {}
    assert {text for text, row in seen.items() if row["_rescued"]} == set()


@pytest.mark.parametrize("forms", TABLE, ids=lambda f: f.name)
def test_coercible_forms_are_taken_and_their_text_rescued(verdicts: Any, forms: Forms) -> None:
    seen = {text: verdicts(forms)[text] for text in forms.coercible}
    assert wrong_values(seen, forms.coercible) == {}
    assert {text: json.loads(row["_rescued"] or "{}") for text, row in seen.items()} == {
        text: {"v": text} for text in forms.coercible
    }


@pytest.mark.parametrize("forms", TABLE, ids=lambda f: f.name)
def test_failing_forms_are_rejected_and_their_text_is_kept(verdicts: Any, forms: Forms) -> None:
    seen = {text: verdicts(forms)[text] for text in forms.failing}
    assert {text: row["v"] for text, row in seen.items() if "reasons" not in row} == {}, "were taken"
    for text, row in seen.items():
        (reason,) = row["reasons"]
        assert (reason["code"], reason["column"], reason["value"]) == ("CAST_FAILED", "v", text)
        assert reason["message"] == f"not a valid {forms.type}"
        assert json.loads(row["original"]) == {"v": text, "other": "x"}


def wrong_values(seen: dict[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    """Texts that were rejected, or are another value than expected."""
    values = {text: row.get("v", "rejected") if "v" in row else "rejected" for text, row in seen.items()}
    return {text: value for text, value in values.items() if not same(value, expected[text])}


@pytest.mark.parametrize("forms", TABLE, ids=lambda f: f.name)
def test_strict_refuses_what_would_be_coerced(verdicts: Any, carrier: str, forms: Forms) -> None:
    if carrier != "csv":
        return  # whether a text is canonical does not depend on what carried it; see the others
    rows = verdicts(forms, False)
    assert [t for t in forms.canonical if "reasons" in rows[t]] == []
    assert [t for t in (*forms.coercible, *forms.failing) if "reasons" not in rows[t]] == []
    assert {rows[t]["_rescued"] for t in forms.canonical} <= {None}


def same(value: Any, expected: Any) -> bool:
    """Equal, also in the type, and in the sign of a zero."""
    if isinstance(value, float) and str(value) != str(expected):
        return False
    return bool(value == expected) and type(value) is type(expected)


def test_every_type_is_in_the_table() -> None:
    assert {type(forms.type) for forms in TABLE} == set(TEXT_CASTS)


def test_every_engine_is_here(engines: dict[str, Any]) -> None:
    named = set(get_args(DatasetConfig.model_fields["engine"].annotation))
    assert named - NO_ENGINES <= set(engines)
