"""The SQL of a transform is checked when the dataset is loaded, by what the columns are at each step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lakes import make_dataset

from lake_pipeline.datasets.loading import DatasetError


@pytest.mark.parametrize(
    ("steps", "part"),
    [
        ([{"filter": "amount > '5'"}], "filter: amount > '5': amount > '5': double and text"),
        ([{"filter": "amount"}], "neither true nor false"),
        ([{"derive": {"id": "sin(amount)"}}], "derive: id: sin(amount): function sin is not allowed"),
        ([{"derive": {"id": "amount"}}], "cast of double to text"),
        ([{"rename": {"amount": "amt"}}, {"filter": "amount = 'x'"}], "cast one of them"),
        ([{"filter": "count(*) > 1"}], "an aggregate cannot stand in it"),
    ],
)
def test_what_engines_would_understand_differently_is_refused(
    tmp_path: Path, steps: list[Any], part: str
) -> None:
    with pytest.raises(DatasetError) as raised:
        make_dataset(tmp_path, transform=steps)
    assert part in str(raised.value)


def test_what_they_understand_alike_is_not(tmp_path: Path) -> None:
    steps = [
        {"rename": {"amount": "amt"}},
        {"filter": "amount > 5 and extra <> 3"},  # `extra` may come with a file
        {"derive": {"id": "concat(id, '-', cast(amount as int))"}},
    ]
    assert make_dataset(tmp_path, transform=steps).config.steps
