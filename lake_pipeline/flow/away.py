"""Steps that a job does, on AWS Glue or wherever else Spark runs a script: what is asked and answered is in objects.

A job's folder in the zone ops, ``jobs/<ds>/<step>/<key>/``, has

==============  ========================================================================
contract.yaml   the contract, as it is here
defs.yaml       how the lake runs the dataset
input.json      the lake, the run, and the request
output.json     the answer, written by the job when all its data files are where it says
==============  ========================================================================

The key is the hash of the request: asked again, the same job is waited for, and not run twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import TypeAdapter

from lake_pipeline.datasets import Dataset, load_dataset
from lake_pipeline.datasets.loading import COMPONENT_TYPE, digest
from lake_pipeline.errors import Terminal
from lake_pipeline.flow import assess, batches, compact
from lake_pipeline.flow.choice import Size
from lake_pipeline.flow.context import Step, Work
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake, ObjectStore
from lake_pipeline.storage.lake import dump

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

VERSION = "1"  # of the documents
STEPS: Mapping[str, Step[Any, Any]] = {s.name: s for s in (batches.STEP, assess.STEP, compact.STEP)}
SCRATCH, STAGING = "scratch", "_staging"


class JobUnlike(Terminal):
    """A job and the one who asked it do not understand one another: they have different versions."""


@dataclass(frozen=True)
class Order:
    """A job that is wanted. arguments: of its script, all URIs. owner: the run that wants it."""

    step: str
    dataset: Dataset
    key: str
    arguments: Mapping[str, str]
    size: Size
    owner: str


# Runs a job to its end, with its records in a store; facts of the job run. Raises what went wrong.
Runner = Callable[[ObjectStore, Order], Mapping[str, Any]]


@dataclass(frozen=True)
class Away:
    """Has steps done by jobs; see `Elsewhere`."""

    run: Runner

    def do(self, work: Work, step: Step[Any, Any], request: Any, size: Size) -> tuple[Any, dict[str, Any]]:
        """The answer, and facts of the job run."""
        ops, dataset = work.lake.zone("ops"), work.dataset
        asked = adapter(step.request).dump_python(request, mode="json")
        key = digest(
            VERSION, asked, dataset.validation_hash, dataset.transform_hash, work.force and work.run_id
        )
        folder = f"jobs/{dataset.name}/{step.name}/{key[:20]}"
        document = {
            "version": VERSION,
            "lake": work.lake.settings.root,
            "dataset": dataset.name,
            "step": step.name,
            "validation": dataset.validation_hash,
            "name": key[:20],
            "run_id": work.run_id,
            "about": dict(work.about),
            "at": work.at.isoformat(),
            "request": asked,
        }
        texts = {
            "contract.yaml": (dataset.folder / dataset.config.contract).read_bytes(),
            "defs.yaml": yaml.safe_dump(portable(dataset), sort_keys=False).encode(),
            "input.json": dump(document),
        }
        for name, body in texts.items():
            ops.create(f"{folder}/{name}", body)
        names = ("contract.yaml", "defs.yaml", "input.json", "output.json")
        arguments = {name.partition(".")[0]: ops.uri(f"{folder}/{name}") for name in names}
        order = Order(step.name, dataset, f"{dataset.name}/{key[:20]}", arguments, size, work.run_id)
        facts = self.run(ops, order)
        work.after.append(lambda: clear(work.lake, key[:20]))
        answer = json.loads(ops.read(f"{folder}/output.json"))
        check_version(answer, dataset)
        return adapter(step.answer).validate_python(answer["answer"]), dict(facts)


def portable(dataset: Dataset) -> dict[str, Any]:
    """A dataset's `defs.yaml` as a job reads it, beside its contract."""
    attributes = dataset.config.model_dump(mode="json", exclude_unset=True)
    return {"type": COMPONENT_TYPE, "attributes": {**attributes, "contract": "contract.yaml"}}


def check_version(document: Mapping[str, Any], dataset: Dataset) -> None:
    """Raise `JobUnlike` for a document of another version, or about a dataset that is read otherwise.

    A job looks at what it is asked before it does anything: what it has done once is not asked for again.
    """
    mine = {"version": VERSION, "validation": dataset.validation_hash}
    theirs = {name: document.get(name) for name in mine}
    if theirs != mine:
        raise JobUnlike(
            f"The job for {dataset.name} has another version of lake_pipeline than the one that asks it: {theirs} is "
            f"not {mine}. Upload the bundle of Dagster's version (make glue-bundle) and run again."
        )


def perform(arguments: Mapping[str, str], session: SparkSession, folder: Path) -> dict[str, Any]:
    """Do the step that ``input`` asks for on Spark, and write the answer to ``output``; numbers of what was done.

    arguments: the URIs of contract, defs, input and output. folder: for files of the driver's own.
    """
    from lake_pipeline.engines.spark import Spark

    document = json.loads(read(arguments["input"]))
    home = folder / document["dataset"]
    home.mkdir(parents=True)
    (home / "contract.yaml").write_bytes(read(arguments["contract"]))
    (home / "defs.yaml").write_bytes(read(arguments["defs"]))
    dataset = load_dataset(home)
    check_version(document, dataset)
    lake = Lake(Settings.at(document["lake"], home=str(folder / "home")))
    step = STEPS[document["step"]]
    request = adapter(step.request).validate_python(document["request"])
    scratch = folder / "scratch"
    if lake.zone("ops").local:  # where everybody sees it, and for the one who asked to clear
        scratch = Path(lake.zone("ops").root) / SCRATCH / document["name"]
    scratch.mkdir(parents=True, exist_ok=True)
    engine = Spark.of(lake, scratch, session, document["name"])
    at = datetime.fromisoformat(document["at"])
    work = Work(lake, dataset, engine, scratch, document["run_id"], at, about=document.get("about", {}))
    try:
        answer = step.function(work, request)
    except BaseException:
        engine.close()  # which removes what was staged; else that is for the one who asked
        raise
    written = adapter(step.answer).dump_python(answer, mode="json")
    done = {"version": VERSION, "validation": dataset.validation_hash, "answer": written}
    write(arguments["output"], dump(done))
    return {"dataset": dataset.name, "step": step.name, "output": arguments["output"]}


def clear(lake: Lake, name: str) -> None:
    """Remove what a job left on shared storage; what the lake has is elsewhere by now."""
    for zone, folder in (
        ("ops", SCRATCH),
        ("ops", STAGING),
        ("validated", STAGING),
        ("curated", STAGING),
        ("quarantine", STAGING),
    ):
        store = lake.zone(zone)
        keys = [entry.key for entry in store.list(f"{folder}/{name}")]
        if keys:
            store.delete(keys)


def adapter(type_: type[Any]) -> TypeAdapter[Any]:
    """Reads and writes values of a type as JSON."""
    return TypeAdapter(type_)


def read(uri: str) -> bytes:
    """An object by its URI."""
    folder, _, name = uri.removeprefix("file://").rpartition("/")
    return ObjectStore(folder).read(name)


def write(uri: str, body: bytes) -> None:
    """Put an object under its URI."""
    folder, _, name = uri.removeprefix("file://").rpartition("/")
    ObjectStore(folder).write(name, body)
