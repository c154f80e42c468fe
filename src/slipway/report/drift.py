"""Which columns are distributed otherwise than before: whether the data that a model is trained on have moved.

Two samples are compared column by column: numbers by Kolmogorov and Smirnov's test, categories, labels and nulls by Pearson's
chi-squared test. With enough rows any difference is sure, so it must be large as well: the distance of both tests' kind (the
largest difference of the cumulative shares, or half the sum of the differences of shares) is at least `DISTANCE`.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from slipway.contract import Contract

DISTANCE = 0.1
_SIGNIFICANCE = 0.05
"""Of all columns together (Bonferroni)."""


class Moved(NamedTuple):
    """A column that has surely moved, and far."""

    column: str
    """Its name; `age is null` for the share of nulls."""
    before: str
    now: str
    """The median of a number; of a category, its commonest values and their shares."""
    distance: float
    """Of the two distributions, from 0 to 1."""


def moved(before: pd.DataFrame, now: pd.DataFrame, contract: Contract) -> list[Moved]:
    """The columns that have moved, the farthest first.

    Args:
        before: Rows of the older data, with the columns of its contract and its target.
        now: Rows of the newer data.
        contract: Of the newer data; columns that the older data do not have are left out, and of those that have another
            type there, only nulls are compared.
    """
    tested = [
        test
        for name in (*contract.columns, contract.target.column)
        if name in before and name in now
        for test in _tests(name, before[name], now[name], is_number=name in contract.numbers)
    ]
    found = [each for each, p in tested if p * len(tested) < _SIGNIFICANCE and each.distance >= DISTANCE]
    return sorted(found, key=lambda each: -each.distance)


def _tests(name: str, before: pd.Series, now: pd.Series, *, is_number: bool) -> list[tuple[Moved, float]]:
    """The tests of a column, each with its p-value."""
    found = [_shares(f"{name} is null", before.isna(), now.isna())]
    before, now = before.dropna(), now.dropna()
    if len(before) and len(now) and pd.api.types.is_numeric_dtype(before) == is_number:
        found.append(_numbers(name, before, now) if is_number else _shares(name, before, now))
    return [each for each in found if each]


def _numbers(name: str, before: pd.Series, now: pd.Series) -> tuple[Moved, float]:
    old, new = before.to_numpy(np.float64), now.to_numpy(np.float64)
    tested = stats.ks_2samp(old, new, method="asymp")
    found = Moved(
        name, f"median {np.median(old):.4g}", f"median {np.median(new):.4g}", float(tested.statistic)
    )
    return found, float(tested.pvalue)


def _shares(name: str, before: pd.Series, now: pd.Series) -> tuple[Moved, float] | None:
    """None where there is one value only, and so nothing to test."""
    counts = pd.DataFrame({"before": before.value_counts(), "now": now.value_counts()}).fillna(0)
    if len(counts) < 2:  # noqa: PLR2004 - two values
        return None
    shares = counts / counts.sum()
    distance = float((shares["before"] - shares["now"]).abs().sum() / 2)
    _, p, _, _ = stats.chi2_contingency(counts.to_numpy(), correction=False)
    return Moved(name, _commonest(shares["before"]), _commonest(shares["now"]), distance), float(p)


def _commonest(shares: pd.Series) -> str:
    if set(shares.index) <= {False, True}:
        return f"{shares.get(True, 0.0):.1%}"
    return ", ".join(f"{value} {share:.1%}" for value, share in shares.nlargest(3).items())
