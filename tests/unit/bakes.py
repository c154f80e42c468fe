"""Snapshots for the tests of a bake's analysis."""

from math import inf
from typing import Any

from slipway.fleet.analysis.measure import Histogram, Moments, Snapshot
from slipway.serving.release import ReleaseRecord

EDGES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, inf)


def record(release: str) -> ReleaseRecord:
    return ReleaseRecord(model="wear", release=release, commit="c" * 40, bundle="b" * 64, runtime="r" * 64)


def snapshot(requests: float = 0.0, **other: Any) -> Snapshot:
    """After so many requests, each answered 200 in 1.5 ms with a score of 0.25 and every fourth positive."""
    sound = Snapshot(
        record=record("v1.0.0"),
        started=1000.0,
        statuses={"200": requests} if requests else {},
        decisions={"worn": requests / 4, "sound": requests * 3 / 4} if requests else {},
        seconds=times(0, requests),
        scores=Moments(requests, requests / 4),
        positives=Moments(requests, requests / 4),
        memory=100e6,
    )
    return sound._replace(**other)


def times(*buckets: float) -> Histogram:
    """So many requests in each bucket of EDGES, and none in the rest; nothing at all is an empty histogram."""
    if not sum(buckets):
        return Histogram()
    counts = [*buckets, *[0.0] * (len(EDGES) - len(buckets))]
    return Histogram(EDGES, tuple(sum(counts[: place + 1]) for place in range(len(EDGES))))
