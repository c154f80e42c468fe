"""One metric of new hosts against old: the effect, its bounds at all looks, and where that stands to the limit.

The bounds of an effect are those of new and of old, each at half of alpha, the worst against the worst.
"""

from collections.abc import Sequence
from enum import StrEnum
from math import inf
from statistics import median
from typing import NamedTuple

from slipway.fleet.analysis import confidence
from slipway.fleet.analysis.confidence import Interval
from slipway.fleet.analysis.measure import Histogram, Moments

_EVERYTHING = Interval(-inf, inf)


class State(StrEnum):
    """Where an effect stands to its limit."""

    ABOVE = "above"
    """Proven to be above."""
    SUSPECT = "suspect"
    """It looks above, without proof."""
    NO_DATA = "no data"
    QUIET = "quiet"
    """Of enough data, it looks within, without proof."""
    BELOW = "below"
    """Proven to be within."""


class Row(NamedTuple):
    """The comparison of one metric."""

    metric: str
    unit: str
    """`share` and `probability` (effect: new - old), `s` (effect: new / old), `B/s`, `a host` (new - old)."""
    new: float | None
    old: float | None
    effect: float | None
    limit: float
    bounds: Interval
    """Of the effect's size: of its absolute value where both directions count."""
    state: State


def share(metric: str, new: Moments, old: Moments, limit: float, alpha: float, minimum: int) -> Row:
    """More of something bad: errors, refusals."""
    effect, bounds = _means(new, old, alpha)
    state = _state(effect, bounds, limit, enough=min(new.requests, old.requests) >= minimum)
    return Row(metric, "share", _mean(new), _mean(old), effect, limit, bounds, state)


def shift(
    metric: str, unit: str, new: Moments, old: Moments, limit: float, alpha: float, minimum: int
) -> Row:
    """Other than it was, in either direction: decisions, scores."""
    effect, (lower, upper) = _means(new, old, alpha)
    size = Interval(max(lower, -upper, 0.0), max(upper, -lower))
    enough = min(new.requests, old.requests) >= minimum
    state = _state(None if effect is None else abs(effect), size, limit, enough=enough)
    return Row(metric, unit, _mean(new), _mean(old), effect, limit, size, state)


def slower(
    metric: str, quantile: float, new: Histogram, old: Histogram, limit: float, alpha: float, minimum: int
) -> Row:
    """A quantile of the time to answer, as a multiple of the old one.

    What is shown is interpolated within a bucket, as Prometheus' `histogram_quantile` does, and may be anywhere in it
    in truth. The bounds are edges: so a ratio is resolved to two buckets at best, one of new and one of old (of the
    service's, 1.26 squared: 1.6), and a proven ratio is up to so much lower than the true one. Times in the first
    bucket count as its edge.
    """
    if not all(side.edges[:-1] and side.cumulative[-1] for side in (new, old)):
        return Row(metric, "s", None, None, None, limit, _EVERYTHING, State.NO_DATA)
    least = max(new.edges[0], old.edges[0])
    fresh, former = (max(least, _interpolated(side, quantile)) for side in (new, old))
    (low, high), (old_low, old_high) = (
        (max(least, bound) for bound in confidence.of_quantile(*side, quantile, alpha / 2))
        for side in (new, old)
    )
    bounds = Interval(low / old_high, high / old_low)
    enough = min(new.cumulative[-1], old.cumulative[-1]) >= minimum
    state = _state(fresh / former, bounds, limit, enough=enough)
    return Row(metric, "s", fresh, former, fresh / former, limit, bounds, state)


def growth(
    metric: str, windows: Sequence[tuple[float, float]], limit: float, alpha: float, minimum: int
) -> Row:
    """Growth in bytes a second in windows of time, (new, old) each: the median, and that of the differences.

    What a process needs once, to warm up or for one large request, is a jump in one window, up or down, and moves the
    median little; a leak is in most windows.
    """
    if not windows:
        return Row(metric, "B/s", None, None, None, limit, _EVERYTHING, State.NO_DATA)
    differences = [new - old for new, old in windows]
    bounds = confidence.of_median(differences, alpha)
    new, old = (median(side) for side in zip(*windows, strict=True))
    state = _state(median(differences), bounds, limit, enough=len(windows) >= minimum)
    return Row(metric, "B/s", new, old, median(differences), limit, bounds, state)


def count(metric: str, new: float | None, old: float | None, limit: float) -> Row:
    """Events a host: what was counted is exact, and has no bounds but itself."""
    if new is None or old is None:
        return Row(metric, "a host", new, old, None, limit, _EVERYTHING, State.NO_DATA)
    bounds = Interval(new - old, new - old)
    state = _state(new - old, bounds, limit, enough=True)
    return Row(metric, "a host", new, old, new - old, limit, bounds, state)


def _state(size: float | None, bounds: Interval, limit: float, *, enough: bool) -> State:
    if size is None:
        return State.NO_DATA
    if size > limit and bounds.lower > limit:
        return State.ABOVE
    if bounds.upper <= limit:
        return State.BELOW
    if not enough:
        return State.NO_DATA
    return State.QUIET if size <= limit else State.SUSPECT


def _mean(side: Moments) -> float | None:
    return side.total / side.requests if side.requests else None


def _means(new: Moments, old: Moments, alpha: float) -> tuple[float | None, Interval]:
    fresh, former = (confidence.of_mean(side.total, side.requests, alpha / 2) for side in (new, old))
    effect = new.total / new.requests - old.total / old.requests if new.requests and old.requests else None
    return effect, Interval(fresh.lower - former.upper, fresh.upper - former.lower)


def _interpolated(histogram: Histogram, quantile: float) -> float:
    rank = quantile * histogram.cumulative[-1]
    edge_before, below_before = 0.0, 0.0
    for edge, below in zip(*histogram, strict=True):
        if below >= rank:
            if edge == inf:
                return edge_before
            return edge_before + (edge - edge_before) * (rank - below_before) / (below - below_before)
        edge_before, below_before = edge, below
    raise AssertionError("the last count of a histogram is of all")
