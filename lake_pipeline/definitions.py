"""The code location: the datasets below `defs/`, and those of the folders in `LAKE_DEFS`."""

from __future__ import annotations

import warnings
from pathlib import Path

import dagster as dg
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from dagster.components.core.component_tree import ComponentTree

import lake_pipeline.defs
from lake_pipeline.components.alerts import lake_alerts
from lake_pipeline.components.definitions import dataset_definitions
from lake_pipeline.components.sensors import arrival_sensors
from lake_pipeline.components.telling import lake_logger
from lake_pipeline.datasets import load_dataset
from lake_pipeline.datasets.loading import SHIPPED, dataset_folders
from lake_pipeline.resources import resources
from lake_pipeline.settings import Settings


@dg.definitions
def defs() -> dg.Definitions:
    """All definitions, with the resource they share."""
    settings = Settings.from_env()
    folders = dataset_folders(settings.dataset_folders)
    own = {name: folder for name, folder in folders.items() if SHIPPED not in folder.parents}
    with warnings.catch_warnings():
        # Partitioned checks and code references are new in Dagster; the versions are pinned.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)
        further = [dataset_definitions(load_dataset(folder)) for folder in own.values()]
        shared = dg.Definitions(
            resources=resources(),
            executor=dg.in_process_executor,
            loggers={"console": lake_logger},
            sensors=[lake_alerts],
        )
        merged = dg.Definitions.merge(*shipped(replaced=set(own)), *further, shared)
        return dg.Definitions.merge(merged, arrival_sensors(merged.jobs or (), settings))


def shipped(replaced: set[str]) -> list[dg.Definitions]:
    """What `defs/` defines: as a component tree, or without the datasets that others replace.

    The tree is for Dagster's pages and loads every component type that is installed; a run has no use for it.
    """
    if not replaced and not in_a_run():
        tree = ComponentTree.from_module(lake_pipeline.defs, project_root=Path(__file__).parents[1])
        return [tree.build_defs()]
    names = [name for name in dataset_folders() if name not in replaced]
    return [dataset_definitions(load_dataset(SHIPPED / name)) for name in names]


def in_a_run() -> bool:
    """Whether it is the process of a run that loads the definitions, and not one that shows them."""
    return DefinitionsLoadContext.get().load_type == DefinitionsLoadType.RECONSTRUCTION
