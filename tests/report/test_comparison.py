"""Which parts of the data are told, and what is better."""

import numpy as np
import pandas as pd
import pytest

from slipway.contract import Contract
from slipway.report import comparison
from slipway.report.comparison import Metric
from slipway.report.resampling import Interval

CONTRACT = Contract.model_validate(
    {
        "target": {"column": "ill", "positive": "yes", "negative": "no"},
        "columns": {"age": {"type": "number"}, "ward": {"type": "category", "categories": ["a", "b", "c"]}},
    }
)
FRAME = pd.DataFrame({"age": range(100), "ward": ["a"] * 50 + ["b"] * 45 + ["c"] * 5})


def test_parts_are_told_in_which_fewer_decisions_are_right() -> None:
    before = np.ones(100, bool)
    after = before.copy()
    after[:20] = False  # all of them young, and on ward a
    after[97:] = False  # three on ward c, which is too small a part to tell
    found = comparison._slices(FRAME, CONTRACT, before, after)
    assert [part.rows for part in found] == ["age < 49.5", "ward is a", "age >= 49.5"]
    assert [part.sure for part in found] == [True, True, False]
    assert (found[0].size, found[0].old, found[0].new) == (50, 1.0, 0.6)


def test_where_nothing_got_worse_no_part_is_told() -> None:
    right = np.ones(100, bool)
    assert comparison._slices(FRAME, CONTRACT, right, right) == []


@pytest.mark.parametrize(
    ("name", "interval", "verdict"),
    [
        ("recall", Interval(0.01, 0.02), "better"),
        ("recall", Interval(-0.02, -0.01), "worse"),
        ("recall", Interval(-0.02, 0.01), "not sure"),
        ("recall", Interval(float("nan"), float("nan")), "not sure"),
        ("recall", Interval(0.0, 0.0), "the same"),
        ("recall", None, "not comparable"),
        ("false_positive_rate", Interval(0.01, 0.02), "worse"),
        ("false_negative_rate", Interval(-0.02, -0.01), "better"),
    ],
)
def test_more_is_better_but_of_wrong_decisions(name: str, interval: Interval | None, verdict: str) -> None:
    assert Metric(name, 0.5, 0.5, interval).verdict == verdict
