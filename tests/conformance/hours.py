"""Cases for `test_datasets` about hourly partitions where clocks change."""

from __future__ import annotations

from lakes import COLUMNS, View, csv
from sites import Site


def hours(site: Site) -> None:
    """Hourly partitions of another time zone, through a change of its clocks; rows that lie elsewhere."""
    columns = {
        "id": COLUMNS["id"],
        "at": {"logicalType": "timestamp", "logicalTypeOptions": {"defaultTimezone": "America/New_York"}},
    }
    by = {"by": "hourly", "start": "2026-03-01", "column": "at", "timezone": "America/New_York"}
    sales = site.dataset(columns=columns, partitions=by)
    rows = (
        "a,2026-03-08T01:59:59",
        "b,2026-03-08T02:30:00",
        "c,2026-03-08T03:00:00",
        "d,2026-03-08T07:00:00Z",
        "e,2026-03-08T06:30:00+00:00",
    )
    keys = ("2026-03-08-01:00", "2026-03-08-03:00")
    for key in keys:
        site.land(
            sales,
            {"a.csv": csv(*rows, header="id,at"), "b.csv": csv("z,2020-01-01T00:00:00", header="id,at")},
            key,
        )
    site.run(sales, *keys)


def odd_hours(site: Site) -> None:
    """Hours that clocks show twice, and hours of which they leave out a half: each is one partition."""
    changes: dict[str, dict[str, tuple[str, ...]]] = {
        "Europe/Berlin": {
            "2026-10-25-02:00": ("2026-10-25T00:00:00Z", "2026-10-25T01:59:59Z"),
            "2026-10-25-03:00": ("2026-10-25T02:00:00Z",),
        },
        "Australia/Lord_Howe": {
            "2026-04-05-01:00": ("2026-04-04T14:00:00Z", "2026-04-04T15:29:59Z"),
            "2026-10-04-02:00": ("2026-10-03T15:30:00Z", "2026-10-03T15:59:59Z"),
        },
    }
    columns = {"id": COLUMNS["id"], "at": {"logicalType": "timestamp"}}
    for n, (zone, hours) in enumerate(changes.items()):
        by = {"by": "hourly", "start": "2026-03-01", "column": "at", "timezone": zone}
        sales = site.dataset(f"sales{n}", columns=columns, partitions=by)
        times = [t for found in hours.values() for t in found]
        for key in hours:
            rows = [f"{t},{t}" for t in times]
            site.land(sales, {"a.csv": csv(*rows, header="id,at")}, key)
        site.run(sales, *hours)
        if not site.seen[-1]:  # only what lands was asked for
            continue
        curated = View(site.lake, sales).curated
        assert {k: tuple(r["id"] for r in curated if r["_partition"] == k) for k in hours} == hours
