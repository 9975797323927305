"""Land files: what a producer does, for people at a terminal."""

from __future__ import annotations

from pathlib import Path

from lake_pipeline.datasets import Dataset
from lake_pipeline.datasets.partitioning import UNPARTITIONED, check_key
from lake_pipeline.errors import UsageError
from lake_pipeline.storage import Lake


def land(lake: Lake, dataset: Dataset, files: list[Path], partition: str | None) -> list[tuple[str, str]]:
    """Copy files into the raw zone; returns (partition, URI) of each. A file of the same name is replaced."""
    missing = [str(f) for f in files if not f.is_file()]
    if missing and Path(missing[0]).is_dir():
        raise UsageError(f'"{missing[0]}" is a folder; name the files in it, e.g. {missing[0]}/*')
    if missing:
        raise UsageError(f"There is no file {missing[0]}.")
    placed = [(key_of(dataset, file, partition), file) for file in files]
    raw = lake.zone("raw")
    landed = []
    for (where, key), file in placed:
        raw.write(key, file)
        landed.append((where, raw.uri(key)))
    return landed


def key_of(dataset: Dataset, file: Path, partition: str | None) -> tuple[str, str]:
    """(partition, key) under which a file lands; the partition is read off its name where that says it."""
    spec = dataset.config.partitions
    if partition is None and spec.by == "none":
        partition = UNPARTITIONED
    if partition is None:
        folder = dataset.template.text.rpartition("/")[0]
        guess = dataset.template.place(f"{folder}/{file.name}") if "{" not in folder else None
        if guess is None or not guess.partition:
            raise UsageError(
                f"{dataset.name} is partitioned ({spec.by}): say which one with --partition, e.g. "
                f"--partition {spec.start}."
            )
        partition = guess.partition
    where = check_key(spec, partition)
    return where, dataset.template.fill(where, file.name)
