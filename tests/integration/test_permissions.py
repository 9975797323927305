"""The IAM policies of the guide are enough, and no more; moto's server enforces them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from servers import S3Server, free_port, wait_for

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "guides" / "s3.md"
LAKE = Path(sys.executable).parent / "lake"
PEOPLE = ("lake", "producer")
BEFORE = (
    2 * 3 + 2
)  # calls that nothing is asked of: a bucket of the server's probe, one of ours, and three for each
ORDERS = """order_id,customer_id,amount,currency,event_ts,note
o-1,c-1,19.90,EUR,2026-03-01T08:15:00Z,
o-2,c-1,many,EUR,2026-03-01T08:15:00Z,
"""


def policy(name: str) -> str:
    """A policy as the guide prints it."""
    found = re.search(
        rf"<!-- policy: {name} -->\n```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found
    return json.dumps(json.loads(found.group(1)))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, str]]]:
    """The environment of each of `PEOPLE`, on a server that holds them to their policy."""
    folder = tmp_path_factory.mktemp("iam")
    port, log = free_port(), folder / "log"
    server = S3Server(f"http://127.0.0.1:{port}")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env={"INITIAL_NO_AUTH_ACTION_COUNT": str(BEFORE)}
        )
    try:
        wait_for(server, process, log)
        server.bucket("acme-lake")
        iam: Any = boto3.client(
            "iam",
            endpoint_url=server.endpoint,
            aws_access_key_id="a",
            aws_secret_access_key="b",
            region_name="us-east-1",
        )
        found = {}
        for name in PEOPLE:
            iam.create_user(UserName=name)
            iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=policy(name))
            key = iam.create_access_key(UserName=name)["AccessKey"]
            found[name] = {
                **server.env,
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
                "LAKE_ROOT": "s3://acme-lake/prod",
                "LAKE_HOME": str(folder / "home"),
                "PATH": "/usr/bin:/bin",
            }
        yield found
    finally:
        process.kill()
        process.wait()


def lake(env: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LAKE, *arguments], env=env, capture_output=True, text=True, check=False)


def test_the_policies_of_the_guide_suffice(keys: dict[str, dict[str, str]], tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(ORDERS, encoding="utf-8")
    landed = lake(keys["producer"], "land", "orders", file, "--partition", "2026-03-01")
    assert landed.returncode == 0, landed.stderr
    for arguments in (
        ["run", "orders", "--all"],
        ["run", "orders", "--all", "--force"],
        ["status", "orders"],
    ):
        done = lake(keys["lake"], *arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
    rows = lake(keys["lake"], "sql", "SELECT order_id FROM curated.orders", "--json")
    assert "o-1" in rows.stdout
    assert "o-2" not in rows.stdout


@pytest.mark.parametrize(
    ("who", "call"),
    [
        (
            "lake",
            lambda s3: s3.delete_object(Bucket="acme-lake", Key="prod/raw/orders/2026/03/01/orders.csv"),
        ),
        (
            "lake",
            lambda s3: s3.put_object(Bucket="acme-lake", Key="prod/raw/orders/2026/03/01/o.csv", Body=b""),
        ),
        ("producer", lambda s3: s3.get_object(Bucket="acme-lake", Key="prod/ops/manifests/orders/x")),
        ("producer", lambda s3: s3.put_object(Bucket="acme-lake", Key="prod/curated/orders/x", Body=b"")),
    ],
)
def test_and_allow_no_more(keys: dict[str, dict[str, str]], who: str, call: Any) -> None:
    env = keys[who]
    s3 = boto3.client(
        "s3",
        endpoint_url=env["AWS_ENDPOINT_URL"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        region_name=env["AWS_REGION"],
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        call(s3)
