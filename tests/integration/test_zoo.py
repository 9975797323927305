"""Every reason code, from a real bad file, on a folder and on S3; and no row or file is lost with any."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from lakes import DAY, View, actions, check_law, make_dataset, put, run
from zoo import COLUMNS, DEFAULTS, PENS, Animal, Pen

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.inventory import MARKERS
from lake_pipeline.reasons import CODES
from lake_pipeline.storage import Lake
from lake_pipeline.storage.objects import StorageRefused


def dataset_of(pen: Pen, root: Path) -> Dataset:
    return make_dataset(root, "zoo", columns=COLUMNS, **{**DEFAULTS, **pen.attributes}, **pen.contract)


def produced(pen: Pen) -> set[str]:
    files = {a.code for a in pen.animals if a.code}
    return files | {code for a in pen.animals for r in a.rejects for code, _ in r.reasons} | set(pen.later)


def test_the_zoo_has_every_code() -> None:
    of_no_object = {"MISSING_FILE"}  # test_producer_manifest.py
    assert set().union(*map(produced, PENS.values())) == set(CODES) - of_no_object


@pytest.mark.parametrize("name", PENS)
def test_pen(name: str, lake_root: Lake, tmp_path: Path) -> None:
    pen = PENS[name]
    dataset = dataset_of(pen, tmp_path / "defs")
    for animal in pen.animals:
        put(lake_root, dataset, animal.name, animal.body)
    assert actions(run(lake_root, dataset)) == {DAY: pen.state}
    view = check_law(lake_root, dataset)
    animals = [a for a in pen.animals if a.name not in MARKERS]
    assert view.file_codes() == {a.name.rpartition("/")[2]: [a.code] for a in animals if a.code}
    for animal in animals:
        check_animal(view, animal)
    assert view.values() == sorted(id_ for a in animals for id_ in a.good)
    assert view.kept_files() == {a.name: a.body for a in animals if a.code}
    after = [r for r in view.quarantine if r["stage"] != "INGEST_VALIDATION"]
    assert [x["code"] for r in after for x in r["reasons"]] == list(pen.later)
    expected = sum(len(a.good) + len(a.rejects) + a.rows for a in animals) + len(pen.later)
    assert view.status()[DAY].balance.landed == expected
    again = run(lake_root, dataset)
    assert actions(again)[DAY] in ("unchanged", "still refused", pen.state)
    assert again.validated[DAY].fresh == ()
    assert check_law(lake_root, dataset).quarantine == view.quarantine or pen.state == "failed"


def check_animal(view: View, animal: Animal) -> None:
    """The receipt and the quarantine rows of one file."""
    (receipt,) = [r for r in view.receipts() if r.uri.endswith(f"/{animal.name}")]
    if animal.code:
        assert (receipt.reason, receipt.rows, receipt.valid) == (animal.code, animal.rows, 0), receipt.message
        assert receipt.message
        return
    found = [r for r in view.rejects(animal.name.rpartition("/")[2]) if r["stage"] == "INGEST_VALIDATION"]
    expected = [(r.line, r.raw, sorted(r.reasons)) for r in animal.rejects]
    seen = [(r["line"], r["raw"], sorted((x["code"], x["column"]) for x in r["reasons"])) for r in found]
    if animal.name.endswith(".parquet"):
        expected = [(line, "", codes) for line, _, codes in expected]
        seen = [(line, "", codes) for line, _, codes in seen]
    assert seen == expected
    assert all(x["message"] for r in found for x in r["reasons"])
    assert receipt.quarantined == len(animal.rejects)


def test_a_row_with_three_faults_has_three_reasons() -> None:
    counts = Counter(len(r.reasons) for pen in PENS.values() for a in pen.animals for r in a.rejects)
    assert counts[3]


@pytest.mark.parametrize("key", ["sub/../up.csv", "./dot.csv", "a//b.csv", "tail/"])
def test_keys_that_the_storage_client_cannot_name(
    key: str, lake_s3: Lake, s3_server: object, tmp_path: Path
) -> None:
    """What S3 takes and the client cannot list is a clear error, or is listed and handled; never a crash."""
    import os

    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    dataset = dataset_of(PENS["files"], tmp_path / "defs")
    put(lake_s3, dataset, "good.csv", PENS["files"].animals[0].body)
    bucket, _, prefix = lake_s3.settings.zone_url("raw").removeprefix("s3://").partition("/")
    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    folder = dataset.template.fill(DAY, "")
    try:
        client.put_object(Bucket=bucket, Key=f"{prefix}/{folder}{key}", Body=PENS["rows"].animals[0].body)
    except (ClientError, BotoCoreError):
        pytest.skip("the server refuses the key")
    try:
        result = run(lake_s3, dataset)
    except StorageRefused as e:
        assert "cannot" in str(e)
        return
    assert actions(result) == {DAY: "published"}
    assert "g1" in check_law(lake_s3, dataset).values()
