"""How sure a difference between two models is: a paired bootstrap over the rows that both have answered.

Efron, Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentile intervals). Rows are drawn with
replacement, the same ones for both models, so that what is hard for both does not count as a difference.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
CONFIDENCE = 0.95
_SEED = 20
_CELLS = 5_000_000
"""Of the matrix of weights that is in memory at a time."""

Array = npt.NDArray[np.float64]


class Answers(NamedTuple):
    """What a model answers to N rows."""

    probability: Array
    """Of the positive label, shape (N,)."""
    threshold: float

    @property
    def positive(self) -> npt.NDArray[np.bool_]:
        """Its decisions, shape (N,)."""
        return self.probability >= self.threshold


class Interval(NamedTuple):
    """Where a difference lies, by a confidence of 95 %; not a number where it cannot be told."""

    low: float
    high: float

    @property
    def sure(self) -> int:
        """1 where the difference is surely positive, -1 where it is surely negative, else 0."""
        return int(self.low > 0) - int(self.high < 0)


def measures(weights: Array, truth: npt.NDArray[np.bool_], answers: Answers) -> dict[str, Array]:
    """The metrics of `evaluate.measure`, of B weightings of N rows at once.

    Args:
        weights: How often each row counts, shape (B, N).
        truth: Which rows are positive, shape (N,).
        answers: Of the model.

    Returns:
        Shape (B,) each; not a number where a metric is not defined, as recall without positive rows.
    """
    said = answers.positive
    right, wrong = weights @ (truth & said), weights @ (~truth & said)
    missed, spared = weights @ (truth & ~said), weights @ (~truth & ~said)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "accuracy": (right + spared) / weights.sum(axis=1),
            # As scikit-learn's zero_division=0.0: who never says positive is never right.
            "precision": np.nan_to_num(right / (right + wrong)),
            "recall": right / (right + missed),
            "f1": np.nan_to_num(2 * right / (2 * right + wrong + missed)),
            "roc_auc": _area(weights, truth, answers.probability),
            "false_positive_rate": wrong / (wrong + spared),
            "false_negative_rate": missed / (right + missed),
        }


def _area(weights: Array, truth: npt.NDArray[np.bool_], probability: Array) -> Array:
    """The share of pairs that are in order, ties as halves: Mann and Whitney's U."""
    order = np.argsort(probability, kind="stable")
    starts = np.flatnonzero(np.diff(probability[order], prepend=-np.inf))
    positive = np.add.reduceat(weights[:, order] * truth[order], starts, axis=1)
    negative = np.add.reduceat(weights[:, order] * ~truth[order], starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    result: Array = (positive * below).sum(axis=1) / (positive.sum(axis=1) * negative.sum(axis=1))
    return result


def differences(truth: npt.NDArray[np.bool_], old: Answers, new: Answers) -> dict[str, Interval]:
    """For each metric, the interval of new less old."""
    found: dict[str, list[Array]] = {}
    for weights in _weights(len(truth)):
        before, after = measures(weights, truth, old), measures(weights, truth, new)
        for name in before:
            found.setdefault(name, []).append(after[name] - before[name])
    return {name: _interval(np.concatenate(each), CONFIDENCE) for name, each in found.items()}


def mean(values: Array, tests: int) -> Interval:
    """The interval of a mean, where it is one of so many that are looked at together (Bonferroni).

    Args:
        values: Shape (N,).
        tests: How many.
    """
    drawn = np.concatenate([weights @ values / len(values) for weights in _weights(len(values))])
    return _interval(drawn, 1 - (1 - CONFIDENCE) / tests)


def _weights(rows: int) -> Iterator[Array]:
    """`RESAMPLES` draws of as many rows, in parts, always the same ones."""
    generator = np.random.default_rng(_SEED)
    part = max(1, min(RESAMPLES, _CELLS // max(1, rows)))
    for first in range(0, RESAMPLES, part):
        count = min(part, RESAMPLES - first)
        yield generator.multinomial(rows, np.full(rows, 1 / rows), size=count).astype(np.float64)


def _interval(drawn: Array, confidence: float) -> Interval:
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Interval(np.nan, np.nan)
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))
