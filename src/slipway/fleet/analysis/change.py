"""What happened between two snapshots of a host, and the sum of such changes over hosts and time."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from slipway.fleet.analysis.measure import Histogram, Moments, NoData, Reading, Snapshot

_CLIENT_LEFT = "499"


class Change(NamedTuple):
    """Requests to `/predict` and what came of them; counts are never negative."""

    requests: float = 0.0
    errors: float = 0.0
    """Of them, answered 5xx."""
    refusals: float = 0.0
    """Of them, answered 4xx, less those whose client had left."""
    decisions: Mapping[str, float] = {}
    """Rows by label."""
    seconds: Histogram = Histogram()
    scores: Moments = Moments()
    positives: Moments = Moments()
    differing: Moments = Moments()
    """A shadow's rows that are decided otherwise; see `Snapshot`."""
    difference: Moments = Moments()
    memory: float | None = None
    """Bytes by which one process grew; None of a process that is not the same, or does not tell."""
    restarts: int = 0


def difference(before: Reading, after: Reading) -> Change | NoData:
    """What happened between two readings of one host.

    A process that is not the same any more, or that counts less than before, has restarted: as in Prometheus'
    `increase`, everything that the new one counts has happened since, and what the old one counted after `before`
    is lost. Nothing is known where a reading failed, or the host serves another release than before.
    """
    if isinstance(before, NoData):
        return before
    if isinstance(after, NoData):
        return after
    if before.record != after.record:
        return NoData(f"serves {after.record.release}, and served {before.record.release}")
    restarted = before.started != after.started or _counts_less(before, after)
    return _since_start(after) if restarted else _between(before, after)


def total(changes: Iterable[Change]) -> Change:
    """The sum of changes; memory is of one process, and has none."""
    result = Change()
    for change in changes:
        result = Change(
            requests=result.requests + change.requests,
            errors=result.errors + change.errors,
            refusals=result.refusals + change.refusals,
            decisions=_combined(result.decisions, change.decisions, 1),
            seconds=_joined(result.seconds, change.seconds),
            scores=_added(result.scores, change.scores),
            positives=_added(result.positives, change.positives),
            differing=_added(result.differing, change.differing),
            difference=_added(result.difference, change.difference),
            restarts=result.restarts + change.restarts,
        )
    return result


def _since_start(after: Snapshot) -> Change:
    return _of(after.statuses, after.decisions, after.seconds, after.scores, after.positives)._replace(
        differing=after.differing, difference=after.difference, restarts=1
    )


def _between(before: Snapshot, after: Snapshot) -> Change:
    grown = None if before.memory is None or after.memory is None else after.memory - before.memory
    return _of(
        _combined(after.statuses, before.statuses, -1),
        _combined(after.decisions, before.decisions, -1),
        _subtracted(after.seconds, before.seconds),
        _less(after.scores, before.scores),
        _less(after.positives, before.positives),
    )._replace(
        differing=_less(after.differing, before.differing),
        difference=_less(after.difference, before.difference),
        memory=grown,
    )


def _of(
    statuses: Mapping[str, float],
    decisions: Mapping[str, float],
    seconds: Histogram,
    scores: Moments,
    positives: Moments,
) -> Change:
    return Change(
        requests=sum(statuses.values()),
        errors=sum(count for status, count in statuses.items() if status.startswith("5")),
        refusals=sum(
            count for status, count in statuses.items() if status.startswith("4") and status != _CLIENT_LEFT
        ),
        decisions=decisions,
        seconds=seconds,
        scores=scores,
        positives=positives,
    )


def _counts_less(before: Snapshot, after: Snapshot) -> bool:
    pairs = [
        *((count, after.statuses.get(status, 0.0)) for status, count in before.statuses.items()),
        *((count, after.decisions.get(label, 0.0)) for label, count in before.decisions.items()),
        *zip(before.scores + before.positives, after.scores + after.positives, strict=True),
    ]
    if before.seconds.edges:
        same = before.seconds.edges == after.seconds.edges
        pairs += zip(_sizes(before.seconds), _sizes(after.seconds), strict=True) if same else [(1.0, 0.0)]
    return any(later < earlier for earlier, later in pairs)


def _sizes(histogram: Histogram) -> list[float]:
    """The buckets one by one."""
    below = (0.0, *histogram.cumulative[:-1])
    return [count - less for count, less in zip(histogram.cumulative, below, strict=True)]


def _combined(some: Mapping[str, float], others: Mapping[str, float], sign: int) -> dict[str, float]:
    names = dict.fromkeys((*some, *others))
    return {name: some.get(name, 0.0) + sign * others.get(name, 0.0) for name in names}


def _added(one: Moments, other: Moments) -> Moments:
    return Moments(one.requests + other.requests, one.total + other.total)


def _less(one: Moments, other: Moments) -> Moments:
    return Moments(one.requests - other.requests, one.total - other.total)


def _subtracted(after: Histogram, before: Histogram) -> Histogram:
    if not before.edges:
        return after
    counts = zip(after.cumulative, before.cumulative, strict=True)
    return Histogram(after.edges, tuple(later - earlier for later, earlier in counts))


def _joined(one: Histogram, other: Histogram) -> Histogram:
    """The sum, at the edges that both have: runtimes of different ages may not have the same."""
    if not one.edges or not other.edges:
        return one if one.edges else other
    first, second = (dict(zip(*histogram, strict=True)) for histogram in (one, other))
    edges = tuple(edge for edge in one.edges if edge in second)
    return Histogram(edges, tuple(first[edge] + second[edge] for edge in edges))
