"""Further cases for `test_datasets`: every policy, every type of rule, and columns that came later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from lakes import COLUMNS, DAY, NEXT, csv, json_lines
from sites import Site, parquet

Case = Callable[[Site], None]
KINDS = [{"type": t} for t in ("csv", "jsonl", "parquet")]
ITEM = [{"name": "sku", "logicalType": "string"}, {"name": "pieces", "logicalType": "integer"}]
COLUMNS_AND_ITEM: dict[str, Any] = {**COLUMNS, "item": {"logicalType": "object", "properties": ITEM}}
UNLIKE: Mapping[str, bytes] = {
    "1-good.csv": csv("a1,1,2026-03-01,", header="id,amount,day,item"),
    "2-less.csv": csv("b1,2026-03-01", header="id,day"),
    "3-order.csv": csv("2026-03-01,3,c1,", header="day,amount,id,item"),
    "4-more.jsonl": json_lines({"id": "d1", "item": {"sku": "x", "pieces": 1, "colour": "red"}}),
    "5-fewer.jsonl": json_lines({"id": "e1", "amount": 1, "day": DAY, "item": {"sku": "x"}}),
    "6-more.parquet": parquet([{"id": "f1", "amount": 2.0, "item": {"sku": "x", "pieces": 1, "size": 2}}]),
    "7-fewer.parquet": parquet([{"id": "g1", "amount": 2.0, "item": {"sku": "y"}}]),
}


def unlike(**policy: str) -> Case:
    """Files that lack optional columns, have them in another order, or have other fields in an object."""

    def play(site: Site) -> None:
        sales = site.dataset(columns=COLUMNS_AND_ITEM, formats=KINDS, drift=policy)
        site.land(sales, UNLIKE)
        site.run(sales)

    return play


RULES = """ColumnNamesMatchPattern "[a-z_]+", IsPrimaryKey "id", Variance "amount" > 0,
 DataFreshness "day" <= 200000 days, RowCountMatch "refs" > 0, SchemaMatch "refs" >= 0,
 ReferentialIntegrity "id" "refs.id" >= 0.5, DatasetMatch "refs" "id" "amount" >= 0.1,
 AggregateMatch "sum(amount)" "sum(refs.amount)" > 0, DuplicateRowCount = 0, Range "amount" > 0,
 DetectAnomalies "RowCount", FileFreshness > "2020-01-01", FileSize < 1 MB, FileUniqueness = 1.0"""
WRONG = """ColumnNamesMatchPattern "[0-9]+", IsPrimaryKey "day", Variance "amount" < 0,
 DataFreshness "day" <= 1 days, RowCountMatch "refs" > 9, SchemaMatch "refs" > 2,
 ReferentialIntegrity "id" "refs.id" = 1, DatasetMatch "refs" "id" "amount" = 1,
 AggregateMatch "sum(amount)" "sum(refs.amount)" = 5, DuplicateRowCount > 0, Range "amount" < 0,
 FileFreshness < "2020-01-01", FileSize > 1 MB, FileUniqueness < 1.0, FileMatch "no/such.csv" = "aa11" """
ANALYZERS = 'Analyzers = [ AllStatistics "AllColumns", Completeness "amount" ]'


def more_rules(site: Site) -> None:
    """The types of rules that compare with other data, look at files, or look back; each passes, and each fails."""
    refs = site.dataset("refs", partitions={"by": "none"})
    rows = [f"r{n},{n * 2.5},2026-03-01" for n in range(1, 9)]
    site.land(refs, {"r.csv": csv(*rows)}, "all")
    site.run(refs, "all")
    entries = [{"implementation": ANALYZERS}]
    sales = site.dataset(rules=RULES, warnings=WRONG, quality=entries)
    site.land(sales, {"a.csv": csv(*rows[:5], "x,99,2026-03-02", "bad,z,"), "b.csv": csv("y,1,2026-03-03")})
    site.land(sales, {"a.csv": csv(*rows, "z,,2026-03-02")}, NEXT)
    site.run(sales, DAY, NEXT)


ON_FAIL = {"property": "on_fail"}


def on_fail(site: Site) -> None:
    """Rules that refuse, that quarantine the rows which fail them, and that only warn."""
    entries = [
        {"implementation": f"Rules = [ {rules} ]", "customProperties": [{**ON_FAIL, "value": value}]}
        for rules, value in (
            ('ColumnValues "amount" < 10, IsUnique "id"', "quarantine_rows"),
            ("RowCount > 100", "warn"),
            ("RowCount > 1", "refuse"),
        )
    ]
    sales = site.dataset(quality=entries)
    body = csv("a,1,2026-03-01", "b,2,2026-03-01", "c,99,2026-03-01", "d,1,", "d,2,", "x,bad,2026-03-01")
    site.land(sales, {"a.csv": body})
    site.land(sales, {"a.csv": csv("a,1,2026-03-02", "b,20,2026-03-02")}, NEXT)
    site.run(sales, DAY, NEXT)


def missing_file(site: Site) -> None:
    """A producer's manifest that promises what has not landed; then it lands."""
    sales = site.dataset(producer_manifest="required")
    bodies = {"a.csv": csv("a1,1,2026-03-01"), "b.csv": csv("b1,x,2026-03-01", "b2,2,2026-03-01")}
    files = [{"name": n, "sha256": hashlib.sha256(b).hexdigest()} for n, b in bodies.items()]
    site.land(sales, {"a.csv": bodies["a.csv"], "_MANIFEST.json": json.dumps({"files": files}).encode()})
    site.run(sales)
    site.land(sales, {"b.csv": bodies["b.csv"]})
    site.run(sales)


def content_twice(site: Site) -> None:
    """A file with the content of another, where that is allowed."""
    sales = site.dataset(duplicate_content="allow")
    site.land(sales, {n: csv("a1,1,2026-03-01", "a2,x,2026-03-01") for n in ("a.csv", "b.csv")})
    site.run(sales)


def evolution(site: Site) -> None:
    """A contract that gains columns, one of them kept before, and widens one: all is curated again."""
    cost = {"logicalType": "number", "physicalType": "decimal(5,2)"}
    sales = site.dataset(columns={**COLUMNS, "cost": cost})
    site.land(sales, {"a.csv": csv("a1,1,2026-03-01,9", "a2,x,2026-03-01,8", header="id,amount,day,later")})
    site.land(sales, {"a.csv": csv("n1,1,2026-03-02,1.25", header="id,amount,day,cost")}, NEXT)
    site.run(sales, DAY, NEXT)
    text = {"logicalType": "string"}
    more = {"cost": {**cost, "physicalType": "decimal(7,2)"}, "later": text, "size": text}
    grown = site.dataset(columns={**COLUMNS, **more}, version="1.1.0")
    header = "id,amount,day,cost,later,size"
    site.land(grown, {"b.csv": csv("b1,2,2026-03-01,99999.5,z,big", "b2,,,100000,,", header=header)})
    site.run(grown, DAY)
    site.run(grown, DAY, NEXT)


MORE: dict[str, Case] = {
    "unlike-refused": unlike(missing_optional="refuse", reordered="refuse", nested="refuse"),
    "unlike-borne": unlike(missing_optional="fill", reordered="by_name", nested="by_name"),
    "more-rules": more_rules,
    "on-fail": on_fail,
    "missing-file": missing_file,
    "content-twice": content_twice,
    "evolution": evolution,
}
