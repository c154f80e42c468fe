"""The bootstrap, against scikit-learn and against what is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.pipeline.evaluate import measure
from slipway.report import resampling
from slipway.report.resampling import Answers, Interval

TRUTH = np.array([True, False] * 200)
GENERATOR = np.random.default_rng(1)


def answers(right: float) -> Answers:
    """A model that decides this share of the rows right, at random."""
    hit = np.random.default_rng(2).random(len(TRUTH)) < right
    return Answers(np.where(hit == TRUTH, 0.9, 0.1), 0.5)


@given(
    rows=st.lists(
        st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])), min_size=4, max_size=40
    ),
    threshold=st.sampled_from([0.1, 0.5, 0.9]),
    seed=st.integers(0, 99),
)
def test_a_weighting_measures_as_scikit_learn_does_on_the_rows_drawn(
    rows: list[tuple[bool, float]], threshold: float, seed: int
) -> None:
    truth, probability = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    drawn = np.random.default_rng(seed).integers(0, len(rows), len(rows))
    if truth[drawn].all() or not truth[drawn].any():
        return
    weights = np.bincount(drawn, minlength=len(rows))[None, :].astype(np.float64)
    found = resampling.measures(weights, truth, Answers(probability, threshold))
    expected = measure(truth[drawn], probability[drawn], threshold)
    assert {name: value[0] for name, value in found.items()} == pytest.approx(expected)


def test_what_is_not_defined_is_not_a_number() -> None:
    found = resampling.measures(np.ones((1, 2)), np.array([False, False]), Answers(np.array([0.1, 0.9]), 0.5))
    assert np.isnan(found["recall"][0])
    assert np.isnan(found["roc_auc"][0])
    assert found["precision"][0] == 0


def test_a_model_does_not_differ_from_itself() -> None:
    found = resampling.differences(TRUTH, answers(0.8), answers(0.8))
    assert set(found.values()) == {Interval(0.0, 0.0)}


@pytest.mark.parametrize(("right", "sure"), [(0.95, 1), (0.6, -1), (0.79, 0)])
def test_a_difference_is_sure_when_it_is_large(right: float, sure: int) -> None:
    assert resampling.differences(TRUTH, answers(0.8), answers(right))["accuracy"].sure == sure


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Of a hundred samples of two models, the second of which turns a quarter of the first one's decisions around."""
    held, truth = 0, np.ones(300, bool)
    expected = 0.25 * (0.20 - 0.80)
    for _ in range(100):
        old = GENERATOR.random(300) < 0.80
        new = old ^ (GENERATOR.random(300) < 0.25)
        sides = [Answers(np.where(each, 0.9, 0.1), 0.5) for each in (old, new)]
        low, high = resampling.differences(truth, *sides)["accuracy"]
        held += low <= expected <= high
    assert 88 <= held <= 100


def test_the_same_rows_give_the_same_interval_however_much_memory_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once = resampling.differences(TRUTH, answers(0.8), answers(0.9))
    assert resampling.differences(TRUTH, answers(0.8), answers(0.9)) == once
    monkeypatch.setattr(resampling, "_CELLS", 10_000)
    assert resampling.differences(TRUTH, answers(0.8), answers(0.9)) == once


def test_who_looks_at_many_parts_is_surprised_less_easily() -> None:
    values = np.array([-1.0] * 6 + [0.0] * 94)
    one, many = resampling.mean(values, 1), resampling.mean(values, 60)
    assert many.low < one.low
    assert one.sure == -1
    assert one.high < many.high
