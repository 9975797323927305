"""The language knows no framework and no engine: importing it loads none of them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import lake_pipeline.dqdl

FOREIGN = {"dagster", "boto3", "pandera", "duckdb", "pandas", "polars", "pyspark"}


def test_nothing_foreign_is_imported_in_the_source() -> None:
    folder = Path(lake_pipeline.dqdl.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not FOREIGN & {name.split(".")[0] for name in names}, path


def test_nothing_foreign_is_loaded_by_importing() -> None:
    code = f"import sys, lake_pipeline.dqdl; assert not {FOREIGN} & set(sys.modules)"
    root = Path(lake_pipeline.dqdl.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
