"""`lake glue deploy`, as people use it: the bundle in a real bucket, and jobs in Glue over HTTP; again, nothing changes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from glue_endpoint import Endpoint, glue_endpoint
from servers import S3Server

from lake_pipeline.storage import ObjectStore

LAKE = [sys.executable, "-c", "from lake_pipeline.cli import main; main()"]
FILES = {
    "validate.py": b"v",
    "curate.py": b"c",
    "compact.py": b"x",
    "lake.whl": b"w",
    "requirements.txt": b"r",
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """What `make glue-bundle` writes, in small."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name, body in FILES.items():
        (folder / name).write_bytes(body)
    said = {
        "glue_version": "5.0",
        "wheel": "lake.whl",
        "requirements": ["ibis-framework==12.0.0"],
        "arguments": {"--python-modules-installer-option": "--no-deps"},
        "files": {name: hashlib.sha256(body).hexdigest() for name, body in FILES.items()},
    }
    (folder / "bundle.json").write_text(json.dumps(said))
    return folder


@pytest.fixture
def glue() -> Iterator[Endpoint]:
    """A Glue without jobs."""
    with glue_endpoint() as made:
        yield made


def deploy(
    glue: Endpoint, s3: S3Server, bundle: Path, code: str, *more: str
) -> subprocess.CompletedProcess[str]:
    """The command."""
    ours = {n: v for n, v in os.environ.items() if not n.startswith(("LAKE_", "AWS_"))}
    env = {**ours, **s3.env, "LAKE_GLUE_ENDPOINT": glue.url, "LAKE_GLUE_REGION": "us-east-1"}
    given = ["glue", "deploy", "--code", code, "--role", "lake-glue", "--bundle", str(bundle), *more]
    return subprocess.run([*LAKE, *given], env=env, capture_output=True, text=True, check=False)


def test_a_bundle_becomes_jobs_once(
    glue: Endpoint, s3_server: S3Server, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"s3://{s3_server.bucket()}/code/lake"
    done = deploy(glue, s3_server, bundle, code, "--json", "--module", "holidays==0.9", "--connection", "vpc")
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert [(j["job"], j["done"]) for j in said["jobs"]] == [
        (f"lake-{step}", "created") for step in ("validate", "curate", "compact")
    ]
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    uploaded = {o.key: ObjectStore(code).read(o.key) for o in ObjectStore(code).list()}
    assert {n: uploaded.pop(n) for n in FILES} == FILES
    assert [*uploaded] == ["bundle.json"]
    job = glue.jobs["lake-curate"]
    assert job["Command"]["ScriptLocation"] == f"{code}/curate.py"
    assert (job["Role"], job["GlueVersion"], job["Connections"]) == (
        "lake-glue",
        "5.0",
        {"Connections": ["vpc"]},
    )
    assert job["DefaultArguments"] == {
        "--job-bookmark-option": "job-bookmark-disable",
        "--additional-python-modules": f"{code}/lake.whl,ibis-framework==12.0.0,holidays==0.9",
        "--python-modules-installer-option": "--no-deps",
    }
    same = ("--module", "holidays==0.9", "--connection", "vpc")
    again = deploy(glue, s3_server, bundle, code, *same)
    assert again.stdout.count("unchanged") == 3
    changed = deploy(glue, s3_server, bundle, code, *same, "--most", "3")
    assert changed.stdout.count("updated") == 3
    assert glue.jobs["lake-curate"]["ExecutionProperty"] == {"MaxConcurrentRuns": 3}


@pytest.mark.parametrize(
    ("more", "spoil", "says"),
    [
        (("--tag", "team"), "", '"team" is no tag; write name=value.'),
        ((), "curate.py", "curate.py is not as it was built"),
        ((), "bundle.json", "build one with `make glue-bundle`"),
    ],
)
def test_what_cannot_be_deployed_changes_nothing(
    glue: Endpoint, s3_server: S3Server, bundle: Path, more: tuple[str, ...], spoil: str, says: str
) -> None:
    if spoil == "bundle.json":
        (bundle / spoil).unlink()
    elif spoil:
        (bundle / spoil).write_bytes(b"other")
    code = f"s3://{s3_server.bucket()}/code"
    done = deploy(glue, s3_server, bundle, code, *more)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())
    assert glue.calls == []
