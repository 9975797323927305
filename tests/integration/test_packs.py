"""Many small texts in one scan: what becomes of each is what becomes of it when it is scanned alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lakes import View, actions, check_law, gz, make_dataset, put, run

from lake_pipeline.engines.duckdb import DuckDB
from lake_pipeline.engines.engine import Place
from lake_pipeline.engines.parts import Part
from lake_pipeline.flow import candidate, packing, quarantine, rejects
from lake_pipeline.flow import scan as scanning
from lake_pipeline.flow.candidates import Candidate, Look, with_columns
from lake_pipeline.flow.context import Work, working
from lake_pipeline.flow.scan import scan
from lake_pipeline.flow.state import Entry, Manifest, ObjectReceipt, object_id
from lake_pipeline.flow.validate import Validated
from lake_pipeline.formats import spool as spooling
from lake_pipeline.formats.packs import Piece
from lake_pipeline.settings import Settings
from lake_pipeline.storage import Lake

COLUMNS = {"a": {"logicalType": "string"}, "b": {"logicalType": "integer"}, "c": {"logicalType": "string"}}
FORMATS = [
    {"type": "csv"},
    {"type": "csv", "suffixes": [".bare"], "header": False},
    {"type": "csv", "suffixes": [".raw"], "quote": "", "delimiter": "|"},
    {"type": "csv", "suffixes": [".odd"], "quote": "'", "delimiter": "1"},
    {"type": "tsv", "nulls": ["NULL", "7"]},
    {"type": "csv", "suffixes": [".old"], "encoding": "latin-1"},
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Work]:
    """One run's work for many examples."""
    root = tmp_path_factory.mktemp("packs")
    dataset = make_dataset(
        root / "defs", "packs", columns=COLUMNS, formats=FORMATS, partitions={"by": "none"}
    )
    with working(Lake(Settings.at(str(root / "lake"))), dataset, "run") as found:
        yield found


ROUNDS = itertools.count()


def landed(work: Work, files: list[tuple[str, bytes]]) -> list[Entry]:
    """Manifest entries of new objects."""
    store, number = work.lake.zone("raw"), next(ROUNDS)
    found = []
    for n, (suffix, body) in enumerate(files):
        key = f"packs/{number}/{n:03}{suffix}"
        store.write(key, body)
        meta = store.head(key)
        found.append(
            Entry(object_id(store.root, meta), key, meta.size, meta.etag, None, meta.modified.isoformat())
        )
    return found


def candidates(work: Work, entries: list[Entry], folder: Path) -> list[Candidate]:
    folder.mkdir()
    place = Place(folder, DuckDB(folder), keep=lambda path: path, packs=True)
    look = Look(work.lake.zone("raw"), work.dataset)
    return with_columns(look([(e, "p") for e in entries], place), work.dataset, {})


def outcome(work: Work, found: list[Candidate]) -> dict[str, Any]:
    """By object: what its receipt is made of, its good rows, and its entries in the quarantine."""
    scanned, origin = scan(work, found), rejects.Origin.of(work)
    seen: dict[str, Any] = {
        id_: [c.records, c.valid, c.refused, c.drift, rejects.malformed_entries(origin, c), [], []]
        for id_, c in scanned.candidates.items()
    }
    for item in scanned.scans:
        for file in item.result.good:
            for row in pq.ParquetFile(file.path).read().to_pylist():
                seen[row["_source"]][5].append(tuple(row.values()))
        if item.result.rejected:
            make = rejects.RowEntries(origin, scanned.candidates)
            paths = item.result.rejected
            for entries in work.engine.rejects(item.part, item.rules, paths, make, quarantine.SCHEMA):
                assert isinstance(entries, list)
                for entry in entries:
                    seen[entry["_source"]][6].append(entry)
    for values in seen.values():
        values[5].sort(key=str)
        values[6].sort(key=lambda e: (e["_record"], e["line"]))
    return seen


def check(work: Work, files: list[tuple[str, bytes]]) -> None:
    """The files together, and each by itself."""
    entries = landed(work, files)
    folder = work.folder / f"spool-{next(ROUNDS)}"
    together = outcome(work, candidates(work, entries, folder))
    for n, entry in enumerate(entries):
        found = candidates(work, [entry], Path(f"{folder}-{n}"))
        assert not any(isinstance(p, Piece) for c in found if c.spooled for p in c.spooled.parts)
        assert outcome(work, found) == {entry.id: together[entry.id]}, files[n]


