from math import comb, exp, inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import beta, binom

from slipway.fleet.analysis import confidence
from slipway.fleet.analysis.confidence import Interval, log_evidence

ALPHA = 0.05
LOOKS = (*range(1, 20, 2), *range(20, 100, 10), *range(100, 1001, 100))

samples = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
alphas = st.sampled_from([0.2, 0.05, 0.001])


@pytest.mark.parametrize("mean", [0.001, 0.2, 0.5, 0.99])
@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_the_evidence_against_the_truth_is_one_on_average(mean: float, count: int) -> None:
    """Exactly, summed over all outcomes: this is what makes it an e-value."""
    average = sum(
        comb(count, total)
        * mean**total
        * (1 - mean) ** (count - total)
        * exp(log_evidence(total, count, mean))
        for total in range(count + 1)
    )
    assert average == pytest.approx(1)


@given(st.floats(0.01, 0.99), st.integers(1, 30))
def test_the_evidence_against_the_truth_is_at_most_one_on_average_for_any_values(
    mean: float, count: int
) -> None:
    """Three values instead of two: a score and no count."""
    values = (0.0, mean, 1.0)
    weights = ((1 - mean) / 2, 0.5, mean / 2)
    random = np.random.default_rng(count)
    drawn = random.choice(values, (2000, count), p=weights).sum(axis=1)
    found = np.exp([log_evidence(total, count, mean) for total in drawn])
    error = found.std() / 2000**0.5
    assert found.mean() <= 1 + 4 * error


def test_no_data_bound_nothing() -> None:
    assert confidence.of_mean(0, 0, ALPHA) == (0, 1)
    assert confidence.of_quantile((), (), 0.5, ALPHA) == (-inf, inf)
    assert confidence.of_quantile((1.0, inf), (0.0, 0.0), 0.5, ALPHA) == (-inf, inf)
    assert confidence.of_median((), ALPHA) == (-inf, inf)


def test_known_bounds_of_a_mean() -> None:
    """Of 10 in 100, worked out with the mixture as scipy's and not as a formula."""
    prior = beta(0.5, 0.5)

    def evidence(mean: float) -> float:
        mixture = prior.expect(lambda drawn: binom.pmf(10, 100, drawn))
        return float(mixture / binom.pmf(10, 100, mean)) - 1 / ALPHA

    expected = brentq(evidence, 1e-3, 0.1), brentq(evidence, 0.1, 0.9)
    assert confidence.of_mean(10, 100, ALPHA) == pytest.approx(expected, rel=1e-4)


@given(samples, alphas)
def test_the_bounds_hold_the_mean_that_was_seen(sample: tuple[int, int], alpha: float) -> None:
    total, count = sample
    lower, upper = confidence.of_mean(total, count, alpha)
    assert 0 <= lower <= total / count <= upper <= 1
    assert lower < upper


@given(samples, alphas)
def test_to_count_the_others_instead_mirrors_the_bounds(sample: tuple[int, int], alpha: float) -> None:
    total, count = sample
    lower, upper = confidence.of_mean(total, count, alpha)
    assert confidence.of_mean(count - total, count, alpha) == pytest.approx((1 - upper, 1 - lower), abs=1e-8)


@given(samples, alphas)
def test_more_of_it_raises_both_bounds(sample: tuple[int, int], alpha: float) -> None:
    total, count = sample
    fewer = confidence.of_mean(max(total - 1, 0), count, alpha)
    more = confidence.of_mean(total, count, alpha)
    assert fewer.lower <= more.lower + 1e-8
    assert fewer.upper <= more.upper + 1e-8


@given(samples)
def test_more_certainty_is_wider(sample: tuple[int, int]) -> None:
    wide, narrow = (confidence.of_mean(*sample, alpha) for alpha in (0.001, 0.2))
    assert wide.lower <= narrow.lower <= narrow.upper <= wide.upper


