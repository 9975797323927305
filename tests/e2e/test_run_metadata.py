"""Who a run is travels everywhere: one run, and every place in which somebody may meet it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import pytest
from lakes import csv, put

from lake_pipeline.cli.dagster_run import instance_of, run_partitions
from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import now
from lake_pipeline.health.outbox import waiting
from lake_pipeline.jobs.messages import Messages
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

DAY, NEXT = "2026-03-01", "2026-03-02"
TAGS = {"lake/replay_id": "rerun-7", "lake/threshold_profile": "strict"}
OF_RUN = {"threshold_profile": "strict", "replay_id": "rerun-7"}


def documents(lake: Lake, zone: str, folder: str) -> list[dict[str, Any]]:
    """The JSON documents below a folder."""
    store = lake.zone(zone)
    found = [json.loads(store.read(entry.key)) for entry in store.list(folder)]
    assert found, f"nothing below {zone}/{folder}"
    return found


def says(found: Mapping[str, Any], **expected: str) -> None:
    """It says at least this."""
    assert {name: found.get(name) for name in expected} == expected


def test_the_runs_metadata_is_everywhere(
    sales: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    monkeypatch.setenv("LAKE_LOG", "json")
    monkeypatch.setenv("LAKE_LOG_FILE", str(log))
    monkeypatch.setenv("LAKE_METRICS", "emf")
    monkeypatch.setenv("LAKE_ALERT_WEBHOOK", "http://127.0.0.1:9/nobody")  # what is told stays in the outbox
    lake = Lake(Settings.from_env())
    put(lake, sales, "a.csv", csv("a,1,2026-03-01"), DAY)
    put(lake, sales, "b.csv", csv("b,1,2026-03-02", "b,1,2026-03-02"), NEXT)
    ran = run_partitions(lake, sales, [DAY, NEXT], tags=TAGS)
    assert [r.action for r in ran] == ["published", "refused"]
    (run_id,) = {r.run_id for r in ran}
    source = lake.zone("raw").uri("sales")
    ids = {"run_id": run_id, "dataset": "sales"}

    with instance_of(lake) as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        says(run.tags, dataset="sales", **{"lake/source_location": source}, **TAGS)
        events = [e.dagster_event for e in instance.all_logs(run_id) if e.dagster_event]
    shown = list(metadata_of(events))
    assert len(shown) > 8
    for metadata in shown:
        says({name: value.value for name, value in metadata.items()}, source=source, **OF_RUN)

    for folder in ("receipts/sales", "outcomes/sales"):
        for found in documents(lake, "ops", folder):
            says(found, **ids, **OF_RUN)
            assert found["partition"] in (DAY, NEXT)
    for found in documents(lake, "dq-results", "sales"):
        says(found, **ids, **OF_RUN)
    (record,) = documents(lake, "ops", f"runs/{now():%Y-%m-%d}/sales")
    says(record, **ids, **OF_RUN)
    assert [p["source"].startswith(source) for p in record["partitions"]] == [True, True]
    for incident in documents(lake, "ops", "incidents/sales"):
        for name, member in incident["members"].items():
            says(member["fault"], run_id=run_id, **OF_RUN)
            assert member["fault"]["source"].startswith(source)
            assert name in (DAY, NEXT)

    assert waiting(lake)
    for found in documents(lake, "ops", "outbox/webhook"):
        for message in found["messages"]:
            for fault in message["detail"]["faults"].values():
                says(fault, run_id=run_id, **OF_RUN)

    check_lines(log.read_text().splitlines(), source, **ids)
    (metrics,) = [json.loads(s) for s in capfd.readouterr().out.splitlines() if s.startswith("{")]
    says(metrics, RunId=run_id, Dataset="sales", ReplayId="rerun-7", ThresholdProfile="strict")
    assert metrics["Partitions"] == f"{DAY} {NEXT}"
    assert metrics["Source"].startswith(source)


def check_lines(lines: list[str], source: str, **ids: str) -> None:
    """The JSON lines of the log that are about the run."""
    found = [json.loads(line) for line in lines]
    mine = [line for line in found if line.get("run_id") == ids["run_id"] and "dataset" in line]
    assert len([line for line in mine if line.get("event") == "Published"]) == 1
    for line in mine:
        says(line, **ids, **OF_RUN)
        assert line["source"].startswith(source)
        assert line["partition"] in (DAY, NEXT, f"{DAY}..{NEXT}")


def metadata_of(events: list[dg.DagsterEvent]) -> Iterator[Any]:
    """The metadata of the materializations and checks of a run."""
    for event in events:
        if event.is_step_materialization:
            yield event.step_materialization_data.materialization.metadata
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            yield event.asset_check_evaluation_data.metadata


def test_a_jobs_own_log_has_it_too(caplog: pytest.LogCaptureFixture) -> None:
    messages = Messages("")
    messages.begin({"run_id": "r-1", "dataset": "sales", "replay_id": ""})
    with caplog.at_level("INFO", "lake_pipeline.jobs"):
        messages.log("validate is done")
    assert caplog.messages == ['validate is done run_id="r-1" dataset="sales" replay_id=""']