PIECES = st.sampled_from(
    ["x", "1", "7", " ", ",", ",", "\t", "|", '"', '""', "'", "\n", "\n", "\r\n", "\r", "é", "NULL", "x,1,y\n", "x\t7\ty\n", "x|1|\n",
     'x,1,"y"\n', '"x,\ny",2,3\n', "0,1,2\n", ",,\n", "x,bad,y\n", "x,1\n", "x,1,y,z\n", "\0", "\\", "#", "\ufeff", "🛩️\n"]
)  # fmt: skip
SOUND = st.lists(st.sampled_from(['x,1,"y"\n', "0,1,2\n", ",,\n", "x,bad,y\n", "é,3,\n"]), max_size=6)
HEADS = st.sampled_from(
    ["a,b,c\n"] * 6 + ["b,a,c\n", '"a","b","c"\n', "a,b,c", "a,b,c\r\n", "a\tb\tc\n", "a|b|c\n", "\n\na,b,c\n", 'a,b,"c\nd"\n', "\ufeffa,b,c\n", "a,b,c,d\n", "a\n", ""]
)  # fmt: skip
BODIES = (
    SOUND.map("".join) | SOUND.map("".join).map(lambda t: t[:-1]) | st.lists(PIECES, max_size=8).map("".join)
)
SUFFIXES = st.sampled_from([".csv"] * 8 + [".bare", ".bare", ".raw", ".odd", ".tsv", ".old"])
FILES = st.tuples(SUFFIXES, HEADS, BODIES).map(
    lambda f: (f[0], ((f[1] if f[0] != ".bare" else "") + f[2]).encode())
)


