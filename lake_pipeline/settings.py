"""Where this lake is, read from the environment when a command starts, never at import."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lake_pipeline.errors import UsageError
from lake_pipeline.machine import LEAST, MB, default_memory, default_threads

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
ZONES = ("raw", "validated", "curated", "quarantine", "dq-results", "replay", "ops")


@dataclass(frozen=True)
class Settings:
    """What the environment says.

    root: ``LAKE_ROOT``: a folder or an ``s3://bucket/prefix`` URL. ``{zone}`` in it gives every zone
      its own bucket (``s3://acme-{zone}``); without it, zones are folders below the root.
    catalog: ``LAKE_CATALOG``: an SQLAlchemy URI of the Iceberg catalog's database, or ``glue``.
    home: the machine's own folder for this lake: spool, and by default the catalog and Dagster's home.
    dataset_folders: ``LAKE_DEFS``: further folders that hold dataset folders, separated like ``PATH``, and
      ``defs`` in the home where it exists; one of them replaces a shipped dataset of its name.
    queue_url: ``LAKE_QUEUE_URL``: the SQS queue in which S3's events arrive; empty where the listing is to do.
    dlq_url: ``LAKE_DLQ_URL``: the queue for messages that no dataset can use; without it they are kept in ops.
    memory: ``LAKE_MEMORY``: the memory of DuckDB in a run, such as ``2GB``; the process has some 200 MB besides. What
      does not fit is spilled to disk.
    threads: ``LAKE_THREADS``: how many threads work in a run.
    """

    root: str
    catalog: str
    home: Path
    dataset_folders: tuple[Path, ...] = ()
    queue_url: str = ""
    dlq_url: str = ""
    memory: int = field(default_factory=default_memory)
    threads: int = field(default_factory=default_threads)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read the ``LAKE_…`` variables; raise `UsageError` on nonsense."""
        env = os.environ if env is None else env
        found = cls.at(
            env.get("LAKE_ROOT", "").strip() or "./.lake",
            catalog=env.get("LAKE_CATALOG") or None,
            home=env.get("LAKE_HOME") or None,
            dataset_folders=tuple(Path(p).resolve() for p in env.get("LAKE_DEFS", "").split(os.pathsep) if p),
        )
        queue, dead = (env.get(name, "").strip() for name in ("LAKE_QUEUE_URL", "LAKE_DLQ_URL"))
        memory, threads = (env.get(name, "").strip() for name in ("LAKE_MEMORY", "LAKE_THREADS"))
        found = replace(found, memory=bytes_in(memory)) if memory else found
        found = replace(found, threads=threads_in(threads)) if threads else found
        return replace(found, queue_url=queue, dlq_url=dead)

    @classmethod
    def at(
        cls,
        root: str,
        *,
        catalog: str | None = None,
        home: str | None = None,
        dataset_folders: tuple[Path, ...] = (),
    ) -> Settings:
        """The settings of the lake at `root`, with defaults for the rest."""
        scheme = re.match(r"([a-z0-9]+)://", root)
        if scheme and scheme[1] not in {"s3", "file"}:
            raise UsageError(f'LAKE_ROOT is "{root}"; it must be a folder or an s3:// URL.')
        if not root.startswith("s3://"):
            root = str(Path(root.removeprefix("file://")).expanduser().resolve())
        where = Path(home).expanduser().resolve() if home else default_home(root)
        own = where / "defs"
        if own.is_dir():
            dataset_folders = (*dataset_folders, own)
        missing = [str(p) for p in dataset_folders if not p.is_dir()]
        if missing:
            raise UsageError(f"LAKE_DEFS names folders that do not exist: {', '.join(missing)}.")
        return cls(root.rstrip("/"), catalog or f"sqlite:///{where / 'catalog.db'}", where, dataset_folders)

    @property
    def is_s3(self) -> bool:
        """Whether the root is on S3."""
        return self.root.startswith("s3://")

    def zone_url(self, zone: str) -> str:
        """The root of one zone: an absolute folder or an ``s3://`` URL, without a trailing slash."""
        if zone not in ZONES:
            raise UsageError(f'"{zone}" is not a zone; zones are {", ".join(ZONES)}.')
        return self.root.replace("{zone}", zone) if "{zone}" in self.root else f"{self.root}/{zone}"


def bytes_in(text: str) -> int:
    """A size as ``LAKE_MEMORY`` has it, in bytes.

    >>> bytes_in("512MB"), bytes_in("1.5 GB")
    (512000000, 1500000000)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?b?)", text.lower())
    size = int(float(found[1]) * UNITS[found[2].removesuffix("b")]) if found else 0
    if size < LEAST:
        raise UsageError(
            f'LAKE_MEMORY is "{text}"; it must be a size such as 512MB or 2GB, and at least {LEAST // MB}MB.'
        )
    return size


def threads_in(text: str) -> int:
    """A number as ``LAKE_THREADS`` has it."""
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f'LAKE_THREADS is "{text}"; it must be a number from 1.')
    return int(text)


def default_home(root: str) -> Path:
    """A folder lake keeps its own state inside itself; an S3 lake in ``./.lake/<bucket>-<hash>``."""
    if not root.startswith("s3://"):
        return Path(root)
    slug = re.sub(r"[^a-z0-9]+", "-", root.removeprefix("s3://").lower()).strip("-")[:40]
    return Path(".lake").resolve() / f"{slug}-{hashlib.sha256(root.encode()).hexdigest()[:8]}"
