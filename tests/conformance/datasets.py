"""Cases for `test_datasets`: what lands, and when a dataset is run. A case is a function of a `Site`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from csv import writer as writer_of
from datetime import date, datetime
from typing import Any

import ibis
import zstandard
from hours import hours, odd_hours
from lakes import COLUMNS, DAY, NEXT, View, csv, gz, json_lines
from policies import MORE
from sites import Site, parquet
from zoo import COLUMNS as ZOO_COLUMNS
from zoo import DEFAULTS, PENS, Pen

Case = Callable[[Site], None]


def pen(of: Pen) -> Case:
    """A pen of the zoo: every bad file there is."""

    def play(site: Site) -> None:
        attributes = {**DEFAULTS, **of.attributes}
        zoo = site.dataset("zoo", columns=ZOO_COLUMNS, **attributes, **of.contract)
        site.land(zoo, {a.name: a.body for a in of.animals})
        site.run(zoo)
        site.run(zoo)

    return play


RECORDS = (
    {"id": "plain", "amount": "1", "day": DAY},
    {"id": "two\nlines", "amount": "2.5", "day": DAY},
    {"id": 'a "quote", é 名', "amount": "", "day": DAY},
    {"id": "tab\there", "amount": " 7 ", "day": "03/01/2026"},
    {"id": "", "amount": "N/A", "day": "2026-02-30"},
    {"id": "much", "amount": "1001", "day": DAY},
)


def delimited(prefix: str, separator: str) -> bytes:
    """The records as delimited text."""
    out = io.StringIO(newline="")
    writer = writer_of(out, delimiter=separator, lineterminator="\n")
    writer.writerows(
        [list(COLUMNS), *([prefix + r["id"] if r["id"] else "", r["amount"], r["day"]] for r in RECORDS)]
    )
    return out.getvalue().encode()


def formats(site: Site) -> None:
    """Every format with every compression, byte order marks, line ends, encodings, in two partitions."""
    kinds = [{"type": t} for t in ("csv", "tsv", "jsonl", "json", "parquet")]
    latin = {
        "type": "csv",
        "suffixes": [".latin"],
        "encoding": "latin-1",
        "delimiter": ";",
        "nulls": ["", "-"],
    }
    bare = {"type": "csv", "suffixes": [".bare"], "header": False, "quote": "", "delimiter": "|"}
    sales = site.dataset(formats=[*kinds, latin, bare])
    for partition in (DAY, NEXT):
        files = {
            "latin.latin": "id;amount;day\né;1;2026-03-01\nñ;-;-\n".encode("latin-1"),
            "bare.bare": b'b1|1|2026-03-01\n"b2"|x|2026-03-01\n',
            "bom.csv": b"\xef\xbb\xbf" + csv("m1,1,2026-03-01"),
            "bom.jsonl": b"\xef\xbb\xbf" + json_lines({"id": "m2", "amount": 3}),
            "carriage.csv": csv("r1,1,2026-03-01", "r2,x,2026-03-01").replace(b"\n", b"\r"),
            "crlf.jsonl": json_lines({"id": "w1"}, {"id": None}).replace(b"\n", b"\r\n"),
            "odd.jsonl": b'{"id":"n1","amount":NaN}\n{"id":"n2","amount":1,}\n{"id":"n3","id":"n4"}\n{"id":"\\ud800"}\n',
            "long.jsonl": b'{"id":"l1","amount":12.345678901234567890,"x":{"n":12345678901234567890,"e":1e5}}\n',
        }
        for name, squeeze in (("", bytes), (".gz", gz), (".zst", zstandard.compress)):
            lines = [
                {"id": f"{name}-{n}-{r['id']}", "amount": r["amount"] or None, "day": r["day"]}
                for n, r in enumerate(RECORDS)
            ]
            files[f"f.csv{name}"] = squeeze(delimited(f"c{name}", ","))
            files[f"f.tsv{name}"] = squeeze(delimited(f"t{name}", "\t"))
            files[f"f.jsonl{name}"] = squeeze(json_lines(*lines))
            files[f"f.json{name}"] = squeeze(
                json.dumps([{"more": [1, {"x": n}], **r} for n, r in enumerate(lines)], indent=1).encode()
            )
        typed = [{"id": f"p{n}", "amount": float(n * 500), "day": date(2026, 3, 1)} for n in range(5)]
        files["f.parquet"] = parquet(typed)
        site.land(sales, files, partition)
    site.run(sales, DAY, NEXT)


def big_files(site: Site) -> None:
    """Files that are read in several parts: records and lines are counted across them."""
    sales = site.dataset(
        columns={**COLUMNS, "note": {"logicalType": "string"}}, formats=[{"type": "csv"}, {"type": "jsonl"}]
    )
    note = "x" * 2_000
    rows = [f'{n},{n % 900},2026-03-01,"{note}{chr(10) * (n % 3)}"' for n in range(17_000)]
    rows[3], rows[16_990] = f"3,bad,2026-03-01,{note}", f"16990,,2026-02-31,{note}"
    lines = [{"id": str(n), "amount": n % 900, "note": note} for n in range(17_000)]
    lines[16_500] = {"id": None, "amount": 5000, "note": note}
    files = {"a.csv.gz": gz(csv(*rows, header="id,amount,day,note")), "b.jsonl.gz": gz(json_lines(*lines))}
    site.land(sales, files)
    site.run(sales)
    if not site.seen[-1]:  # only what lands was asked for
        return
    rejects = View(site.lake, sales).rejects("a.csv.gz")
    text = csv(*rows).decode().split("\n")
    assert [r["raw"].partition(",")[0] for r in rejects] == ["3", "16990"], "each shows its own text"
    assert [text[r["line"] - 1].partition(",")[0] for r in rejects] == ["3", "16990"], "and its own line"


DRIFTED = {
    "1-more.csv": csv("a1,1,2026-03-01,x,9", "a2,y,2026-03-01,z,8", header="id,amount,day,new,other"),
    "2-less.csv": csv("b1,2026-03-01", header="id,day"),
    "3-order.csv": csv("2026-03-01,3,c1", "2026-03-01, 4 ,c2", header="day,amount,id"),
    "4-none.csv": csv("5,2026-03-01", header="amount,day"),
    "5-more.jsonl": json_lines({"id": "e1", "new": {"deep": [1, "two"]}}, {"id": "e2", "amount": "1e2"}),
    "6-type.parquet": parquet([{"id": "f1", "amount": "12", "day": "2026-03-01", "new": "n"}]),
    "7-type.parquet": parquet([{"id": 7, "amount": 12, "day": datetime(2026, 3, 1, 5), "new": 2}]),
}


def drift(additive: str, types: str) -> Case:
    """Files whose columns are more, fewer, in another order, or of other types."""

    def play(site: Site) -> None:
        kinds = [{"type": t} for t in ("csv", "jsonl", "parquet")]
        sales = site.dataset(formats=kinds, drift={"additive": additive, "types": types})
        site.land(sales, DRIFTED)
        site.run(sales)

    return play


BUYER = [
    {"name": "name", "logicalType": "string", "required": True},
    {"name": "age", "logicalType": "integer"},
]
ITEM = [{"name": "sku", "logicalType": "string"}, {"name": "pieces", "logicalType": "integer"}]
NESTED: dict[str, Any] = {
    "id": COLUMNS["id"],
    "buyer": {"logicalType": "object", "properties": BUYER},
    "items": {"logicalType": "array", "items": {"logicalType": "object", "properties": ITEM}},
}


def nested(site: Site) -> None:
    """Objects and lists, in JSON and in Parquet, with fields that are missing, more, or wrong."""
    sales = site.dataset(columns=NESTED, formats=[{"type": t} for t in ("jsonl", "json", "parquet")])
    ann = {
        "buyer": {"name": "Ann", "age": 30},
        "items": [{"sku": "x", "pieces": 2}, {"sku": None, "pieces": None}],
    }
    bad = {"buyer": {"name": None, "age": 30}, "items": []}
    wrong = {"buyer": {"name": "Cy", "age": "old"}, "items": [{"sku": "x", "pieces": 2.5}]}
    extra = {"buyer": {"name": "Bo", "vip": True}, "items": None}
    files = {
        "a.jsonl": json_lines(
            {"id": "l1", **ann}, {"id": "l2", **bad}, {"id": "l3", **wrong}, {"id": "l4", "buyer": 5}
        ),
        "b.json": json.dumps([{"id": "p", **ann}, {"id": "q", **wrong}]).encode(),
        "c.parquet": parquet([{"id": "q1", **ann}, {"id": "q2", **bad}]),
        "d.jsonl": json_lines({"id": "e1", **extra}),
    }
    site.land(sales, files)
    site.run(sales)


STEPS: list[dict[str, Any]] = [
    {"rename": {"tag": "label"}},
    {"trim": ["note"]},
    {"upper": ["code"]},
    {"lower": ["tag"]},
    {"default": {"note": "none"}},
    {"derive": {"size": "CASE WHEN amount > 10 THEN 'big' ELSE concat(code, '-', cast(amount AS int)) END"}},
    {
        "derive": {
            "month": "date_trunc('month', day)",
            "share": "round(amount / 3, 2)",
            "amount": "amount * 2",
        }
    },
    {"filter": "amount >= 0 AND id NOT LIKE 'gone%'"},
    {"filter": "id <> 'other'"},
]


def declared_steps(site: Site) -> None:
    """Every declared step, in two partitions."""
    text = {"logicalType": "string"}
    more = {
        "code": text,
        "tag": text,
        "note": text,
        "size": text,
        "month": {"logicalType": "date"},
        "share": {"logicalType": "number"},
    }
    columns = {"id": COLUMNS["id"], "amount": {"logicalType": "number"}, "day": COLUMNS["day"], **more}
    sales = site.dataset(columns=columns, transform=[*STEPS, {"select": list(columns)}])
    header = "id,amount,day,code,label,note"
    rows = (
        "a,20,2026-03-01,x,TAG ΟΔΟΣ,\t hi ",
        "b,5,2026-03-05,ß,É,",
        "neg,-1,,x,,",
        "null,,,x,,",
        "gone1,1,,x,,",
        "other,1,,x,,",
        "bad,z,,x,,",
    )
    site.land(sales, {"a.csv": csv(*rows, header=header)})
    site.land(sales, {"b.csv": csv("c,0.1,2026-03-31,y,t,n", header=header)}, NEXT)
    site.run(sales, DAY, NEXT)


def by_code(table: ibis.Table) -> ibis.Table:
    """A transform in Python: see `python_function`."""
    kept = table.filter(table["amount"].notnull() & (table["amount"] > 1))
    return kept.mutate(size=kept["id"].upper() + kept["day"].strftime("%d"), amount=kept["amount"] + 1)


def exploded(table: ibis.Table) -> ibis.Table:
    """A transform that breaks the law."""
    return table.union(table)


def python_function(site: Site) -> None:
    """A transform in Python, which drops rows; and one that makes rows, and fails."""
    columns = {**COLUMNS, "size": {"logicalType": "string"}}
    for name in ("by_code", "exploded"):
        sales = site.dataset(
            name, columns=columns, transform={"python": f"datasets:{name}", "derives": ["size"]}
        )
        site.land(
            sales, {"a.csv": csv("a,1,2026-03-01", "b,2,2026-03-01", "c,,2026-03-01", "d,x,2026-03-01")}
        )
        site.run(sales)


def failing_expression(site: Site) -> None:
    """Expressions of a column that is not there, that some rows make NULL, and that divide by nothing."""
    columns = {**COLUMNS, "size": {"logicalType": "number"}}
    for name, text in (("broken", "no_such + 1"), ("cast", "cast(id AS int)"), ("zero", "amount / 0")):
        sales = site.dataset(name, columns=columns, transform=[{"derive": {"size": text}}])
        site.land(sales, {"a.csv": csv("a,1,2026-03-01", "2,0,2026-03-01")})
        site.run(sales)


def deduplication(losers: str, keep: str) -> Case:
    """Keys that several rows have: by order, by landing, and with ties and NULLs."""

    def play(site: Site) -> None:
        columns = {**COLUMNS, "shop": {"logicalType": "string"}}
        rule = {"key": ["id", "shop"], "order_by": ["amount"], "keep": keep, "losers": losers}
        steps = [{"upper": ["shop"]}] if keep == "last" else []  # a table of SQL's own, which is read twice
        sales = site.dataset(columns=columns, deduplicate=rule, transform=steps)
        header = "id,amount,day,shop"
        first = csv(
            "a,1,2026-03-01,s",
            "a,3,2026-03-01,s",
            "b,1,,s",
            "b,1,,s",
            "c,1,,",
            "c,1,,",
            "d,,,s",
            "d,1,,s",
            header=header,
        )
        site.land(
            sales, {"a.csv": first, "b.csv": csv("a,3,2026-03-02,s", "e,1,,s", "b,x,,s", header=header)}
        )
        site.land(sales, {"a.csv": csv("a,9,,s", "e,1,,s", header=header)}, NEXT)
        site.run(sales, DAY, NEXT)
        site.land(sales, {"c.csv": csv("a,3,2026-03-03,s", "f,1,,s", header=header)})
        site.run(sales)

    return play


RULES = """RowCount between 1 and 100, IsComplete "id", Completeness "amount" >= 0.5, Uniqueness "id" > 0.5,
 ColumnValues "amount" between -1 and 1001, ColumnValues "id" matches "[a-z0-9]+", Mean "amount" > 1, Sum "amount" > 1,
 StandardDeviation "amount" < 1000, Entropy "id" > 0, DistinctValuesCount "id" > 1, UniqueValueRatio "id" > 0.1,
 ColumnLength "id" <= 4, ColumnExists "day", ColumnCount = 3, ColumnCorrelation "amount" "amount" > 0.9,
 CustomSql "select count(*) from primary where amount < 0" = 0, ColumnDataType "amount" = "DOUBLE",
 ColumnValues "day" <= "2030-01-01", (RowCount > 0) AND (IsUnique "id")"""


def rules(site: Site) -> None:
    """Rules of every family, their metrics in the report, with warnings that fail."""
    sales = site.dataset(rules=RULES, warnings='RowCount > 100, ColumnValues "amount" > 500, IsUnique "day"')
    site.land(
        sales,
        {"a.csv": csv(*(f"a{n},{n * 3.7 % 999:.2f},2026-03-0{n % 9 + 1}" for n in range(40)), "b,,", "c,z,")},
    )
    site.land(sales, {"a.csv": csv("n1,1,2026-03-01", "n1,2,2026-03-01", "n3,x,2026-03-01")}, NEXT)
    site.run(sales, DAY, NEXT)
    site.land(sales, {"b.csv": csv("a1,1,2026-03-01", "late,2,2026-03-01", "bad,x,2026-03-01")})
    site.run(sales, DAY, NEXT)


def references(site: Site) -> None:
    """A rule that compares with another dataset: before it is there, then refused, then published."""
    text = {"logicalType": "string"}
    shops = site.dataset("shops", columns={"shop": text}, partitions={"by": "none"})
    sales = site.dataset(
        columns={**COLUMNS, "shop": text}, rules='ReferentialIntegrity "shop" "shops.shop" = 1.0'
    )
    site.land(
        sales,
        {
            "a.csv": csv(
                "a1,1,2026-03-01,s1", "a2,x,2026-03-01,s2", "a3,1,2026-03-01,s3", header="id,amount,day,shop"
            )
        },
    )
    site.run(sales)
    for number, names in enumerate((("s1",), ("s3", "s4"))):
        site.land(shops, {f"{number}.csv": csv(*names, header="shop")}, "all")
        site.run(shops, "all")
        site.run(sales)


def changes(policy: str) -> Case:
    """Files that are overwritten, deleted, and late."""

    def play(site: Site) -> None:
        sales = site.dataset(overwritten_keys=policy, rules="RowCount > 0")
        site.land(
            sales, {"a.csv": csv("a1,1,2026-03-01", "a2,x,2026-03-01"), "b.csv": csv("b1,1,2026-03-01")}
        )
        site.run(sales)
        site.land(
            sales,
            {
                "a.csv": csv("a3,1,2026-03-01", "a4,y,2026-03-01"),
                "c.csv": csv("c1,z,2026-03-01", "c2,5,2026-03-01"),
            },
        )
        site.lake.zone("raw").delete([sales.template.fill(DAY, "b.csv")])
        site.run(sales)

    return play


CASES: dict[str, Case] = {
    **{f"zoo-{name}": pen(of) for name, of in PENS.items()},
    "formats": formats,
    "big-files": big_files,
    **{f"drift-{a}-{t}": drift(a, t) for a in ("keep", "ignore", "refuse") for t in ("coerce", "strict")},
    "nested": nested,
    "declared-steps": declared_steps,
    "python-function": python_function,
    "failing-expression": failing_expression,
    **{
        f"deduplicate-{how}-{keep}": deduplication(how, keep)
        for how in ("drop", "quarantine")
        for keep in ("last", "first")
    },
    "rules": rules,
    "references": references,
    **{f"changes-{policy}": changes(policy) for policy in ("reprocess", "ignore", "quarantine")},
    "hours": hours,
    **MORE,
    "odd-hours": odd_hours,
}
