"""The jobs of a bundle (`make glue-bundle`), as they are to be defined in Glue."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from lake_pipeline.resources.glue.definition import JobDefinition
from lake_pipeline.resources.glue.request import RunOptions

STEPS = ("validate", "curate", "compact")


def bundle_jobs(bundle: Path, code: str, role: str, options: RunOptions | None = None) -> list[JobDefinition]:
    """One job for each script of a bundle that was uploaded below `code`; `role` is a name or an ARN.

    Its wheel and its requirements are installed as they are pinned, and nothing with them. options: the
    defaults of all runs besides.
    """
    said = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    given, place = options or RunOptions(), code.rstrip("/")
    modules = (f"{place}/{said['wheel']}", *said["requirements"], *given.modules)
    settled = replace(given, modules=modules, extra={**given.extra, **said["arguments"]})
    version = said["glue_version"]
    return [
        JobDefinition(f"lake-{step}", f"{place}/{step}.py", role, glue_version=version, options=settled)
        for step in STEPS
    ]
