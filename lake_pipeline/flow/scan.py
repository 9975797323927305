"""Run objects through the engine until every one is settled: scanned, or refused as a file.

A part is scanned optimistically. A file in it whose records cannot be told apart is repaired, one that is
to be refused for its rows is left out, and the part is scanned again: each round settles at least one
file, so this ends; and a partition of sound files is scanned once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from lake_pipeline.datasets.config import Csv, Json, Jsonl, Parquet
from lake_pipeline.engines.engine import Place
from lake_pipeline.engines.parts import Part, PartResult
from lake_pipeline.engines.rows import RowRules
from lake_pipeline.errors import Terminal
from lake_pipeline.flow.candidates import Candidate
from lake_pipeline.flow.context import Work
from lake_pipeline.flow.packing import files_of, gathered, holds, parts_of, taken_apart, write_pack
from lake_pipeline.flow.unforeseen import about, passes
from lake_pipeline.formats import delimited
from lake_pipeline.formats.columnar import parquet_fault
from lake_pipeline.formats.packs import on_disk
from lake_pipeline.reasons import Reason


class LawBroken(Terminal):
    """The pipeline lost or made up rows: a defect of the pipeline, never of the data. Nothing is published."""


@dataclass(frozen=True)
class Scan:
    """One part, by the rules its rows were judged by, and what came out."""

    part: Part
    rules: RowRules
    result: PartResult

    @property
    def sources(self) -> frozenset[str]:
        """The objects in the part."""
        return frozenset(f.source for f in self.part.files)


@dataclass
class Scanned:
    """The settled candidates by id, and the scans that hold the rows of those not refused."""

    candidates: dict[str, Candidate] = field(default_factory=dict)
    scans: list[Scan] = field(default_factory=list)


def scan(work: Work, candidates: Iterable[Candidate]) -> Scanned:
    """Settle every candidate."""
    settled = Scanned()
    waiting: dict[str, Candidate] = {}
    found = {c.entry.id: c for c in candidates}
    careful = {i: "" for i, c in found.items() if not c.refused and c.spooled and c.spooled.careful}
    for id_, candidate in {**found, **mended(work, careful, found)}.items():
        (settled.candidates if candidate.refused else waiting)[id_] = candidate
    while waiting:
        make = gathered if work.engine.gathers else partial(parts_of, folder=work.folder)
        scans = run(work, make(waiting.values()), waiting)
        repaired = broken(work, scans, waiting)
        sound = {id_: c for id_, c in waiting.items() if id_ not in repaired}
        changed = {**condemned(work, scans, sound), **miscounted(work, scans, sound), **repaired}
        again: dict[str, Candidate] = {}
        for sources, members in together(scans):
            if sources.isdisjoint(changed):
                settled.scans.extend(members)
                settled.candidates.update(counted(waiting, sources, members))
                continue
            for id_ in sources:
                candidate = changed.get(id_, waiting[id_])
                (settled.candidates if candidate.refused else again)[id_] = candidate
        waiting = again
    check_lines(work, [c for c in settled.candidates.values() if not c.refused])
    return settled


def run(work: Work, parts: list[Part], candidates: Mapping[str, Candidate]) -> list[Scan]:
    """Scan parts beside one another; a part of several files that fails as a whole is run file by file."""

    def one(part: Part) -> list[Scan]:
        rules = row_rules(work, part, candidates[part.files[0].source])
        if part.pack:
            return packed(part, rules)
        result = judged(work, part, rules, candidates)
        if len(part.files) > 1 and len(result.broken) == len(part.files):
            return [s for f in part.files for s in one(replace(part, files=(f,)))]
        return [Scan(part, rules, result)]

    def packed(part: Part, rules: RowRules) -> list[Scan]:
        assert part.pack is not None
        write_pack(part, candidates)
        result = judged(work, part, rules, candidates)
        part.pack.unlink()
        if holds(part, result, candidates):
            return [Scan(part, rules, result)]
        return [s for p in taken_apart(part, candidates, work.folder) for s in one(p)]

    with ThreadPoolExecutor(work.engine.workers) as pool:
        return [s for found in pool.map(one, parts) for s in found]


def judged(work: Work, part: Part, rules: RowRules, candidates: Mapping[str, Candidate]) -> PartResult:
    """What the engine makes of a part; an error that nobody foresaw names the file that has it."""
    try:
        return work.engine.validate(part, rules)
    except Exception as e:
        if passes(e):
            raise
        members = [candidates[f.source] for f in part.files]
        if part.pack:
            for apart in files_of(members):
                judged(work, apart, rules, candidates)
            raise
        if len(part.files) == 1:
            with about(members[0].entry.key):
                raise
        middle = len(part.files) // 2
        for half in (part.files[:middle], part.files[middle:]):
            judged(work, replace(part, files=half), rules, candidates)
        raise  # none of them has it alone


def row_rules(work: Work, part: Part, candidate: Candidate) -> RowRules:
    """What the rows of a part must satisfy."""
    columns = work.dataset.landed_columns
    names = {c.name for c in columns}
    drift = work.dataset.contract.drift
    aside = {*names, *candidate.kept_whole}
    extra = tuple(n for n in part.columns.names if n not in aside) if drift.additive == "keep" else ()
    return RowRules(
        columns=columns,
        extra=extra,
        coerce=drift.types == "coerce",
        partitions=work.dataset.config.partitions,
        keep_original=candidate.kept_whole,
    )


def together(scans: list[Scan]) -> list[tuple[frozenset[str], list[Scan]]]:
    """Scans that share an object, which stand or fall together: the parts of one big file."""
    groups: list[tuple[set[str], list[Scan]]] = []
    index: dict[str, int] = {}
    for item in scans:
        at = next((index[s] for s in item.sources if s in index), len(groups))
        if at == len(groups):
            groups.append((set(), []))
        groups[at][0].update(item.sources)
        groups[at][1].append(item)
        index.update(dict.fromkeys(item.sources, at))
    return [(frozenset(sources), members) for sources, members in groups]


def broken(work: Work, scans: list[Scan], candidates: Mapping[str, Candidate]) -> dict[str, Candidate]:
    """The files that the engine's reader gave up on: repaired, or refused where there is no repair."""
    return mended(work, {id_: s.result.error for s in scans for id_ in s.result.broken}, candidates)


