# ruff: noqa: INP001  (beside a script)
"""The variables of `docs/reference/environment.md` that are about AWS."""

from __future__ import annotations

from rendering import code

from lake_pipeline.resources.glue.environment import settings

AWS = [
    ("`AWS_ACCESS_KEY_ID` `AWS_SECRET_ACCESS_KEY` `AWS_SESSION_TOKEN`", "credentials"),
    ("`AWS_REGION`", "the region"),
    ("`AWS_PROFILE`", "a profile of the AWS configuration, resolved by boto3"),
    ("`AWS_ENDPOINT_URL_S3` `AWS_ENDPOINT_URL`", "another S3 server than AWS's"),
]


def glue_variables() -> list[tuple[str, str, str]]:
    """What `LAKE_GLUE_…` sets: the variable, its default, its meaning."""
    found = []
    for name, field in settings().items():
        value = ", ".join(field.default) if isinstance(field.default, list) else field.default
        shown = code(str(value).lower() if isinstance(value, bool) else value) if value != "" else ""
        found.append((code(name), shown, field.description or ""))
    return found
