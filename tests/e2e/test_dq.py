"""`lake dq`: on files, on tables of the lake, with other tables; its report; proposals; and the history."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from lakes import csv, put

from lake_pipeline.datasets import Dataset
from lake_pipeline.dqdl import parse
from lake_pipeline.flow.run import STAGES, run_stages
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

Cli = Callable[..., Any]  # the fixture `lake`
DAY, NEXT = "2026-03-01", "2026-03-02"


@pytest.fixture
def published(sales: Dataset) -> Lake:
    """A lake with two published days of sales."""
    lake = Lake(Settings.from_env())
    for day, rows in ((DAY, 2), (NEXT, 3)):
        put(lake, sales, "a.csv", csv(*(f"{day[-1]}{i},{i},{day}" for i in range(rows))), day)
    run_stages(lake, sales, [DAY, NEXT], STAGES, "run")
    return lake


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_bytes(csv(f"a,1,{DAY}", f"b,2,{DAY}", f"b,,{DAY}"))
    return path


@pytest.mark.usefixtures("published")
def test_a_table_of_the_lake_is_what_rules_see_in_the_gate(lake: Cli) -> None:
    said = lake(
        "dq", "curated.sales", "--rules", 'Rules = [ ColumnCount = 3, RowCount = 5, IsUnique "id" ]', "--json"
    )
    assert (said.code, said.json["table"], said.json["passed"]) == (0, "curated.sales", True)
    assert lake("dq", "validated.sales", "--rules", "Rules = [ ColumnCount = 3 ]").code == 0
    assert lake("dq", "quarantine.sales", "--rules", "Rules = [ RowCount = 0 ]").code in (0, 2)
    missing = lake("dq", "curated.sale", "--rules", "Rules = [ RowCount = 0 ]")
    assert (missing.code, 'Did you mean "curated.sales"?' in missing.err) == (2, True)


@pytest.mark.usefixtures("published")
def test_rules_see_other_tables(lake: Cli, orders: Path, tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("id\na\nb\n")
    rules = 'Rules = [ ReferentialIntegrity "id" "names.id" = 1.0, RowCountMatch "sold" = 0.6 ]'
    more = ("--sources", "names=names.csv", "--sources", "sold=curated.sales")
    assert lake("dq", orders, "--rules", rules, *more).code == 0
    assert lake("dq", orders, "--rules", rules, *more[:2]).code == 1
    for wrong in ("names.csv", "=names.csv", "names=", "names=none.csv"):
        assert lake("dq", orders, "--rules", rules, "--sources", wrong).code == 2
    assert lake("dq", orders, "--rules", rules, *more, *more[:2]).code == 2
    own = 'Rules = [ RowCountMatch "sales" = 1.0 ]'
    assert lake("dq", "curated.sales", "--rules", own).code == 0


def test_rules_on_files_see_the_file(lake: Cli, orders: Path) -> None:
    size = orders.stat().st_size
    rules = f'Rules = [ FileSize = {size}, FileFreshness > (now() - 1 days), FileMatch != "aa" ]'
    assert lake("dq", orders, "--rules", rules).code == 0


@pytest.mark.parametrize("word", [(), ("evaluate",)])
def test_options_stand_anywhere(lake: Cli, orders: Path, word: tuple[str, ...]) -> None:
    rules = ("--rules", "Rules = [ RowCount = 3 ]")
    assert lake("dq", *word, orders, *rules).code == 0
    assert lake("dq", *word, *rules, orders).code == 0


def test_wrong_use_says_what_would_be_right(lake: Cli, orders: Path) -> None:
    typo = lake("dq", "ordres.csv", "--rules", "Rules = [ RowCount > 0 ]")
    assert (typo.code, 'Did you mean "orders.csv"?' in typo.err) == (2, True)
    syntax = lake("dq", orders, "--rules", "Rules = [ RowCont > 0 ]")
    assert syntax.code == 2
    assert 'Did you mean "RowCount"?' in syntax.err
    assert "^^^^^^^" in syntax.err
    long = lake("dq", orders, "--rules", f"Rules = [ {', '.join(['RowCount > 0'] * 100)} ]")
    assert long.code == 0
    assert lake("dq", orders).code == 2
    assert (
        lake("dq", orders, "--rules", "Rules = [ RowCount > 0 ]", "--html", "no/such/folder.html").code == 2
    )


def test_analyzers_are_shown(lake: Cli, orders: Path) -> None:
    said = lake("dq", orders, "--rules", 'Analyzers = [ RowCount, Mean "nope" ]')
    assert said.code == 0
    assert "Dataset.*.RowCount" in said.out
    assert 'Column "nope" does not exist' in said.out
    document = lake("dq", orders, "--rules", "Analyzers = [ RowCount ]", "--json").json
    assert document["analyses"] == [
        {"analyzer": "RowCount", "metrics": {"Dataset.*.RowCount": 3.0}, "reason": None}
    ]


class Page(HTMLParser):
    """What of a page can be checked without looking at it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.said += data