def miscounted(work: Work, scans: list[Scan], candidates: Mapping[str, Candidate]) -> dict[str, Candidate]:
    """The files with quotes in which the engine found other records than the csv module does.

    DuckDB ends a file whose last quote never closes at that quote, and in a scan of several files says
    nothing of it. Only files with fewer records than lines are read twice.
    """
    rows = totals(scans)
    doubtful = []
    for id_, candidate in candidates.items():
        form = candidate.file.format
        if not isinstance(form, Csv) or not candidate.file.quotes or candidate.repaired:
            continue
        if sum(rows.get(id_, (0, 0))) != candidate.file.lines - form.header:
            doubtful.append(candidate)
    counts = work.engine.near(records_in, doubtful)
    wrong = [
        c.entry.id for c, n in zip(doubtful, counts, strict=True) if sum(rows.get(c.entry.id, (0, 0))) != n
    ]
    return mended(work, dict.fromkeys(wrong, ""), candidates)


def records_in(candidates: list[Candidate], _: Place) -> list[int | None]:
    """How many records delimited texts have; see `Engine.near`."""
    return [delimited.count_records(c.file.parts, c.file.format) for c in candidates]  # type: ignore[arg-type]


def mended(
    work: Work, errors: Mapping[str, str], candidates: Mapping[str, Candidate]
) -> dict[str, Candidate]:
    """The files whose records the engine could not tell apart, ready for another try, or refused."""
    columnar = [candidates[id_] for id_ in errors if isinstance(candidates[id_].file.format, Parquet)]
    faults = {
        c.entry.id: fault
        for c, fault in zip(columnar, work.engine.near(parquet_faults, columnar), strict=True)
    }
    found = {id_: condemn(candidates[id_], faults.get(id_) or error) for id_, error in errors.items()}
    torn = [c for c in found.values() if not c.refused and isinstance(c.file.format, Csv)]
    return {**found, **{c.entry.id: c for c in work.engine.near(repaired, torn)}}


def parquet_faults(candidates: list[Candidate], _: Place) -> list[str]:
    """Why Parquet files cannot be read, in the same words whatever engine failed; see `Engine.near`."""
    return [parquet_fault(on_disk(c.file.parts[0])) for c in candidates]


def condemn(candidate: Candidate, error: str) -> Candidate:
    """A file that the engine cannot read, refused where there is no repair."""
    spooled, form = candidate.file, candidate.file.format
    if isinstance(form, Parquet):
        return candidate.refuse(Reason("BAD_PARQUET", f"The file cannot be read as Parquet: {error}"))
    if isinstance(form, Jsonl | Json) and error:
        reason = Reason("MALFORMED_JSON", f"The file cannot be read as JSON: {error}")
        return candidate.refuse(reason, spooled.lines)
    if candidate.repaired is not None:
        reason = Reason("HEADER_MISMATCH", f"The file cannot be read as {form.type}: {error}")
        return candidate.refuse(reason, len(candidate.repaired.lines) + len(candidate.repaired.malformed))
    return candidate


