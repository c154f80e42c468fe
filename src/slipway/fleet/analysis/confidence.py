"""Confidence sequences: intervals that hold at every look at once, so that a bake may be looked at without end.

All rest on one e-process, Robbins' beta-binomial mixture: the likelihood of the data under a mean drawn from
Beta(1/2, 1/2), over their likelihood under a given mean. If the given mean is the true one, its expectation never
exceeds 1 and, by Ville's inequality, it *ever* reaches 1/alpha with probability at most alpha. That is exact at every
sample size, and holds for all independent values in [0, 1] and not just for 0 and 1, each factor being convex in
the value.

Sources: Robbins (1970), Ann. Math. Stat. 41; Howard, Ramdas, McAuliffe, Sekhon (2021), Ann. Stat. 49(2); of quantiles,
Howard, Ramdas (2022), Bernoulli 28(3); of canaries, Lindon, Sanden, Shirikian (2022), KDD, arXiv:2205.14762.
"""

from collections.abc import Sequence
from math import inf, lgamma, log, pi
from typing import NamedTuple

_HALVINGS = 30
"""Of [0, 1] in the search of a bound: to 1e-9."""


class Interval(NamedTuple):
    lower: float
    upper: float


def log_evidence(total: float, count: float, mean: float) -> float:
    """Logarithm of the e-value against `mean`, in (0, 1), after `count` values in [0, 1] that sum to `total`."""
    return _log_mixture(total, count) - _log_likelihood(total, count, mean)


def _log_mixture(total: float, count: float) -> float:
    """The log-likelihood, averaged over means from Beta(1/2, 1/2)."""
    return lgamma(total + 0.5) + lgamma(count - total + 0.5) - lgamma(count + 1) - log(pi)


def _log_likelihood(total: float, count: float, mean: float) -> float:
    return total * log(mean) + (count - total) * log(1 - mean)


def of_mean(total: float, count: float, alpha: float) -> Interval:
    """Bounds of the mean of values in [0, 1]; of no values, all of [0, 1].

    Args:
        total: Sum of the values; for a share, how many had the property.
        count: How many values.
        alpha: Probability that the mean is outside at any of all looks.
    """
    if count <= 0:
        return Interval(0.0, 1.0)
    total = min(max(total, 0.0), count)
    lower = _crossing(0.0, total / count, total, count, alpha) if total > 0 else 0.0
    upper = _crossing(1.0, total / count, total, count, alpha) if total < count else 1.0
    return Interval(lower, upper)


def _crossing(refuted: float, kept: float, total: float, count: float, alpha: float) -> float:
    """The mean between two where the evidence reaches 1/alpha, on the side of safety."""
    least = _log_mixture(total, count) + log(alpha)
    for _ in range(_HALVINGS):
        middle = (refuted + kept) / 2
        if not 0 < middle < 1:  # nothing is between them in floating point
            break
        if _log_likelihood(total, count, middle) <= least:
            refuted = middle
        else:
            kept = middle
    return refuted


def of_quantile(
    edges: Sequence[float], cumulative: Sequence[float], quantile: float, alpha: float
) -> Interval:
    """Bounds of a quantile, each one of the edges or infinite.

    No share of alpha goes to the number of edges: counts grow with the edges, so any bound that is wrong implies
    that the sequence of the one share below the true quantile is.

    Args:
        edges: Ascending.
        cumulative: How many values are at most the edge, for each; the last of them is their number.
        quantile: In (0, 1).
        alpha: Probability that the quantile is outside at any of all looks.
    """
    count = cumulative[-1] if cumulative else 0.0
    lower, upper = -inf, inf
    for edge, below in zip(edges, cumulative, strict=True):
        if count <= 0 or log_evidence(below, count, quantile) < -log(alpha):
            continue
        if below < quantile * count:
            lower = edge
        else:
            upper = min(upper, edge)
    return Interval(lower, upper)


def of_median(values: Sequence[float], alpha: float) -> Interval:
    """Bounds of the median, each one of the values or infinite."""
    ordered = sorted(values)
    count = len(ordered)
    # So few values below the median, or above it, are refuted.
    refuted = sum(log_evidence(few, count, 0.5) >= -log(alpha) for few in range((count + 1) // 2))
    return Interval(ordered[refuted - 1], ordered[-refuted]) if refuted else Interval(-inf, inf)
