"""The policies of docs/guides/glue.md allow what the code calls, and nothing of AWS Glue besides."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from glue_endpoint import OPERATIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guides" / "glue.md").read_text(encoding="utf-8")
# pyiceberg's catalog, for LAKE_CATALOG=glue
CATALOG = {
    *("GetDatabase", "GetDatabases", "CreateDatabase"),
    *("GetTable", "GetTables", "CreateTable", "UpdateTable"),
}


def policies() -> list[dict[str, Any]]:
    """The policies of the page: trust, the jobs', Dagster's."""
    return [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]


def actions(policy: dict[str, Any]) -> set[str]:
    """What a policy allows."""
    return {action for statement in policy["Statement"] for action in [*as_list(statement["Action"])]}


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def called() -> set[str]:
    """The operations of Glue's that the resource calls, as its code has them."""
    text = "".join(p.read_text() for p in (ROOT / "lake_pipeline/resources/glue").glob("*.py"))
    names = re.findall(r'(?:repeated\(until, |once\()"([a-z_]+)"', text)
    return {"".join(part.capitalize() for part in name.split("_")) for name in names}


def test_dagsters_policy_is_what_the_code_calls() -> None:
    _, _, dagster = policies()
    allowed = {a.removeprefix("glue:") for a in actions(dagster) if a.startswith("glue:")}
    assert len(called()) >= 9
    assert allowed == called() | CATALOG
    assert called() <= set(OPERATIONS)
    assert {a for a in actions(dagster) if not a.startswith("glue:")} == {"logs:GetLogEvents", "iam:PassRole"}


def test_the_jobs_policy_lets_nobody_change_what_landed() -> None:
    trust, job, _ = policies()
    assert actions(trust) == {"sts:AssumeRole"}
    assert {a for a in actions(job) if a.startswith("glue:")} == set()
    for statement in job["Statement"]:
        writes = {"s3:PutObject", "s3:DeleteObject"} & set(as_list(statement["Action"]))
        assert not writes or all("raw" not in r and "lake-*" not in r for r in statement["Resource"])
