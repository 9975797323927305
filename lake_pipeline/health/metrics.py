"""Metrics of a lake, computed from what it has recorded: runs, judgements of freshness, ticks, the outbox.

Nothing is counted in memory, so everybody who asks gets the same numbers, also about last week.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from lake_pipeline.datasets import Dataset
from lake_pipeline.health import breaker, freshness, history, outbox, ticks
from lake_pipeline.health.history import RunRecord
from lake_pipeline.storage import Lake

NAMESPACE = "LakePipeline"
MOST_NAMED = 50  # partitions in a line of metrics


@dataclass(frozen=True)
class Day:
    """One day (UTC) of a dataset: runs and partitions that succeeded and failed (or were refused)."""

    runs_succeeded: int = 0
    runs_failed: int = 0
    partitions_published: int = 0
    partitions_failed: int = 0


@dataclass(frozen=True)
class DatasetMetrics:
    """The metrics of one dataset over some days; None where there is nothing to compute them from.

    run_seconds: of one run. quality_failure_rate: the share of judged partitions that their checks refused.
    replays_per_day: replays begun. freshness_lag_seconds: from the landing of a partition's newest file to
    its publication. sla_met and sla_missed: partitions by their due times. events_lost: arrivals that no
    event had told of.
    """

    dataset: str
    days: Mapping[str, Day] = field(default_factory=dict)
    runs_succeeded: int = 0
    runs_failed: int = 0
    partitions_published: int = 0
    partitions_failed: int = 0
    run_seconds_median: float | None = None
    run_seconds_p95: float | None = None
    quality_failure_rate: float | None = None
    replays: int = 0
    replays_per_day: float = 0.0
    freshness_lag_seconds_median: float | None = None
    freshness_lag_seconds_p95: float | None = None
    sla_met: int = 0
    sla_missed: int = 0
    breaker: str = "closed"
    events_lost: int = 0


@dataclass(frozen=True)
class LakeMetrics:
    """The metrics of a lake: of each dataset, and of what belongs to none.

    events_lost: arrivals that no event had told of. queue_lag_seconds: the longest that an event waited.
    alerts_waiting: messages no sink has taken yet, and alerts_lag_seconds how long the oldest waits.
    """

    at: str
    since: str
    datasets: tuple[DatasetMetrics, ...]
    events: int = 0
    events_lost: int = 0
    queue_lag_seconds: float = 0.0
    alerts_waiting: int = 0
    alerts_lag_seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


def metrics(lake: Lake, datasets: Iterable[Dataset], now: datetime, days: int) -> LakeMetrics:
    """The metrics of the last `days` days, today included."""
    last = now.astimezone(UTC).date()
    first = last - timedelta(days=days - 1)
    by_dataset: dict[str, list[RunRecord]] = {}
    for record in history.records(lake, first, last):
        by_dataset.setdefault(record.dataset, []).append(record)
    breakers = breaker.breakers(lake)
    seen = list(ticks.ticks(lake, first, last))
    found = [
        replace(
            dataset_metrics(lake, d, by_dataset.get(d.name, []), first.isoformat(), days, breakers),
            events_lost=sum(t.lost.get(d.name, 0) for t in seen),
        )
        for d in datasets
    ]
    waiting = outbox.waiting(lake)
    oldest = min((datetime.fromisoformat(w.oldest) for w in waiting), default=now)
    return LakeMetrics(
        now.isoformat(),
        first.isoformat(),
        tuple(found),
        sum(t.events for t in seen),
        sum(n for t in seen for n in t.lost.values()),
        max((t.lag_seconds for t in seen), default=0.0),
        sum(w.messages for w in waiting),
        max(0.0, (now - oldest).total_seconds()),
    )


def dataset_metrics(
    lake: Lake,
    dataset: Dataset,
    records: Sequence[RunRecord],
    since: str,
    days: int,
    breakers: Mapping[str, breaker.Breaker],
) -> DatasetMetrics:
    """The metrics of one dataset from its records."""
    by_day: dict[str, list[RunRecord]] = {}
    for record in records:
        by_day.setdefault(record.started[:10], []).append(record)
    shown = {day: of_day(found) for day, found in sorted(by_day.items())}
    whole = of_day(records)
    judged_partitions = [p for r in records for p in r.partitions if p.action in ("published", "refused")]
    refused = sum(p.action == "refused" for p in judged_partitions)
    seconds = [r.seconds for r in records]
    lags = [p.lag_seconds for r in records for p in r.partitions if p.lag_seconds is not None]
    replays = {r.replay_id for r in records if r.replay_id}
    judged = [j for j in freshness.judged(lake, dataset).values() if j.due[:10] >= since]
    return DatasetMetrics(
        dataset.name,
        shown,
        **asdict(whole),
        run_seconds_median=median(seconds) if seconds else None,
        run_seconds_p95=percentile(seconds, 0.95),
        quality_failure_rate=refused / len(judged_partitions) if judged_partitions else None,
        replays=len(replays),
        replays_per_day=len(replays) / days,
        freshness_lag_seconds_median=median(lags) if lags else None,
        freshness_lag_seconds_p95=percentile(lags, 0.95),
        sla_met=sum(j.met for j in judged),
        sla_missed=sum(not j.met for j in judged),
        breaker=breakers.get(dataset.name, breaker.Breaker()).state,
    )


def of_day(records: Iterable[RunRecord]) -> Day:
    """The counts of some runs."""
    found = list(records)
    partitions = [p for r in found for p in r.partitions]
    return Day(
        sum(r.state == "succeeded" for r in found),
        sum(r.state == "failed" for r in found),
        sum(p.action == "published" for p in partitions),
        sum(p.action in ("refused", "failed") for p in partitions),
    )


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that is not below `share` of the values (nearest rank); None of no values.

    >>> percentile([5.0, 1.0, 3.0, 2.0], 0.95), percentile([], 0.95)
    (5.0, None)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def run_lines(record: RunRecord) -> Iterator[str]:
    """A run as CloudWatch embedded metrics: one line of JSON, which becomes metrics where it is logged."""
    lags = [p.lag_seconds for p in record.partitions if p.lag_seconds is not None]
    values: dict[str, tuple[str, float | list[float]]] = {
        "RunSucceeded": ("Count", float(record.state == "succeeded")),
        "RunFailed": ("Count", float(record.state == "failed")),
        "RunDuration": ("Seconds", record.seconds),
        "PartitionsPublished": ("Count", float(sum(p.action == "published" for p in record.partitions))),
        "PartitionsRefused": ("Count", float(sum(p.action == "refused" for p in record.partitions))),
        "PartitionsFailed": ("Count", float(sum(p.action == "failed" for p in record.partitions))),
        "QuarantinedRows": ("Count", float(sum(p.quarantined for p in record.partitions if p.fresh))),
        "Replays": ("Count", float(bool(record.replay_id))),
    }
    if lags:
        values["FreshnessLag"] = ("Seconds", lags[:100])  # the format's limit of values in one metric
    about = {
        "RunId": record.run_id,
        "Partitions": " ".join(p.partition for p in record.partitions[:MOST_NAMED]),
        "Source": record.partitions[0].source if record.partitions else "",
        "ReplayId": record.replay_id,
        "ThresholdProfile": record.threshold_profile,
    }
    yield embedded(record.ended, {"Dataset": record.dataset}, values, about)


def lake_lines(found: LakeMetrics) -> Iterator[str]:
    """The metrics that belong to no run as CloudWatch embedded metrics."""
    values: dict[str, tuple[str, float | list[float]]] = {
        "EventsLost": ("Count", float(found.events_lost)),
        "QueueLag": ("Seconds", found.queue_lag_seconds),
        "AlertsWaiting": ("Count", float(found.alerts_waiting)),
        "AlertsLag": ("Seconds", found.alerts_lag_seconds),
    }
    yield embedded(found.at, {}, values, {})
    for one in found.datasets:
        freshness_values: dict[str, tuple[str, float | list[float]]] = {
            "SlaMissed": ("Count", float(one.sla_missed)),
            "BreakerOpen": ("Count", float(one.breaker != "closed")),
        }
        for name, unit, value in (
            ("QualityFailureRate", "None", one.quality_failure_rate),
            ("RunDurationMedian", "Seconds", one.run_seconds_median),
            ("RunDurationP95", "Seconds", one.run_seconds_p95),
            ("FreshnessLagMedian", "Seconds", one.freshness_lag_seconds_median),
            ("ReplaysPerDay", "Count", one.replays_per_day),
        ):
            if value is not None:
                freshness_values[name] = (unit, value)
        yield embedded(found.at, {"Dataset": one.dataset}, freshness_values, {})


def embedded(
    at: str,
    dimensions: Mapping[str, str],
    values: Mapping[str, tuple[str, float | list[float]]],
    about: Mapping[str, str],
) -> str:
    """One line in CloudWatch's embedded metric format. values: by name, the unit and the value or values.

    Source: docs.aws.amazon.com, "Specification: embedded metric format".
    """
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": unit} for name, (unit, _) in values.items()],
    }
    timestamp = int(datetime.fromisoformat(at).timestamp() * 1000)
    document = {
        "_aws": {"Timestamp": timestamp, "CloudWatchMetrics": [directive]},
        **dimensions,
        **about,
        **{name: value for name, (_, value) in values.items()},
    }
    return json.dumps(document)
