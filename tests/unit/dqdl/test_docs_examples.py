"""Every example of docs/dqdl.md is parsed and evaluated, and every rule type has one."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lake_pipeline.dqdl import Evaluation, FileInfo, evaluate, parse
from lake_pipeline.dqdl.plan import leaves
from lake_pipeline.dqdl.rules import RULE_TYPES

PAGE = (Path(__file__).parents[3] / "docs" / "dqdl.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```dqdl\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORDERS = pa.table(
    {
        "order_id": [1, 2, 3, 4],
        "customer": ["ann", "bob", "ann", "cid"],
        "email": ["ann@example.org", "bob@example.org", "ann@example.org", None],
        "amount": [10.0, 20.0, 30.0, 40.0],
        "discount": [1.0, 2.0, 3.0, 4.0],
        "currency": ["EUR", "EUR", "USD", "USD"],
        "quantity": [1, 2, 3, 4],
        "ordered_on": [date(2026, 2, 26), date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)],
        "note": [None, "gift", "", "late"],
    }
)
FILES = [
    FileInfo("s3://lake/orders/a.csv", 1024, NOW - timedelta(hours=2), sha256="aa11"),
    FileInfo("s3://lake/orders/b.csv", 3072, NOW - timedelta(days=1), sha256="bb22"),
]


def text_of(example: str) -> str:
    return example if "Rules" in example else f"Rules = [ {example} ]"


CUSTOMERS = pa.table({"name": ["ann", "bob", "cid", "dee"]})


def run(text: str, on_engine: Callable[[pa.Table], Any]) -> Evaluation:
    orders = on_engine(ORDERS)
    return evaluate(
        text,
        orders,
        sources={"customers": on_engine(CUSTOMERS), "yesterday": orders},
        files=FILES,
        history={"Dataset.*.RowCount": [4, 4, 5]},
        now=NOW,
    )


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_passes(example: str, on_engine: Callable[[pa.Table], Any]) -> None:
    text = text_of(example)
    ruleset = parse(text)
    assert parse(str(ruleset)) == ruleset
    found = run(text, on_engine)
    assert found.passed, [(str(o.rule), o.reason) for o in found.outcomes if not o.passed]
    assert all(analysis.reason is None for analysis in found.analyses)


def test_every_rule_type_has_an_example() -> None:
    rulesets = [parse(text_of(example)) for example in EXAMPLES]
    shown = {rule.type for r in rulesets for rule in (*leaves(r.rules), *r.analyzers)}
    assert shown == set(RULE_TYPES)
    headed = {name for line in re.findall(r"^### (.*)$", PAGE, re.MULTILINE) for name in line.split(", ")}
    assert headed == set(RULE_TYPES)