def test_rounding_does_not_matter() -> None:
    assert confidence.of_mean(5e-324, 1, ALPHA).lower == 0
    assert confidence.of_mean(1 - 2**-53, 1, ALPHA).upper == 1
    assert confidence.of_mean(100.0000001, 100, ALPHA).upper == 1
    assert confidence.of_mean(-1e-9, 100, ALPHA).lower == 0


@pytest.mark.parametrize("mean", [0.01, 0.3, 0.5])
def test_a_mean_is_ever_outside_no_more_often_than_alpha(mean: float) -> None:
    """Looked at 28 times; bounds for one look would be outside in far more runs than that."""
    alpha, runs = 0.2, 300
    random = np.random.default_rng(7)
    totals = random.binomial(1, mean, (runs, LOOKS[-1])).cumsum(axis=1)
    outside = sum(
        any(
            not lower <= mean <= upper
            for lower, upper in (confidence.of_mean(float(row[n - 1]), n, alpha) for n in LOOKS)
        )
        for row in totals
    )
    assert 0.01 < outside / runs <= alpha


@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_a_quantile_is_ever_outside_no_more_often_than_alpha(quantile: float) -> None:
    alpha, runs = 0.2, 300
    random = np.random.default_rng(8)
    edges = (*np.linspace(0.05, 1, 20).tolist(), inf)

    def outside(drawn: list[float], looked: int) -> bool:
        cumulative = np.searchsorted(sorted(drawn[:looked]), edges, side="right").tolist()
        lower, upper = confidence.of_quantile(edges, cumulative, quantile, alpha)
        return not lower <= quantile <= upper

    found = sum(
        any(outside(drawn, n) for n in LOOKS[::2]) for drawn in random.random((runs, LOOKS[-1])).tolist()
    )
    assert 0.01 < found / runs <= alpha


def test_bounds_of_a_quantile_are_edges_around_it() -> None:
    edges, cumulative = (1.0, 2.0, 4.0, 8.0, inf), (100.0, 400.0, 900.0, 1000.0, 1000.0)
    assert confidence.of_quantile(edges, cumulative, 0.5, ALPHA) == (2.0, 4.0)
    assert confidence.of_quantile(edges, cumulative, 0.9, ALPHA) == (2.0, 8.0)
    assert confidence.of_quantile(edges, cumulative, 0.05, ALPHA) == (-inf, 1.0)


def test_a_quantile_beyond_the_last_edge_has_no_upper_bound() -> None:
    assert confidence.of_quantile((1.0, inf), (100.0, 1000.0), 0.5, ALPHA) == (1.0, inf)


def test_few_values_bound_no_quantile() -> None:
    assert confidence.of_quantile((1.0, 2.0, inf), (0.0, 3.0, 3.0), 0.5, ALPHA) == (-inf, inf)


@pytest.mark.parametrize(
    ("values", "bounds"),
    [
        ([1.0] * 5, (-inf, inf)),
        ([float(value) for value in range(10)], (0.0, 9.0)),
        ([float(value) for value in range(40)], (10.0, 29.0)),
    ],
)
def test_known_bounds_of_a_median(values: list[float], bounds: tuple[float, float]) -> None:
    assert confidence.of_median(values[::-1], ALPHA) == bounds


def test_a_median_is_ever_outside_no_more_often_than_alpha() -> None:
    alpha, runs = 0.2, 300
    random = np.random.default_rng(9)
    outside = sum(
        any(
            not lower <= 0 <= upper
            for lower, upper in (confidence.of_median(values[:n], alpha) for n in range(1, 61))
        )
        for values in random.normal(size=(runs, 60)).tolist()
    )
    assert 0.01 < outside / runs <= alpha


@given(st.lists(st.floats(-1e6, 1e6), max_size=50), alphas)
def test_the_other_sign_mirrors_the_bounds_of_a_median(values: list[float], alpha: float) -> None:
    lower, upper = confidence.of_median(values, alpha)
    assert confidence.of_median([-value for value in values], alpha) == Interval(-upper, -lower)
