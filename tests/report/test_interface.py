"""What breaks callers, and what does not."""

from typing import Any

import pytest

from slipway.contract import Contract
from slipway.report.interface import Change, changes

AGE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 120}
WARD: dict[str, Any] = {"type": "category", "categories": ["a", "b"]}
TARGET = {"column": "ill", "positive": "yes", "negative": "no"}


def contract(columns: dict[str, Any], **target: str) -> Contract:
    return Contract.model_validate({"target": {**TARGET, **target}, "columns": columns})


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"age": AGE, "ward": WARD}, []),
        ({"age": AGE}, [Change("column ward is gone", breaks=True)]),
        (
            {"age": AGE, "ward": WARD, "bmi": AGE},
            [Change("column bmi (number) must be sent, too", breaks=True)],
        ),
        ({"age": AGE, "ward": AGE}, [Change("column ward: a number, was a category", breaks=True)]),
        (
            {"age": {**AGE, "maximum": 100}, "ward": WARD},
            [Change("column age: maximum 100, was 120", breaks=True)],
        ),
        (
            {"age": {**AGE, "maximum": 150}, "ward": WARD},
            [Change("column age: maximum 150, was 120", breaks=False)],
        ),
        (
            {"age": {"type": "number", "maximum": 120}, "ward": WARD},
            [Change("column age: minimum none, was 0", breaks=False)],
        ),
        (
            {"age": {**AGE, "minimum": 18}, "ward": WARD},
            [Change("column age: minimum 18, was 0", breaks=True)],
        ),
        (
            {"age": {**AGE, "nullable": True}, "ward": WARD},
            [Change("column age: null is allowed now", breaks=False)],
        ),
        (
            {"age": AGE, "ward": {**WARD, "categories": ["b", "c"]}},
            [
                Change("column ward: category a is refused now", breaks=True),
                Change("column ward: category c is allowed now", breaks=False),
            ],
        ),
        ({"age": {**AGE, "description": "in years"}, "ward": WARD}, []),
    ],
)
def test_a_change_of_columns(columns: dict[str, Any], expected: list[Change]) -> None:
    assert changes(contract({"age": AGE, "ward": WARD}), contract(columns)) == expected


def test_null_that_is_refused_now_breaks_callers() -> None:
    old = contract({"age": {**AGE, "nullable": True}})
    assert changes(old, contract({"age": AGE})) == [Change("column age: null is refused now", breaks=True)]


def test_other_labels_break_callers() -> None:
    new = contract({"age": AGE}, positive="sick")
    assert changes(contract({"age": AGE}), new) == [
        Change("the target's positive label is sick, was yes", breaks=True)
    ]


def test_what_breaks_comes_first() -> None:
    old = contract({"age": AGE, "ward": WARD})
    new = contract({"age": {**AGE, "maximum": 150}, "ward": {**WARD, "categories": ["a"]}})
    assert [change.breaks for change in changes(old, new)] == [True, False]
