"""Starts the process of a run in a fraction of a second: it is forked from one that has loaded the libraries.

A run of a small file works for half a second. A new Python process loads Dagster, Arrow, DuckDB, Iceberg and
pandera for three, and Dagster's own launcher starts a new one for each run. Here a server is kept that has
loaded them and does nothing else (`multiprocessing`'s forkserver: no threads, no connections), and each run is
a fork of it. Definitions are read by each run anew, so an edited contract counts at once; after an update of
the libraries or of this package, start Dagster again.

For one machine, as `lake dev` is. Where runs have machines or containers of their own, use Dagster's launchers.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher.base import LaunchRunContext, RunLauncher
from dagster._serdes import ConfigurableClass, deserialize_value, serialize_value
from dagster._serdes.config_class import ConfigurableClassData

from lake_pipeline.resources.processes import PROCESS_TAG, is_gone, pid_of, process_name

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

# What every run loads; all that these import comes with them.
LOADED = (
    "dagster._cli.api",
    "dagster._core.executor.in_process",
    "dagster._core.storage.event_log.sqlite",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.root",
    "dagster._core.storage.runs.sqlite",
    "dagster._core.storage.schedules.sqlite",
    "dagster._core.storage.sqlite_storage",
    "ibis.backends.duckdb",
    "ibis.formats.pandas",
    "lake_pipeline.definitions",
    "lake_pipeline.engines.duckdb",
    "lake_pipeline.flow.schema",
    "lake_pipeline.storage.tables",
    "pandera.backends.ibis.register",
    "pyiceberg.catalog.sql",
    "pyiceberg.io.pyarrow",
)


class WarmLauncher(RunLauncher, ConfigurableClass):
    """Runs on this machine, each in a process that is forked from a server which has loaded the libraries."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._inst_data = inst_data

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """What Dagster keeps of the instance's configuration."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> Mapping[str, Any]:
        """Nothing can be configured."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """The launcher of an instance."""
        return cls(inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process, and name it in the run's tags."""
        run_id = context.dagster_run.run_id
        reference = serialize_value(self._instance.get_ref())
        process = forks().Process(target=execute, args=(run_id, reference, dict(os.environ)), name=run_id)
        process.start()
        assert process.pid is not None
        self._instance.add_run_tags(run_id, {PROCESS_TAG: process_name(process.pid)})

    def terminate(self, run_id: str) -> bool:
        """Have the run's process end the run; returns False where it is over, or not on this machine."""
        run = self._instance.get_run_by_id(run_id)
        name = run.tags.get(PROCESS_TAG, "") if run else ""
        pid = pid_of(name)
        if run is None or run.is_finished or pid is None or is_gone(name):
            return False
        self._instance.report_run_canceling(run)
        os.kill(pid, signal.SIGINT)
        return True


def forks() -> ForkServerContext:
    """The server that runs are forked from; it starts with the first one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LOADED))
    return context


def execute(run_id: str, reference: str, env: Mapping[str, str]) -> None:
    """What the run's process does; `env`: the environment of who started it."""
    from dagster import DagsterInstance
    from dagster._cli.api import _execute_run_command_body
    from dagster._utils.interrupts import capture_interrupts

    os.environ.clear()
    os.environ.update(env)
    where = deserialize_value(reference, InstanceRef)
    with capture_interrupts(), DagsterInstance.from_ref(where) as instance:
        _execute_run_command_body(run_id, instance, lambda _: None, set_exit_code_on_failure=False)