def test_the_report_is_one_file_for_everybody(lake: Cli, orders: Path, tmp_path: Path) -> None:
    rules = 'Rules = [ RowCount = 3, IsUnique "id", IsComplete "<b>" ] Analyzers = [ Mean "amount" ]'
    said = lake("dq", orders, "--rules", rules, "--html", "report.html")
    assert (said.code, "report: report.html" in said.out) == (1, True)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    tags = [tag for tag, _ in page.seen]
    assert dict(page.seen)["html"] == {"lang": "en"}
    assert {"title", "main", "h1", "caption"} <= set(tags)
    assert not {"script", "link", "img", "iframe", "b"} & set(tags)
    assert not any(name in ("src", "href") for _, attributes in page.seen for name in attributes)
    assert "url(" not in text
    assert "http" not in text
    assert all(a.get("scope") for tag, a in page.seen if tag == "th")
    for word in ("Passed", "Failed", "Error", 'IsComplete "<b>"', "1 of 3 rules passed", "for example 'b'"):
        assert word in page.said
    order = [page.said.index(f"{rule}") for rule in ('IsComplete "<b>"', 'IsUnique "id"', "RowCount = 3")]
    assert order == sorted(order), "what did not pass stands first"


def test_a_proposal_is_a_ruleset_that_the_file_meets(lake: Cli, orders: Path, tmp_path: Path) -> None:
    said = lake("dq", "recommend", orders)
    assert said.code == 0
    assert 'IsComplete "id"' in said.out
    (tmp_path / "proposed.dqdl").write_text(said.out)
    assert lake("dq", orders, "--rules", "proposed.dqdl").code == 0
    document = lake("dq", "recommend", orders, "--json").json
    assert [str(rule) for rule in parse(document["ruleset"]).rules] == document["rules"]
    assert lake("dq", "recommend", "none.csv").code == 2


@pytest.mark.usefixtures("published")
def test_the_history_of_a_dataset(lake: Cli) -> None:
    assert lake("dq", "recommend", "curated.sales").code == 0
    document = lake("dq", "history", "sales", "--json").json
    assert [d["partition"] for d in document] == [DAY, NEXT]
    assert document[0]["metrics"] == {"Column.id.Uniqueness": 1.0, "Column.amount.Completeness": 1.0}
    shown = lake("dq", "history", "sales")
    assert (shown.code, "Column.id.Uniqueness" in shown.out) == (0, True)
    assert lake("dq", "history", "nope").code == 2


def test_a_dataset_without_history_says_so(lake: Cli) -> None:
    said = lake("dq", "history", "sales")
    assert (said.code, "lake run sales" in said.out) == (0, True)


def test_rules_may_come_from_a_pipe_and_from_an_editor_on_windows(
    lake: Cli, orders: Path, tmp_path: Path
) -> None:
    (tmp_path / "rules.dqdl").write_bytes(b"\xef\xbb\xbfRules = [\r\n    RowCount = 3\r\n]\r\n")
    assert lake("dq", orders, "--rules", "rules.dqdl").code == 0
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("Rules = [ RowCount = 3 ]",))
    writer.start()
    assert lake("dq", orders, "--rules", "pipe").code == 0
    writer.join()
    assert lake("dq", orders, "--rules", tmp_path).code == 2
