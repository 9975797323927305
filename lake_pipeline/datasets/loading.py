"""Find dataset folders and load them: a contract and a `defs.yaml` make a `Dataset`."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from lake_pipeline.contracts import Column, Contract
from lake_pipeline.contracts import load as load_contract
from lake_pipeline.datasets import config as attributes
from lake_pipeline.datasets.config import DatasetConfig, FileSize, Python
from lake_pipeline.datasets.partitioning import NEEDED, Template
from lake_pipeline.datasets.transform_sql import sql_problems
from lake_pipeline.datasets.transforms import landed_names
from lake_pipeline.errors import Terminal, UsageError, did_you_mean

COMPONENT_TYPE = "lake_pipeline.LakeDataset"
SHIPPED = Path(__file__).parent.parent / "defs"


class DatasetError(Terminal):
    """A dataset's folder cannot be understood; the message lists every problem."""


@dataclass(frozen=True)
class Dataset:
    """One dataset: what was agreed on, and how this lake runs it."""

    name: str
    contract: Contract
    config: DatasetConfig
    folder: Path

    @cached_property
    def template(self) -> Template:
        """The landing path template."""
        return Template(self.config.landing, self.config.partitions.by)

    @cached_property
    def landed_columns(self) -> tuple[Column, ...]:
        """What a file must bring: the contract's columns under their landed names, without derived ones."""
        from dataclasses import replace

        names = tuple(c.name for c in self.contract.columns)
        made = self.config.transform.derives if isinstance(self.config.transform, Python) else ()
        landed = landed_names(self.config.steps, tuple(n for n in names if n not in made))
        return tuple(replace(self.contract.column(name), name=old) for name, old in landed.items())

    @cached_property
    def validation_hash(self) -> str:
        """What decides how a landed object is validated: contract, formats, partitioning, policies."""
        config = self.config.model_dump(mode="json", include=VALIDATION_FIELDS)
        if self.config.file_size.max_inflated == FileSize().max_inflated:
            del config["file_size"]["max_inflated"]  # unknown to earlier versions: nothing is validated again
        return digest(self.contract.hash, config, [c.name for c in self.landed_columns])

    @cached_property
    def transform_hash(self) -> str:
        """What decides how validated rows become curated ones: steps or the function's module, deduplication."""
        config = self.config.model_dump(mode="json", include={"transform", "deduplicate"})
        return digest(self.contract.hash, config, self._source)

    @property
    def _source(self) -> str:
        """The source of the modules that a Python transform is in and is named by; empty for declared steps."""
        if self.function is None or not isinstance(self.config.transform, Python):
            return ""
        names = {self.config.transform.python.partition(":")[0], self.function.__module__}
        return "".join(inspect.getsource(import_module(name)) for name in sorted(names))

    @cached_property
    def function(self) -> Any:
        """The Python transform, imported; None for declared steps."""
        if not isinstance(self.config.transform, Python):
            return None
        module, _, name = self.config.transform.python.partition(":")
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError) as e:
            raise DatasetError(
                f"{self.folder / 'defs.yaml'}: transform.python names {module}:{name}, "
                f"which cannot be imported ({e})."
            ) from e


# Every attribute of a defs.yaml, wherever it stands.
ATTRIBUTES = {
    name
    for model in (DatasetConfig, *vars(attributes).values())
    if isinstance(model, type) and issubclass(model, BaseModel)
    for name in model.model_fields
}
VALIDATION_FIELDS = {"formats", "partitions", "landing", "reject_budget", "duplicate_content", "file_size"}


def digest(*parts: Any) -> str:
    """Hex sha256 of JSON values, the project's one way to name things by content."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def load_dataset(folder: Path) -> Dataset:
    """The dataset in a folder; raises `DatasetError` or `ContractError` with every problem."""
    path = folder / "defs.yaml"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise DatasetError(f"{folder} has no defs.yaml.") from e
    except UnicodeDecodeError as e:
        raise DatasetError(f"{path} is not UTF-8 (byte {e.start}); save it as UTF-8.") from e
    except yaml.YAMLError as e:
        raise DatasetError(f"{path} is no YAML: {e}") from e
    if not isinstance(document, dict) or document.get("type") != COMPONENT_TYPE:
        raise DatasetError(f'{path}: expected "type: {COMPONENT_TYPE}".')
    try:
        config = DatasetConfig.model_validate(document.get("attributes") or {})
    except ValidationError as e:
        raise DatasetError(f"{path}:\n{explain(e)}") from e
    return assemble(config, folder)


def contract_of(folder: Path) -> Path:
    """The contract's file of a dataset folder, by its `defs.yaml` where that can be read."""
    try:
        attributes = yaml.safe_load((folder / "defs.yaml").read_text(encoding="utf-8"))["attributes"]
        return folder / str(attributes.get("contract", "contract.yaml"))
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError):
        return folder / "contract.yaml"