@given(st.lists(FILES, min_size=2, max_size=7))
@settings(max_examples=40, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@example([(".csv", b'a,b,c\nx,1,"y\n'), (".csv", b'a,b,c\nz,2,"w"\n'), (".csv", b"a,b,c\nx,3,y\n")])
@example([(".csv", b'a,b,c\nx,1,"y\n'), (".csv", b'a,b,c\nz",2,w\n')])
@example([(".csv", b'a,b,c\nx,1,"y\nz",\n'), (".csv", b"a,b,c\nx,3,y"), (".csv", b"a,b,c\nx,bad,y")])
@example([(".csv", b"a,b,c"), (".csv", b"a,b,c\n")])
@example([(".csv", b"a\n\nx\n"), (".csv", b"a\nx\n\ny\n"), (".csv", b"a\nx\n")])
@example([(".csv", b"a,b,c\nx,1,y\n\n"), (".csv", b"a,b,c\n\nx,1,y\n"), (".csv", b"a,b,c\n \nx,1,y\n")])
@example([(".bare", b'x,1,"y"\n'), (".bare", b'"x\n",1,"y"\n'), (".bare", b"x,1,y"), (".bare", b"\nx,1,y")])
@example([(".csv", b'a,b,c\n"x" ,1,y\n'), (".csv", b'a,b,c\nx,"1",y\n'), (".csv", b"a,b,c\nx,1\0,y\n")])
@example([(".csv", b"a,b,c\r\nx,1,y\r\n"), (".csv", b"a,b,c\nx,1,y\n"), (".csv", b"a,b,c\nx,2,y\n")])
@example([(".odd", b"a1b1c\nx131y\n"), (".odd", b"a1b1c\nx121y\n")])
@example([(".raw", b'a|b|c\n"x|1|"\n'), (".raw", b'a|b|c\n"|"|"\n')])
@example(
    [(".csv", b'a,b,c\nx,1,"y"\nx,2\n' * 3), (".csv", b"a,b,c\nx,1,y\n" * 3), (".csv", b"a,b,c\nq,1,y\n")]
)
def test_files_together_are_what_each_is_alone(work: Work, files: list[tuple[str, bytes]]) -> None:
    check(work, files)


def test_texts_of_several_packs(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "PACK_FILES", 7)
    monkeypatch.setattr("lake_pipeline.formats.packs.PACK_BYTES", 100)
    bodies = [f"a,b,c\nx{n},{n},y\nx,{'bad' if n % 5 else n},z\n".encode() for n in range(40)]
    check(work, [(".csv", body) for body in bodies])


def test_a_text_that_is_small_only_as_it_landed(work: Work) -> None:
    """What counts is the decompressed text; a long line is no reason to doubt a pack."""
    long = b"a,b,c\n" + b"x" * 900_000 + b",1,y\n"
    huge = b"a,b,c\n" + b"x,1,y\n" * 400_000
    entries = landed(work, [(".csv.gz", gz(long)), (".csv.gz", gz(huge)), (".csv", b"a,b,c\nx,1,y\n")])
    found = candidates(work, entries, work.folder / "compressed")
    assert [isinstance(c.file.parts[0], Piece) for c in found] == [True, False, True]
    seen = outcome(work, found)
    assert [seen[e.id][:2] for e in entries] == [[1, 1], [400_000, 400_000], [1, 1]]


MISFITS = {
    17: b"id,amount,day\nx,1,2026-03-01\nbroken\ny,2,2026-03-01\n",
    50: b'id,amount,day\nq1,"1\n",2026-03-01\nq2,2,2026-03-01\n',
    99: b'id,amount,day\nu1,1,"2026-03-01\nu2,2,2026-03-01\n',
    120: b"id,amount,day\n\nb1,1,2026-03-01\n\n",
    150: b"id,amount,day\r\nr1,1,2026-03-01\r\n",
    180: b"id,amount,day\nl1,1,2026-03-01",
    200: b"id,amount,day,more\nm1,1,2026-03-01,5\n",
    210: b"amount,day\n1,2026-03-01\n",
    220: b"id,amount,day\n",
    230: b"",
    240: b"\xff\xfeid,amount,day\n",
}


def bodies() -> Iterator[tuple[str, bytes]]:
    """300 files, most of them alike, some with rows to reject."""
    for n in range(300):
        rows = [f'i{n}-{r},{5000 if (n * 7 + r) % 50 == 0 else r}.5,"2026-03-01"' for r in range(1 + n % 9)]
        yield f"{n:03}.csv", MISFITS.get(n, "\n".join(["id,amount,day", *rows, ""]).encode())


def seen_by_readers(view: View) -> dict[str, Any]:
    """Tables and receipts, with file names for what differs from lake to lake."""
    receipts = view.receipts()
    names = {r.id: r.uri.rpartition("/")[2] for r in receipts}
    moving = ("source_uri", "source_version", "run_id", "first_seen", "last_seen")

    def rows(zone: str) -> list[str]:
        kept = [{k: v for k, v in r.items() if k not in moving} for r in view.rows(zone)]
        return sorted(str(sorted({**r, "_source": names[r["_source"]]}.items())) for r in kept)

    tables = {zone: rows(zone) for zone in ("validated", "curated", "quarantine")}
    told = {names[r.id]: {k: v for k, v in vars(r).items() if k not in ("id", "uri")} for r in receipts}
    return {**tables, "receipts": told}


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_lake_with_packs_is_the_lake_without(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset(tmp_path / "defs")
    lakes: list[Lake] = [
        request.getfixturevalue(f"lake_{kind}"),
        Lake(Settings.at(str(tmp_path / "without"))),
    ]
    for lake in lakes:
        for name, body in bodies():
            put(lake, dataset, name, body)
    packed: list[Part] = []

    def write_pack(part: Part, candidates: Mapping[str, Candidate]) -> None:
        packed.append(part)
        packing.write_pack(part, candidates)

    monkeypatch.setattr(scanning, "write_pack", write_pack)
    assert actions(run(lakes[0], dataset)) == {"2026-03-01": "published"}
    # the first try meets three files that are not lines of records; the second has only those that are
    assert [len(p.files) for p in packed if len(p.files) > 200] == [294, 291]
    packed.clear()
    monkeypatch.setattr(spooling, "SMALL", 0)
    assert actions(run(lakes[1], dataset)) == {"2026-03-01": "published"}
    assert packed == []
    views = [check_law(lake, dataset) for lake in lakes]
    assert seen_by_readers(views[0]) == seen_by_readers(views[1])
    assert views[0].rejects("099.csv")[0]["raw"] == 'u1,1,"2026-03-01'


def test_the_objects_of_a_candidate_are_looked_up_once() -> None:
    """They are asked for with each object: put together each time, ten thousand took 15 seconds."""
    entries = tuple(Entry(n, f"{n}.csv", 1, n, None, "2026-03-01T00:00:00+00:00") for n in ("a", "b", "c"))
    validated = Validated("all", (ObjectReceipt("c", "c.csv"), ObjectReceipt("a", "a.csv")))
    whole = candidate.Candidate("all", Manifest("packs", "all", entries), validated, (), "", None, None)
    assert whole.landing == {"a": 0, "c": 2}
    assert whole.landing is whole.landing
