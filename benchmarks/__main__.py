"""`make bench`, or `python -m benchmarks [CASE...] [--tiny]`: measure, and write the table of docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, FULL, TINY, Case, Scale
from benchmarks.contenders import Contender
from benchmarks.environments import ROOT, WORK
from benchmarks.measure import BenchmarkError, Measurement
from benchmarks.table import machine, write_table


def main() -> int:
    """Exit code 0 when everything could be measured; whether a limit holds is the table's business."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--tiny", action="store_true", help="see that everything runs; writes no table")
    asked = parser.parse_args()
    if unknown := set(asked.cases) - CASES.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; cases are {', '.join(CASES)}")
    WORK.mkdir(parents=True, exist_ok=True)
    file = WORK / ("tiny.json" if asked.tiny else "results.json")
    failed = False
    for name in asked.cases or CASES:
        numbers, errors = run_case(CASES[name], TINY if asked.tiny else FULL)
        failed = failed or bool(errors)
        if numbers:
            save(file, name, numbers)
    if not asked.tiny and file.exists():
        write_table(json.loads(file.read_text(encoding="utf-8")), ROOT / "docs" / "benchmarks.md")
    print(f"numbers: {file.relative_to(ROOT)}")
    return 1 if failed else 0


def run_case(case: Case, scale: Scale) -> tuple[dict[str, Any], list[str]]:
    """Measure the contenders in turn, several times over; the numbers of each, and what failed."""
    print(f"== {case.title}" + (" (tiny)" if scale is TINY else ""), flush=True)
    taken: dict[str, list[Measurement]] = {}
    errors: list[str] = []
    with ExitStack() as stack:
        contenders = case.contenders(scale, stack)
        broken: set[str] = set()
        for _ in range(scale.repeats if case.repeat else 1):
            for name, contender in contenders.items():
                if name not in broken and not attempt(name, contender, taken, errors):
                    broken.add(name)
    return {name: best(measurements) for name, measurements in taken.items()}, errors


def attempt(name: str, contender: Contender, taken: dict[str, list[Measurement]], errors: list[str]) -> bool:
    """Measure once; one that fails is said and left out."""
    try:
        measured = contender()
    except BenchmarkError as e:
        errors.append(f"{name}: {e}")
        print(f"   {name}: FAILED\n{e}", flush=True)
        return False
    taken.setdefault(name, []).append(measured)
    print(f"   {name}: {measured.seconds:.1f} s, {measured.peak_mb:,.0f} MB", flush=True)
    return True


def best(measurements: list[Measurement]) -> dict[str, Any]:
    """The quickest of several runs, with the most memory that any of them took."""
    quickest = min(measurements, key=lambda m: m.seconds)
    memory = round(max(m.peak_mb for m in measurements), 1)
    return {**quickest.as_json(), "peak_mb": memory, "runs": len(measurements)}


def save(file: Path, case: str, numbers: dict[str, Any]) -> None:
    """Put one case's numbers into the results; the others stay."""
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"cases": {}}
    results["machine"] = machine()
    results["cases"][case] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "numbers": numbers}
    file.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
