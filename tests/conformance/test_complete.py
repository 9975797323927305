"""Nothing is missing in the cases of `test_datasets`: what the project can name, some case has.

The cases run on every engine; what is added to the project without a case fails here.
"""

from __future__ import annotations

import re
from typing import Any, get_args, get_type_hints

import pytest
import yaml
from datasets import CASES
from lakes import DAY
from sites import Site
from zoo import PENS

from lake_pipeline.contracts.model import DriftPolicy, OnFail
from lake_pipeline.datasets.config import Csv, DatasetConfig, Deduplicate, Format
from lake_pipeline.dqdl.rules import RULE_TYPES
from lake_pipeline.reasons import CODES


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[dict[str, Any], str, set[str]]]:
    """Of every dataset of every case: its `defs.yaml`, its contract, and the names of its files."""
    found: list[tuple[dict[str, Any], str, set[str]]] = []

    class Noted(Site):
        def land(self, dataset: Any, files: Any, partition: str = DAY) -> None:
            defs = yaml.safe_load((dataset.folder / "defs.yaml").read_text())["attributes"]
            found.append((defs, (dataset.folder / "contract.yaml").read_text(), set(files)))
            super().land(dataset, files, partition)

        def run(self, dataset: Any, *partitions: str, **more: Any) -> None:
            self.seen.append({})

    for name, case in CASES.items():
        site = Noted(tmp_path_factory.mktemp(name), "duckdb")
        case(site)
    return found


def test_every_reason_code() -> None:
    """What an animal of the zoo must become is tested there; here, that there is one of each code."""
    animals = [a for pen in PENS.values() for a in pen.animals]
    codes = {a.code for a in animals} | {code for pen in PENS.values() for code in pen.later}
    codes |= {code for a in animals for row in a.rejects for code, _ in row.reasons}
    codes |= {"MISSING_FILE"} if "missing-file" in CASES else set()
    assert codes - {""} == set(CODES)
    assert {f"zoo-{name}" for name in PENS} <= set(CASES)


def test_every_drift_policy(written: list[tuple[dict[str, Any], str, set[str]]]) -> None:
    seen: dict[str, set[str]] = {}
    for _, contract, _ in written:
        for entry in yaml.safe_load(contract)["customProperties"]:
            for name, value in entry["value"].items():
                seen.setdefault(name, set()).add(value)
    known = {name: set(get_args(_hint(DriftPolicy, name))) for name in DriftPolicy.__dataclass_fields__}
    assert seen == known
    pairs = {(p.get("additive"), p.get("types")) for p in map(_drift, written)}
    assert {(a, t) for a in known["additive"] for t in known["types"]} <= pairs


def test_every_type_of_rule(written: list[tuple[dict[str, Any], str, set[str]]]) -> None:
    text = "\n".join(contract for _, contract, _ in written)
    assert [name for name in RULE_TYPES if not re.search(rf"\b{name}\b", text)] == []


def test_every_format_with_every_compression(written: list[tuple[dict[str, Any], str, set[str]]]) -> None:
    landed = {name for _, _, names in written for name in names}
    kinds = {k for form in get_args(get_args(Format)[0]) for k in get_args(_annotation(form, "type"))}
    assert kinds == {"csv", "tsv", "jsonl", "json", "parquet"}
    suffixes = {f".{k}{c}" for k in kinds - {"parquet"} for c in ("", ".gz", ".zst")} | {".parquet"}
    assert {s for s in suffixes if not any(n.endswith(s) for n in landed)} == set()
    assert set(get_args(_annotation(Csv, "compression"))) == {"auto", "none", "gzip", "zstd"}


@pytest.mark.parametrize("name", ["overwritten_keys", "duplicate_content", "producer_manifest"])
def test_every_policy_of_a_dataset(name: str, written: list[tuple[dict[str, Any], str, set[str]]]) -> None:
    field = DatasetConfig.model_fields[name]
    assert {defs.get(name, field.default) for defs, _, _ in written} == set(get_args(field.annotation))


def test_every_way_to_deduplicate_and_to_fail(
    written: list[tuple[dict[str, Any], str, set[str]]],
) -> None:
    rules = [Deduplicate(**defs["deduplicate"]) for defs, _, _ in written if "deduplicate" in defs]
    ways = {(keep, how) for keep in ("last", "first") for how in ("drop", "quarantine")}
    assert {(r.keep, r.losers) for r in rules} == ways
    said = "\n".join(contract for _, contract, _ in written)
    assert {v for v in get_args(OnFail) if f"value: {v}" not in said} == set()


def _drift(item: tuple[dict[str, Any], str, set[str]]) -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load(item[1])["customProperties"][0]["value"]
    return found


def _hint(owner: type, name: str) -> Any:
    return get_type_hints(owner)[name]


def _annotation(model: Any, name: str) -> Any:
    return model.model_fields[name].annotation