def assemble(config: DatasetConfig, folder: Path) -> Dataset:
    """A dataset from its configuration and its folder, with what the two must agree on checked."""
    contract = load_contract(folder / config.contract)
    dataset = Dataset(folder.name, contract, config, folder)
    problems = list(_disagreements(dataset))
    if problems:
        raise DatasetError(f"{folder / 'defs.yaml'}:\n" + "\n".join(f"  {p}" for p in problems))
    return dataset


def _disagreements(dataset: Dataset) -> Iterable[str]:
    config = dataset.config
    names = [c.name for c in dataset.contract.columns]
    landed = [c.name for c in dataset.landed_columns]
    if dataset.contract.name != dataset.name:
        yield f'the folder is called "{dataset.name}", its contract "{dataset.contract.name}"; make them equal.'
    try:
        _ = dataset.template
    except UsageError as e:
        yield str(e)
    folder = config.landing.rpartition("/")[0]
    needed = [f"{{{f}}}" for f in NEEDED[config.partitions.by] if f"{{{f}}}" not in folder]
    if config.producer_manifest == "required" and (needed or "*" in folder):
        what = f"lacks {needed[0]}" if needed else "has a *"
        yield f'producer_manifest: "{folder}/" {what}, so partitions have no folder for a manifest of their own.'
    column = config.partitions.column
    if column and column not in landed:
        yield f'partitions.column: there is no landed column "{column}".{did_you_mean(column, landed)}'
    rule = dataset.config.deduplicate
    for name in (*rule.key, *rule.order_by) if rule else ():
        if name not in names:
            yield f'deduplicate: the contract has no column "{name}".{did_you_mean(name, names)}'
    types = {c.name: c.type.ibis for c in dataset.contract.columns}
    yield from sql_problems(config.steps, [(c.name, c.type.ibis) for c in dataset.landed_columns], types)
    endings = [e for f in dataset.config.formats for e in f.endings]
    for ending in sorted({e for e in endings if endings.count(e) > 1}):
        yield f'formats: two formats claim the suffix "{ending}".'


def explain(error: ValidationError) -> str:
    """Pydantic's findings, one a line, by the path in the YAML."""
    lines = []
    for finding in error.errors():
        place = finding["loc"]
        where, said, hint = ".".join(map(str, place)) or "attributes", finding["msg"], ""
        if place[:1] == ("transform",) and len(place) > 1:  # a choice of two, of which neither fits
            where = "transform"
            if place[-1] in ("Python", "tuple[any, ...]"):
                said = 'is neither a list of steps nor "python: module:function"'
        if finding["type"] == "extra_forbidden":
            said, hint = "there is no such attribute", did_you_mean(str(place[-1]), ATTRIBUTES)
        lines.append(f"  {where}: {said.removeprefix('Value error, ')}.{hint}")
    return "\n".join(dict.fromkeys(lines))


def dataset_folders(further: Iterable[Path] = ()) -> dict[str, Path]:
    """Every dataset's folder by name, sorted: the shipped ones, and those below further folders.

    A dataset in a further folder replaces a shipped one of its name; two further ones are an error.
    """
    shipped = {f.name: f for f in folders_below(SHIPPED)}
    own: dict[str, Path] = {}
    for root in further:
        for folder in folders_below(root):
            if own.setdefault(folder.name, folder) != folder:
                raise DatasetError(
                    f'Two dataset folders are called "{folder.name}": {own[folder.name]}, {folder}.'
                )
    return dict(sorted({**shipped, **own}.items()))


def folders_below(root: Path) -> list[Path]:
    """The folders with a lake dataset's `defs.yaml`, below one folder."""
    return [p.parent for p in sorted(root.glob("**/defs.yaml")) if _is_dataset(p)]


def _is_dataset(path: Path) -> bool:
    return COMPONENT_TYPE.encode() in path.read_bytes()


def load_all(further: Iterable[Path] = ()) -> dict[str, Dataset]:
    """All datasets, by name."""
    return {name: load_dataset(folder) for name, folder in dataset_folders(further).items()}


def pick(name: str, further: Iterable[Path] = ()) -> Dataset:
    """The dataset of that name; raises `UsageError` with the nearest one."""
    folders = dataset_folders(further)
    if name not in folders:
        known = ", ".join(folders)
        hint = did_you_mean(name, folders) or " Folders of your own are named in LAKE_DEFS."
        raise UsageError(f'There is no dataset "{name}"; there are {known}.{hint}')
    return load_dataset(folders[name])
