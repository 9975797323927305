"""What `lake dq` can look at: a file, or a table of the lake such as `curated.orders`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lake_pipeline import dqdl
from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.engines.query import TABLE_ZONES, query_table
from lake_pipeline.errors import UsageError, did_you_mean
from lake_pipeline.storage import Lake

TABLE = re.compile(rf"({'|'.join(TABLE_ZONES)})\.\w+")
CHUNK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Target:
    """A file or a table, and what rules see of it. file: where it is a file, else None."""

    name: str
    table: Any
    file: Path | None = None

    @property
    def document(self) -> dict[str, str]:
        """The target as the JSON of a command names it."""
        return {"file" if self.file else "table": self.name}


def target_of(lake: Lake, engine: DuckDB, backend: Any, name: str) -> Target:
    """The file or table of that name; raises `UsageError` where there is neither."""
    path = Path(name)
    if path.is_file():
        return Target(name, engine.any_file(backend, path), path)
    if not TABLE.fullmatch(name):
        hint = ""
        if path.parent.is_dir():
            hint = did_you_mean(path.name, [p.name for p in path.parent.iterdir() if p.is_file()])
        raise UsageError(f"There is no file {name}.{hint} A table of the lake is written as curated.orders.")
    table = query_table(lake, engine, backend, name)
    if name.startswith("quarantine."):
        return Target(name, table)
    return Target(name, table.drop(*(column for column in table.columns if column.startswith("_"))))


def sources_of(lake: Lake, engine: DuckDB, backend: Any, given: Sequence[str]) -> dict[str, Any]:
    """The further tables, each given as NAME=FILE or NAME=TABLE."""
    found: dict[str, Any] = {}
    for text in given:
        name, equals, place = text.partition("=")
        if not equals or not name or not place:
            raise UsageError(
                f'--sources "{text}" is not of the form NAME=FILE, such as customers=customers.csv.'
            )
        if name in found:
            raise UsageError(f'--sources names "{name}" twice.')
        found[name] = target_of(lake, engine, backend, place).table
    return found


def published(
    lake: Lake, engine: DuckDB, backend: Any, rules: Sequence[Any], without: Mapping[str, Any]
) -> dict[str, Any]:
    """The curated tables that rules name, as the gate gives them; those that are given otherwise are not read."""
    text = "\n".join(map(str, rules))
    named = {}
    for table in lake.tables.names():
        zone, _, name = table.partition(".")
        wanted = re.search(rf'(?<![\w.]){re.escape(name)}(?=["\.\s]|$)', text) is not None
        if zone == "curated" and name not in without and wanted:
            named[name] = query_table(lake, engine, backend, table)
    return named


def files_of(target: Target, rules: Sequence[dqdl.Rule]) -> list[dqdl.FileInfo] | None:
    """The target as rules on files see it; its checksums only where a rule is about files."""
    if target.file is None:
        return None
    wanted = any(rule.type.startswith("File") or rule.type == "DetectAnomalies" for rule in rules)
    stat = target.file.stat()
    digests = checksums(target.file) if wanted else {}
    modified = datetime.fromtimestamp(stat.st_mtime, UTC)
    return [dqdl.FileInfo(target.file.absolute().as_uri(), stat.st_size, modified, **digests)]


def checksums(file: Path) -> dict[str, str]:
    """The checksums that rules on files can compare."""
    known = {"sha256": hashlib.sha256(), "sha1": hashlib.sha1(usedforsecurity=False)}
    known["md5"] = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            for digest in known.values():
                digest.update(chunk)
    return {name: digest.hexdigest() for name, digest in known.items()}
