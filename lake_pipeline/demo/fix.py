"""The demo's fix: weather's contract with a key that is unique, as a dataset folder of the lake's own."""

from __future__ import annotations

import shutil
from pathlib import Path

from lake_pipeline.contracts import diff
from lake_pipeline.contracts import load as load_contract
from lake_pipeline.datasets.loading import SHIPPED
from lake_pipeline.errors import UsageError
from lake_pipeline.storage import Lake

MARKER = "demo.txt"
FIXED = Path(__file__).parent / "weather_contract_fixed.yaml"


def start_over(lake: Lake) -> None:
    """An empty lake for the demo; one that an earlier demo made is removed, any other is left alone."""
    home = lake.settings.home
    if lake.settings.is_s3:
        if next(lake.zone("ops").list(), None) is not None:
            raise UsageError(f"{lake.settings.root} has a lake in it; name an empty place with LAKE_ROOT.")
    elif home.exists() and any(home.iterdir()):
        if not (home / MARKER).exists():
            raise UsageError(
                f"{home} has a lake in it that is not the demo's; set LAKE_ROOT to another folder."
            )
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    (home / MARKER).write_text(
        "`lake demo` made this lake, and removes it when it starts over.\n", encoding="utf-8"
    )


def install(lake: Lake) -> list[str]:
    """Put the fixed contract into the lake's own dataset folder; returns what it changes."""
    folder = lake.settings.home / "defs" / "weather"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(SHIPPED / "weather" / "defs.yaml", folder / "defs.yaml")
    shutil.copy(FIXED, folder / "contract.yaml")
    old, new = load_contract(SHIPPED / "weather" / "contract.yaml"), load_contract(FIXED)
    changes = [f"{c.kind} {c.column}: {c.detail}".replace(" :", ":") for c in diff(old, new)]
    return [f"{folder / 'contract.yaml'}  version {old.version} → {new.version}", *changes]
