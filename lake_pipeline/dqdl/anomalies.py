"""DetectAnomalies: whether a metric differs from its own history more than it usually does.

Method. The expected value is the median of the history; the usual difference is the median absolute
deviation from it, scaled to a standard deviation (1.4826 · MAD). Both are robust: half of the history may be
anomalous itself. With 21 or more earlier values, the same is done with those of the same phase of a period of
seven (the same weekday, for daily partitions), and the phase is used when its values are on average less than
half as far from their median. The spread is at least 1 % of the expected value, so that a constant history does
not make the least change an anomaly. More than 3.5 spreads away is an anomaly.

Fewer than three earlier values say nothing: the rule passes, and its metrics carry no bounds. More than 91
(13 weeks of days) are not looked at.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

MINIMUM = 3
LONGEST = 91
PERIOD = 7
PERIODS = 3
LIMIT = 3.5
SCALE = 1.4826
FLOOR = 0.01


@dataclass(frozen=True)
class Expectation:
    """What the history lets expect: a value, and how far from it is still usual."""

    value: float
    tolerance: float

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest value that is no anomaly."""
        return self.value - self.tolerance, self.value + self.tolerance

    def allows(self, value: float) -> bool:
        """Whether a value is none of the anomalies."""
        return abs(value - self.value) <= self.tolerance


def expect(history: Sequence[float]) -> Expectation | None:
    """What earlier values (the newest first) let expect; None when they are too few.

    >>> expect([100, 101, 99, 100, 5000]).allows(102)
    True
    >>> expect([100, 101, 99, 100, 5000]).allows(200)
    False
    """
    values = [float(v) for v in history[:LONGEST] if math.isfinite(v)]
    if len(values) < MINIMUM:
        return None
    phase = values[PERIOD - 1 :: PERIOD]
    chosen = values
    if len(values) >= PERIOD * PERIODS and distance(phase) < distance(values) / 2:
        chosen = phase
    middle = statistics.median(chosen)
    floor = FLOOR * abs(middle) or FLOOR
    return Expectation(middle, LIMIT * max(spread(chosen), floor))


def spread(values: Sequence[float]) -> float:
    """The scaled median absolute deviation."""
    middle = statistics.median(values)
    return SCALE * statistics.median(abs(v - middle) for v in values)


def distance(values: Sequence[float]) -> float:
    """The mean distance from the median, which sees the few that the median deviation does not."""
    middle = statistics.median(values)
    return statistics.fmean(abs(v - middle) for v in values)
