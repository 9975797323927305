"""Events are read as their senders write them, and what is no event says why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from arriving import BUCKET, direct, eventbridge
from lakes import make_dataset

from lake_pipeline.arrivals.events import Event, Unreadable, parse
from lake_pipeline.arrivals.places import Places, Unknown
from lake_pipeline.datasets import Dataset
from lake_pipeline.settings import ZONES

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
NASTY = "sales/2026/03/01/a+b %41 ü&=.csv"


def test_eventbridge_gives_the_key_as_it_is() -> None:
    (event,) = parse(eventbridge(NASTY, sequencer="00AF", etag='"e1"'))
    assert event == Event("created", BUCKET, NASTY, AT, 3, "e1", "00AF")


def test_a_direct_notification_gives_it_encoded() -> None:
    (event,) = parse(direct(NASTY))
    assert event == Event("created", BUCKET, NASTY, AT, 3, "e1", "")


@pytest.mark.parametrize("body", [eventbridge(NASTY), direct(NASTY)])
def test_either_may_come_through_sns(body: str) -> None:
    assert parse(json.dumps({"Type": "Notification", "Message": body})) == parse(body)


@pytest.mark.parametrize(
    "body",
    [
        eventbridge("k", kind="Deleted"),
        direct("k", name="ObjectRemoved:Delete"),
        direct("k", name="ObjectRemoved:DeleteMarkerCreated"),
        direct("k", name="LifecycleExpiration:Delete"),
    ],
)
def test_deletions(body: str) -> None:
    (event,) = parse(body)
    assert (event.kind, event.key, event.size, event.etag[:0]) == ("deleted", "k", 0, "")


@pytest.mark.parametrize(
    "name", ["ObjectCreated:Put", "ObjectCreated:Copy", "s3:ObjectCreated:CompleteMultipartUpload"]
)
def test_creations(name: str) -> None:
    assert parse(direct("k", name=name))[0].kind == "created"


def test_s3_says_once_that_it_will_notify() -> None:
    assert parse('{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}') == ()


def test_a_notification_may_have_several_records() -> None:
    records = [json.loads(direct(k))["Records"][0] for k in ("a", "b")]
    assert [e.key for e in parse(json.dumps({"Records": records}))] == ["a", "b"]


def without(body: str, *path: str) -> str:
    document = json.loads(body)
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return json.dumps(document)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("hello", "no JSON"),
        ("", "no JSON"),
        ("[1]", "a JSON list"),
        ("3", "a JSON int"),
        ("{}", "its fields are none"),
        ('{"hello": 1}', "its fields are hello"),
        (without(eventbridge("k"), "detail", "object", "key"), "lacks what every event"),
        (without(eventbridge("k"), "detail", "object", "etag"), "lacks what every event"),
        (without(eventbridge("k"), "detail", "bucket"), "lacks what every event"),
        (without(eventbridge("k"), "time"), "lacks what every event"),
        ('{"Records": 3}', "lacks what every event"),
        ('{"Records": [{"eventName": "ObjectCreated:Put"}]}', "lacks what every event"),
        (eventbridge("k", kind="Tags Added"), "Object Tags Added"),
        (direct("k", name="ObjectTagging:Put"), "ObjectTagging:Put"),
        ('{"source": "aws.ec2", "detail-type": "Object Created", "detail": {}}', "of aws.ec2"),
        ('{"Type": "Notification", "Message": "hello"}', "no JSON"),
    ],
)
def test_what_is_no_event_says_why(body: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        parse(body)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A lake of two datasets in one bucket."""
    daily = make_dataset(tmp_path / "defs")
    asking = make_dataset(tmp_path / "defs", "asking", producer_manifest="required")
    zones = {z: f"s3://{BUCKET}/prod/{z}" for z in ZONES}
    return Places({d.name: d for d in (daily, asking)}, zones, zones["raw"])


def placed(places: Places, key: str, bucket: str = BUCKET) -> list[tuple[str, str, bool]]:
    (event,) = parse(eventbridge(key, bucket=bucket))
    return [(a.dataset, a.partition, a.marker) for a in places.place(event)]


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("prod/raw/sales/2026/03/01/a.csv", [("sales", "2026-03-01", False)]),
        ("prod/raw/sales/2026/03/01/deep/er.csv", [("sales", "2026-03-01", False)]),
        ("prod/raw/asking/2026/03/01/_MANIFEST.json", [("asking", "2026-03-01", True)]),
        ("prod/raw/sales/2026/03/01/_MANIFEST.json", []),
        ("prod/raw/sales/2026/03/01/_SUCCESS", []),
        ("prod/raw/sales/2026/03/01/", []),
        ("prod/curated/sales/data/x.parquet", []),
        ("prod/ops/arrivals/queue/state/1.json", []),
    ],
)
def test_places(places: Places, key: str, found: list[tuple[str, str, bool]]) -> None:
    assert placed(places, key) == found


@pytest.mark.parametrize(
    ("key", "bucket", "why"),
    [
        ("elsewhere/raw/sales/2026/03/01/a.csv", BUCKET, "in no zone of this lake"),
        ("prod/raw/sales/2026/03/01/a.csv", "other", "in no zone of this lake"),
        ("prod/raw/nobody/2026/03/01/a.csv", BUCKET, "the landing template of no dataset"),
        ("prod/raw/sales/2026/a.csv", BUCKET, "the landing template of no dataset"),
        ("prod/raw/sales/2025/03/01/a.csv", BUCKET, "before the first partition"),
        ("prod/raw/sales/2026/13/01/a.csv", BUCKET, "no daily partition"),
    ],
)
def test_what_is_of_no_dataset_says_why(places: Places, key: str, bucket: str, why: str) -> None:
    with pytest.raises(Unknown, match=why):
        placed(places, key, bucket)


def test_an_event_and_the_listing_name_an_object_alike(places: Places) -> None:
    from lake_pipeline.flow.state import object_id
    from lake_pipeline.storage.objects import ObjectMeta

    (event,) = parse(eventbridge("prod/raw/sales/2026/03/01/a.csv", etag="abc", size=7))
    (arrival,) = places.place(event)
    listed = ObjectMeta("sales/2026/03/01/a.csv", 7, '"abc"', None, AT)
    assert arrival.id == object_id(f"s3://{BUCKET}/prod/raw", listed)


def test_datasets_may_share_a_template(tmp_path: Path) -> None:
    def shared(name: str) -> Dataset:
        return make_dataset(tmp_path / "defs", name, landing="both/{yyyy}/{mm}/{dd}/")

    places = Places({n: shared(n) for n in ("one", "two")}, {z: f"s3://{BUCKET}/{z}" for z in ZONES}, "")
    assert [d for d, _, _ in placed(places, "raw/both/2026/03/01/a.csv")] == ["one", "two"]
