"""`GlueJobs` as the environment says: ``LAKE_GLUE_<FIELD>``, e.g. ``LAKE_GLUE_MAX_WORKERS=50``."""

import os
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from lake_pipeline.errors import UsageError, did_you_mean
from lake_pipeline.resources.glue.resource import GlueJobs

PREFIX = "LAKE_GLUE_"
INJECTED = ("client", "logs")


def settings() -> dict[str, FieldInfo]:
    """What can be set, by the name of its variable."""
    fields = {name: f for name, f in GlueJobs.model_fields.items() if name not in INJECTED}
    return {f"{PREFIX}{name.upper()}": field for name, field in fields.items()}


def glue_jobs(env: Mapping[str, str] | None = None) -> GlueJobs:
    """The resource, with what the environment says; raises `UsageError` on nonsense. A list is separated by commas."""
    given = {n: v for n, v in (os.environ if env is None else env).items() if n.startswith(PREFIX) and v}
    known = settings()
    for name in given:
        if name not in known:
            raise UsageError(
                f"{name} is no setting; there are {', '.join(known)}.{did_you_mean(name, known)}"
            )
    values = {n.removeprefix(PREFIX).lower(): value_of(n, v, known[n].annotation) for n, v in given.items()}
    return GlueJobs(**values)


def value_of(name: str, text: str, kind: Any) -> Any:
    """A variable's text as a value of the setting's type."""
    parts = [part.strip() for part in text.split(",")]
    try:
        return TypeAdapter(kind).validate_python(parts if kind == list[str] else text)
    except ValidationError as e:
        raise UsageError(f'{name} is "{text}": {e.errors()[0]["msg"]}.') from e
