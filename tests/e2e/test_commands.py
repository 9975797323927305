"""The commands as people and programs use them: exit codes, one JSON document, no stack traces."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lakes import csv

from lake_pipeline.datasets import Dataset

Cli = Callable[..., Any]  # the fixture `lake`
DAY, NEXT, THIRD = "2026-03-01", "2026-03-02", "2026-03-03"
STATUS = {
    "dataset", "partition", "state", "landed_rows", "curated_rows", "quarantined_rows", "deduplicated_rows",
    "filtered_rows", "balanced",
}  # fmt: skip


def file(folder: Path, name: str, *rows: str) -> Path:
    path = folder / name
    path.write_bytes(csv(*rows))
    return path


def landed(lake: Cli, folder: Path) -> None:
    """A good day, one that its gate refuses, and another good one."""
    for day, rows in ((DAY, ("a", "b")), (NEXT, ("twice", "twice")), (THIRD, ("c", "d"))):
        path = file(folder, "sales.csv", *(f"{id_},{n},{day}" for n, id_ in enumerate(rows)), f"x,bad,{day}")
        assert lake("land", "sales", path, "--partition", day).code == 0


def test_from_landing_to_the_fix(lake: Cli, tmp_path: Path) -> None:
    landed(lake, tmp_path)
    pending = lake("status", "sales", "--json")
    assert [s["state"] for s in pending.json] == ["pending"] * 3
    ran = lake("run", "sales", "--all", "--json")
    assert ran.code == 1
    assert [(r["partition"], r["action"]) for r in ran.json] == [
        (DAY, "published"),
        (NEXT, "refused"),
        (THIRD, "published"),
    ]
    assert all(r["balanced"] for r in ran.json)
    status = lake("status", "sales", "--json")
    assert status.code == 0
    assert all(set(s) >= STATUS for s in status.json)
    assert [s["state"] for s in status.json] == ["published", "refused", "published"]
    again = lake("run", "sales", "--from", DAY, "--to", THIRD, "--json")
    assert (again.code, [r["action"] for r in again.json]) == (1, ["unchanged", "still refused", "unchanged"])
    forced = lake("run", "sales", "--partition", NEXT, "--force", "--json")
    assert (forced.code, forced.json[0]["action"]) == (1, "refused")
    visible = lake("sql", "SELECT id FROM curated.sales ORDER BY id", "--json")
    assert (visible.code, [r["id"] for r in visible.json]) == (0, ["a", "b", "c", "d"])
    lake("land", "sales", file(tmp_path, "sales.csv", f"e,1,{NEXT}"), "--partition", NEXT)
    fixed = lake("run", "sales", "--partition", NEXT)
    assert fixed.code == 0, fixed.out
    assert "published" in fixed.out
    nothing = lake("run", "sales", "--all")
    assert (nothing.code, "Nothing to do" in nothing.out) == (0, True)
    for words in (["status"], ["sql", "SELECT count(*) FROM quarantine.sales"]):
        shown = lake(*words)
        assert (shown.code, bool(shown.out)) == (0, True)


def test_a_table_of_a_dataset_that_has_published_nothing(lake: Cli, tmp_path: Path) -> None:
    lake("land", "sales", file(tmp_path, "twice.csv", f"a,1,{DAY}", f"a,2,{DAY}"), "--partition", DAY)
    assert lake("run", "sales", "--all").code == 1
    said = lake("sql", "SELECT * FROM curated.sales")
    assert (said.code, said.out) == (2, "")
    assert "Nothing is in curated.sales yet" in said.err
    assert "lake status sales" in said.err


def test_check_of_a_refused_file_says_why_and_no_more(lake: Cli, tmp_path: Path) -> None:
    said = lake("check", "sales", tmp_path / "defs/sales/defs.yaml")
    assert "UNSUPPORTED_SUFFIX" in said.out
    assert "failed checks" not in said.out


def test_check_writes_nothing(lake: Cli, tmp_path: Path) -> None:
    bad = file(tmp_path, "bad.csv", f"a,1,{DAY}", f"b,x,{DAY}", f",-1,{DAY}")
    said = lake("check", "sales", bad, "--json")
    assert said.code == 1
    assert (said.json["rows"], said.json["valid"], said.json["quarantined"]) == (3, 1, 2)
    assert [(r["line"], [x["code"] for x in r["reasons"]]) for r in said.json["rejects"]] == [
        (3, ["CAST_FAILED"]),
        (4, ["REQUIRED_NULL", "OUT_OF_RANGE"]),
    ]
    assert lake("check", "sales", bad).code == 1
    assert lake("check", "sales", file(tmp_path, "good.csv", f"a,1,{DAY}"), "--partition", DAY).code == 0
    refused = lake("check", "sales", tmp_path / "defs/sales/defs.yaml", "--json")
    assert (refused.code, refused.json["reason"]) == (1, "UNSUPPORTED_SUFFIX")
    assert lake("status", "--json").json == []


def test_dq(lake: Cli, tmp_path: Path) -> None:
    path = file(tmp_path, "a.csv", f"a,1,{DAY}", f"a,2,{DAY}")
    rules = tmp_path / "r.dqdl"
    rules.write_text('Rules = [ RowCount = 2, IsUnique "id" ]')
    said = lake("dq", path, "--rules", rules, "--json")
    assert (said.code, said.json["passed"]) == (1, False)
    assert [o["outcome"] for o in said.json["outcomes"]] == ["Passed", "Failed"]
    assert lake("dq", path, "--rules", "Rules = [ RowCount = 2 ]").code == 0
    assert lake("dq", path, "--rules", "Rules = [ RowCount = ").code in (1, 2)
    assert lake("dq", path, "--rules", "nonsense").code == 2
    assert lake("dq", tmp_path / "no.csv", "--rules", "Rules = [ RowCount = 2 ]").code == 2


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("cut.json", b'[{"id": 1}, {"i'),
        ("cut.jsonl", b'{"id": 1}\n{"i'),
        ("no.parquet", b"PAR1"),
        ("empty.csv", b""),
        ("bytes.csv", b"\xff\xfe\0\x01,\n"),
    ],
)
def test_dq_of_a_file_that_cannot_be_read(lake: Cli, tmp_path: Path, name: str, body: bytes) -> None:
    (tmp_path / name).write_bytes(body)
    said = lake("dq", tmp_path / name, "--rules", "Rules = [ RowCount > 0 ]")
    assert said.code in (1, 2)
    assert said.out + said.err


def test_lint(lake: Cli, sales: Dataset) -> None:
    assert lake("contract", "lint", "--json").json == []
    assert lake("contract", "lint", "sales").code == 0
    contract = sales.folder / "contract.yaml"
    contract.write_text(contract.read_text().replace("logicalType: date", "logicalType: dat"))
    said = lake("contract", "lint", "sales", "--json")
    assert said.code == 1
    assert said.json[0]["line"] > 1
    assert "date" in said.json[0]["hint"]
    assert lake("contract", "lint", "sales").code == 1
    assert lake("run", "sales", "--partition", DAY).code == 1
    (sales.folder / "defs.yaml").write_text("type: [")
    assert lake("contract", "lint", "sales").code in (1, 2)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["run", "sale", "--all"], 'Did you mean "sales"?'),
        (["run", "sales"], "--partition P"),
        (["run", "sales", "--all", "--partition", DAY], "Say one of"),
        (["run", "sales", "--from", DAY], "Say one of"),
        (["run", "sales", "--partition", "yesterday"], "write it like"),
        (["run", "sales", "--partition", "2026-02-30"], "write it like"),
        (["run", "sales", "--partition", "1999-01-01"], "before the first partition"),
        (["run", "sales", "--from", "2026-03-05", "--to", "2026-03-01"], "is after"),
        (["land", "sales", "defs", "--partition", DAY], "is a folder"),
        (["run", "airlines", "--partition", DAY], "no partitions"),
        (["land", "sales", "no.csv", "--partition", DAY], "no file"),
        (["land", "sales", "defs/sales/defs.yaml"], "--partition"),
        (["check", "sales", "no.csv"], "no file"),
        (["contract", "lint", "sale"], 'Did you mean "sales"?'),
        (["status", "sale"], 'Did you mean "sales"?'),
        (["sql", "SELECT * FROM curated.sale"], "no table"),
        (["sql", "SELEC"], ""),
        (["sql", "DELETE FROM curated.sales"], "one SELECT"),
        (["sql", "SELECT 1; SELECT 2"], "one SELECT"),
        (["sql", "COPY (SELECT 1) TO 'x.csv'"], "one SELECT"),
        (["sql", "ATTACH 'x.db'"], "one SELECT"),
        (["sql", "SELECT * FROM '/etc/passwd'"], ""),
        (["sql", "SELECT * FROM read_csv('/etc/passwd')"], "lake's tables"),
        (["sql", "SELECT * FROM read_text('/etc/passwd')"], "lake's tables"),
        (["sql", "SELECT (SELECT content FROM read_text('/etc/passwd'))"], "lake's tables"),
        (["sql", "SELECT getenv('HOME')"], ""),
        (["sql", "SELECT 1/'x'"], ""),
        (["nothing"], ""),
        (["run"], ""),
    ],
)  # fmt: skip
def test_wrong_use_is_explained(lake: Cli, arguments: list[str], hint: str) -> None:
    said = lake(*arguments)
    assert said.code == 2, said
    assert hint in said.err.replace("\n", " ")
    assert not said.out.strip() or "Usage" in said.out


def test_a_run_of_what_never_landed_fails(lake: Cli) -> None:
    said = lake("run", "sales", "--partition", DAY, "--json")
    assert said.code == 1
    assert said.json[0]["action"] == "failed"
    assert "landed" in said.json[0]["error"]
    assert lake("run", "sales", "--all").code == 2
    shown = lake("run", "sales", "--partition", DAY).out
    assert "nothing has landed; land files with: lake land sales FILE" in shown
    assert "rejected" not in shown


def test_a_run_says_which_files_were_refused(lake: Cli, tmp_path: Path) -> None:
    """They have no rows to count: a partition without them is published, and nobody would look."""
    (tmp_path / "notes.txt").write_text("x")
    for name in (file(tmp_path, "good.csv", f"a,1,{DAY}"), tmp_path / "notes.txt"):
        lake("land", "sales", name, "--partition", DAY)
    shown = lake("run", "sales", "--partition", DAY)
    assert shown.code == 0
    assert f"{DAY} file refused: notes.txt: UNSUPPORTED_SUFFIX: " in shown.out
    again = lake("run", "sales", "--partition", DAY, "--force", "--json")
    assert [f["reason"] for f in again.json[0]["refused_files"]] == ["UNSUPPORTED_SUFFIX"]


def test_a_failed_run_tells_its_own_reasons_once(
    lake: Cli, sales: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not those of the run before, whose outcome is still the newest."""
    defs, module = sales.folder / "defs.yaml", tmp_path / "own_transform.py"
    defs.write_text(defs.read_text() + "  transform: {python: 'own_transform:clean'}\n")
    module.write_text("def clean(t):\n    return t.filter(1 / 0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    lake("land", "sales", file(tmp_path, "good.csv", f"a,1,{DAY}"), "--partition", DAY)
    assert lake("run", "sales", "--partition", DAY).out.count("division by zero") == 1
    monkeypatch.delitem(sys.modules, "own_transform")
    module.unlink()
    shown = lake("run", "sales", "--partition", DAY).out
    assert "which cannot be imported" in shown
    assert "division by zero" not in shown


def test_lint_reads_the_contract_that_defs_yaml_names_and_both_files(lake: Cli, sales: Dataset) -> None:
    (sales.folder / "contract.yaml").rename(sales.folder / "agreed.yaml")
    defs = sales.folder / "defs.yaml"
    defs.write_text(defs.read_text() + "  contract: agreed.yaml\n")
    assert lake("contract", "lint", "sales").code == 0
    defs.write_text(defs.read_text() + "  dedupe: 1\n")
    (sales.folder / "agreed.yaml").write_text("kind: DataContract\n")
    found = lake("contract", "lint", "sales", "--json").json
    assert {Path(f["file"]).name for f in found} == {"agreed.yaml", "defs.yaml"}


def test_no_root_and_no_folders(lake: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_ROOT", "gs://bucket")
    assert lake("status").code == 2
    monkeypatch.setenv("LAKE_ROOT", "")
    monkeypatch.setenv("LAKE_DEFS", "/does/not/exist")
    assert lake("status").code == 2


def test_the_command_as_a_process(tmp_path: Path) -> None:
    code = "from lake_pipeline.cli import main; main()"
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code, "status", "--json"], capture_output=True, text=True, cwd=tmp_path,
        check=False, env={"PATH": "/usr/bin:/bin", "LAKE_ROOT": str(tmp_path / "l"), "PYTHONPATH": root, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")
