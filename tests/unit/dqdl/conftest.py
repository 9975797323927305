"""The shared corpus of cases is outside the repository; without it, its module is not collected."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("LAKE_SHARED") or REPOSITORY.parent / "shared")
CASES = SHARED / "dqdl" / "cases.json"

collect_ignore = [] if CASES.exists() else ["test_dqdl_shared_cases.py"]
