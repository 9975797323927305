"""Cases for `test_datasets`: what lands, and when a dataset is run. A case is a function of a `Site`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakes import DAY, check_law, make_dataset, put, run
from remains import remains
from zoo import COLUMNS, DEFAULTS, PENS, Pen

from lake_pipeline.datasets import Dataset
from lake_pipeline.flow.context import EMBEDDED, Engines
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake


@dataclass
class Site:
    """A lake of its own, in which a case plays on one engine. seen: what remained after each run."""

    root: Path
    engine: str
    engines: Engines = EMBEDDED
    seen: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.defs = self.root / "defs"
        self.defs.mkdir()
        self.lake = Lake(Settings.at(str(self.root / "lake"), dataset_folders=(self.defs,)))

    def dataset(self, name: str = "sales", **more: Any) -> Dataset:
        """A dataset of this engine."""
        return make_dataset(self.defs, name, engine=self.engine, **more)

    def land(self, dataset: Dataset, files: Mapping[str, bytes], partition: str = DAY) -> None:
        """Land files, in the order of their names: the order in which they land is part of the meaning."""
        for name in sorted(files):
            put(self.lake, dataset, name, files[name], partition)

    def run(self, dataset: Dataset, *partitions: str, **more: Any) -> None:
        """Run all stages, look at what remains, and check that no row is lost."""
        result = run(self.lake, dataset, *partitions, engines=self.engines, **more)
        self.seen.append(remains(self.lake, dataset, result))
        check_law(self.lake, dataset)


def pen(of: Pen) -> Callable[[Site], None]:
    """A pen of the zoo: every bad file there is."""

    def play(site: Site) -> None:
        attributes = {**DEFAULTS, **of.attributes}
        zoo = site.dataset("zoo", columns=COLUMNS, **attributes, **of.contract)
        site.land(zoo, {a.name: a.body for a in of.animals})
        site.run(zoo)
        site.run(zoo)

    return play


CASES: dict[str, Callable[[Site], None]] = {f"zoo-{name}": pen(of) for name, of in PENS.items()}
