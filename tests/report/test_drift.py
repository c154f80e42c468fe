"""Which columns of the data are said to have moved, and which are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from slipway.contract import Contract
from slipway.report.drift import moved

ROWS = 400
CONTRACT = Contract.model_validate(
    {
        "target": {"column": "ill", "positive": "yes", "negative": "no"},
        "columns": {
            "age": {"type": "number", "nullable": True},
            "ward": {"type": "category", "categories": ["a", "b", "c"]},
        },
    }
)


def frame(seed: int, rows: int = ROWS, shift: float = 0.0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": draw.normal(50 + shift, 10, rows).round(),
            "ward": draw.choice(["a", "b", "c"], rows),
            "ill": draw.choice(["yes", "no"], rows),
        }
    )


def test_samples_of_the_same_data_have_not_moved() -> None:
    found = [moved(frame(seed), frame(1000 + seed), CONTRACT) for seed in range(200)]
    assert sum(map(bool, found)) <= 10, "5 % of them, at the most"


def test_a_number_that_has_moved_is_told_with_its_medians() -> None:
    (found,) = moved(frame(1), frame(2, shift=10), CONTRACT)
    assert found.column == "age"
    assert found.distance == pytest.approx(0.38, abs=0.05), "of two normals, one deviation apart"
    before, now = (float(words.removeprefix("median ")) for words in (found.before, found.now))
    assert before == pytest.approx(50, abs=2)
    assert now == pytest.approx(60, abs=2)


def test_a_difference_that_is_sure_and_small_is_not_told() -> None:
    assert moved(frame(1, 50_000), frame(2, 50_000, shift=1), CONTRACT) == []


def test_values_that_repeat_are_compared_as_they_are() -> None:
    """Most of them are the same number, of which quantiles tell nothing."""
    before = frame(1).assign(age=[0.0] * 390 + [5.0] * 10)
    now = frame(1).assign(age=[0.0] * 320 + [5.0] * 80)
    (found,) = moved(before, now, CONTRACT)
    assert found.column == "age"
    assert found.distance == pytest.approx(70 / 400)


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("ward", ["a"] * 300 + ["b"] * 50 + ["c"] * 50, ("ward", "a 75.0%, b 12.5%, c 12.5%")),
        ("ill", ["yes"] * 360 + ["no"] * 40, ("ill", "yes 90.0%, no 10.0%")),
    ],
)
def test_categories_and_labels_are_told_with_their_shares(
    column: str, values: list[str], told: tuple[str, str]
) -> None:
    (found,) = moved(frame(1), frame(2).assign(**{column: values}), CONTRACT)
    assert (found.column, found.now) == told


def test_nulls_are_told_by_their_share() -> None:
    now = frame(2)
    now.loc[:99, "age"] = np.nan
    (found,) = moved(frame(1), now, CONTRACT)
    assert found == ("age is null", "0.0%", "25.0%", 0.25)


def test_the_farthest_comes_first() -> None:
    now = frame(2, shift=8).assign(ward="a")
    assert [each.column for each in moved(frame(1), now, CONTRACT)] == ["ward", "age"]


def test_a_column_that_one_side_lacks_is_left_out() -> None:
    assert moved(frame(1).drop(columns="age"), frame(2, shift=30), CONTRACT) == []


def test_columns_of_nothing_but_nulls_are_compared_by_their_nulls() -> None:
    (found,) = moved(frame(1), frame(2).assign(age=np.nan), CONTRACT)
    assert (found.column, found.distance) == ("age is null", 1.0)


@pytest.mark.parametrize("column", ["age", "ward"])
def test_a_column_of_another_type_is_compared_by_its_nulls_only(column: str) -> None:
    """Its values are of two worlds, and that callers break, the contract says."""
    other: Any = ["low", "high"] if column == "age" else [1.0, 2.0]
    before = frame(1).assign(**{column: other * (ROWS // 2)})
    assert moved(before, frame(2), CONTRACT) == []
    before.loc[:99, column] = None
    (found,) = moved(before, frame(2), CONTRACT)
    assert found == (f"{column} is null", "25.0%", "0.0%", 0.25)
