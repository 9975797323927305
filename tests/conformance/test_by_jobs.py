"""`engine: glue` is Spark by way of documents and jobs: what is asked and answered survives them, whatever it is.

The whole path but for a process of its own: StartJobRun over HTTP, the script, its records, the answer, audit, publish.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from datasets import CASES
from glue_endpoint import glue_endpoint
from glue_jobs import jobs_of
from remains import differences
from sites import Site
from under_test import ENGINES, HAVE_SPARK, NO_ENGINES

from lake_pipeline.datasets.config import DatasetConfig

# One of each kind of request and answer; the engine itself is in `test_datasets` with every case.
NAMES = (
    *("formats", "deduplicate-quarantine-first", "drift-keep-coerce", "on-fail", "references"),
    *("evolution", "zoo-manifest", "zoo-budget", "zoo-gate", "zoo-transform"),
)


@pytest.mark.skipif(not HAVE_SPARK, reason="needs PySpark and Java 17")
@pytest.mark.usefixtures("spark_session")
@pytest.mark.parametrize("name", NAMES)
def test_a_job_leaves_what_this_process_leaves(name: str, tmp_path: Path) -> None:
    here, away = (tmp_path / n for n in ("here", "away"))
    here.mkdir()
    away.mkdir()
    reference = Site(here, "duckdb")
    CASES[name](reference)
    with glue_endpoint() as endpoint:
        client = endpoint.client(read_timeout=600)
        site = Site(away, "glue", jobs_of(endpoint, client))
        CASES[name](site)
        client.close()
    assert endpoint.count("StartJobRun") > 0
    assert len(site.seen) == len(reference.seen) > 0
    for number, (mine, theirs) in enumerate(zip(site.seen, reference.seen, strict=True), 1):
        assert differences(mine, theirs) == [], f"after run {number}"


def test_every_engine_is_in_one_of_the_suites() -> None:
    named: set[Any] = set(get_args(DatasetConfig.model_fields["engine"].annotation))
    assert named - NO_ENGINES == set(ENGINES)
    assert {"auto", "glue"} == NO_ENGINES  # glue: here
