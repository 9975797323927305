"""The jobs of a bundle (`make glue-bundle`), as they are to be defined in Glue."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from lake_pipeline.errors import UsageError
from lake_pipeline.resources.glue.definition import JobDefinition
from lake_pipeline.resources.glue.request import RunOptions

BUNDLE = "bundle.json"
STEPS = ("validate", "curate", "compact")


def bundle_jobs(bundle: Path, code: str, role: str, options: RunOptions | None = None) -> list[JobDefinition]:
    """One job for each script of a bundle that was uploaded below `code`; `role` is a name or an ARN.

    Its wheel and its requirements are installed as they are pinned, and nothing with them. options: the
    defaults of all runs besides.
    """
    said = read_bundle(bundle)
    given, place = options or RunOptions(), code.rstrip("/")
    modules = (f"{place}/{said['wheel']}", *said["requirements"], *given.modules)
    settled = replace(given, modules=modules, extra={**given.extra, **said["arguments"]})
    version = said["glue_version"]
    return [
        JobDefinition(f"lake-{step}", f"{place}/{step}.py", role, glue_version=version, options=settled)
        for step in STEPS
    ]


def bundle_files(bundle: Path) -> list[Path]:
    """The files to upload; raises `UsageError` where one is not as it was built."""
    sums = read_bundle(bundle)["files"]
    for name, wanted in sums.items():
        path = bundle / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
            raise UsageError(f"{path} is not as it was built; build the bundle again: make glue-bundle.")
    return [bundle / name for name in (*sums, BUNDLE)]


def read_bundle(bundle: Path) -> dict[str, Any]:
    """What `make glue-bundle` says of what it built."""
    try:
        found: dict[str, Any] = json.loads((bundle / BUNDLE).read_text(encoding="utf-8"))
    except OSError as e:
        raise UsageError(
            f"There is no bundle in {bundle} ({e.strerror}): build one with `make glue-bundle`, or name its folder."
        ) from e
    return found