def repaired(candidates: list[Candidate], place: Place) -> list[Candidate]:
    """Delimited texts, their sound records told from the faulty ones; see `Engine.near`."""
    made = []
    for candidate in candidates:
        form = candidate.file.format
        assert isinstance(form, Csv)
        target = place.folder / f"{candidate.entry.id}.repaired"
        result = delimited.repair(candidate.file.parts, form, len(candidate.schema), target)
        made.append(replace(candidate, repaired=replace(result, path=place.keep(target))))
    return made


def condemned(work: Work, scans: list[Scan], candidates: Mapping[str, Candidate]) -> dict[str, Candidate]:
    """The files that are refused for their rows: all of another partition, or more rejects than allowed."""
    found: dict[str, Candidate] = {}
    strays = elsewhere(work, scans)
    for id_, (good, bad) in totals(scans).items():
        if id_ not in candidates:
            continue
        candidate = candidates[id_]
        bad += malformed(candidate)
        if not good and strays.get(id_) == bad:
            message = f"All {bad} rows belong to other partitions than {candidate.partition}."
            found[id_] = candidate.refuse(Reason("PARTITION_MISMATCH", message), bad)
        elif work.dataset.config.reject_budget.exceeded(bad, good + bad):
            budget = work.dataset.config.reject_budget
            limits = ((budget.rows, " rows"), (budget.percent, " %"))
            allowed = " and ".join(f"{value}{unit}" for value, unit in limits if value is not None)
            message = f"{bad} of {good + bad} rows were rejected; allowed are {allowed}."
            found[id_] = candidate.refuse(Reason("REJECT_BUDGET_EXCEEDED", message), good + bad)
    return found


def elsewhere(work: Work, scans: list[Scan]) -> dict[str, int]:
    """By source: rows of another partition, asked only of scans in which a file has no good row."""
    strays: dict[str, int] = {}
    if not work.dataset.config.partitions.column:
        return strays
    for item in scans:
        if item.result.rejected and any(not good for good, _ in item.result.counts.values()):
            for id_, rows in work.engine.elsewhere(item.part, item.rules, item.result.rejected).items():
                strays[id_] = strays.get(id_, 0) + rows
    return strays


def totals(scans: Iterable[Scan]) -> dict[str, tuple[int, int]]:
    """By source: (good, rejected) rows over all its scans."""
    found: dict[str, tuple[int, int]] = {}
    for item in scans:
        for id_, (good, bad) in item.result.counts.items():
            before = found.get(id_, (0, 0))
            found[id_] = before[0] + good, before[1] + bad
    return found


def malformed(candidate: Candidate) -> int:
    """How many records of a file could not be parsed at all."""
    return len(candidate.repaired.malformed) if candidate.repaired else 0


def counted(
    candidates: Mapping[str, Candidate], sources: frozenset[str], scans: list[Scan]
) -> dict[str, Candidate]:
    """The candidates with the number of records the engine found."""
    rows = totals(scans)
    found = {}
    for id_ in sources:
        good, bad = rows.get(id_, (0, 0))
        found[id_] = replace(candidates[id_], records=good + bad, valid=good)
    return found


def check_lines(work: Work, candidates: list[Candidate]) -> None:
    """The engine must have found as many records as each file has lines, where lines can tell.

    The lines were counted in the bytes, by other code than the engine's parser.
    """
    unlike = [c for c in candidates if not _as_many(c)]
    for candidate, blank in zip(unlike, work.engine.near(blank_lines, unlike), strict=True):
        if candidate.repaired or candidate.records != expected_records(candidate) - blank:
            raise LawBroken(
                f'"{candidate.entry.key}" has {expected_records(candidate)} lines, but {candidate.records} '
                "records were read. This is a defect of lake_pipeline: please report it with the file."
            )


def blank_lines(candidates: list[Candidate], _: Place) -> list[int]:
    """How many lines with nothing in them texts have; see `Engine.near`."""
    return [c.file.blank_lines() for c in candidates]


def expected_records(candidate: Candidate) -> int:
    """The records of a text in which each line is one."""
    spooled, fixed = candidate.file, candidate.repaired
    header = isinstance(spooled.format, Csv) and spooled.format.header
    return len(fixed.lines) if fixed else spooled.lines - header


def _as_many(candidate: Candidate) -> bool:
    spooled, expected = candidate.file, expected_records(candidate)
    quoted = spooled.quotes and candidate.records < expected
    return isinstance(spooled.format, Parquet) or candidate.records == expected or quoted
