"""Build what is uploaded for AWS Glue, into one folder: the wheel, the scripts, what they need from PyPI.

====================  ==========================================================================
lake_pipeline-….whl   the project
requirements.txt      the extra `glue` and all that it requires, pinned as it was tested
validate.py …         one script for each job
bundle.json           sha256 of each file, and what a job installs (`resources/glue/bundle.py`)
====================  ==========================================================================

A job installs the wheel without the project's own dependencies, which are those of the Dagster side.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SCRIPTS = ("validate", "curate", "compact")
# Where jobs run, whatever machine builds the bundle: Glue 5.0.
GLUE = {
    "implementation_name": "cpython",
    "implementation_version": "3.11.0",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}


def main(target: Path) -> None:
    """Write the bundle anew."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    build = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "-q", "--no-deps"]
    subprocess.run([*build, "-w", str(target), str(ROOT)], check=True)
    requirements = pinned()
    (target / "requirements.txt").write_text("\n".join(requirements) + "\n", encoding="utf-8")
    for name in SCRIPTS:
        shutil.copy(ROOT / "glue_scripts" / f"{name}.py", target)
    files = sorted(path for path in target.iterdir())
    wheel = next(path.name for path in files if path.suffix == ".whl")
    manifest = {
        "glue_version": "5.0",
        "wheel": wheel,
        "requirements": requirements,
        "arguments": {"--python-modules-installer-option": "--no-deps"},
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }
    (target / "bundle.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
    for path in sorted(target.iterdir()):
        sys.stdout.write(f"{path.relative_to(target.parent)}  {path.stat().st_size} bytes\n")


def pinned() -> list[str]:
    """What the extra `glue` requires on Glue, and what that does, in the versions of constraints.txt."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    versions = {
        canonicalize_name(name): version.strip()
        for name, _, version in (line.partition("==") for line in lines)
        if version
    }
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()  # a package, and an extra of it
    waiting = [Requirement(text) for text in project["optional-dependencies"]["glue"]]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name not in versions:
            raise SystemExit(f"constraints.txt has no version of {name}, which jobs on Glue need.")
        found.add(f"{name}=={versions[name]}")
        extras = {(name, extra) for extra in wanted.extras or {""}} - seen
        seen |= extras
        for text in distribution(name).requires or () if extras else ():
            inner = Requirement(text)
            if inner.marker is None or any(inner.marker.evaluate({**GLUE, "extra": e}) for _, e in extras):
                waiting.append(inner)
    return sorted(found)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist" / "glue")
