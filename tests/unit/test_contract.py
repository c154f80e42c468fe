"""The contract: what it allows to be declared, what it lets through, and the tensors it makes."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from slipway.contract import MISSING_CATEGORY, Contract

TARGET = {"column": "state", "positive": "worn", "negative": "sound"}
COLUMNS: dict[str, dict[str, Any]] = {
    "maker": {"type": "category", "categories": ["acme", "bolt"]},
    "width": {"type": "number", "minimum": 0, "maximum": 10},
    "colour": {"type": "category", "categories": ["red", "blue"], "nullable": True},
    "age": {"type": "number", "nullable": True},
}
ROW = {"maker": "acme", "width": 2.5, "colour": None, "age": None}


def contract_of(columns: dict[str, dict[str, Any]], target: dict[str, str] = TARGET) -> Contract:
    return Contract.model_validate_json(json.dumps({"target": target, "columns": columns}))


@pytest.fixture(scope="module")
def mixed() -> Contract:
    return contract_of(COLUMNS)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ({"type": "category"}, "a category column needs `categories`"),
        ({"type": "category", "categories": ["a", "a"]}, "`categories` must be distinct"),
        ({"type": "category", "categories": [MISSING_CATEGORY]}, "not '__missing__'; use `nullable`"),
        ({"type": "category", "categories": ["a"], "minimum": 0}, "has no `minimum` or `maximum`"),
        ({"type": "number", "categories": ["a"]}, "a number column has no `categories`"),
        ({"type": "number", "minimum": 2, "maximum": 1}, "`minimum` 2 is not below `maximum` 1"),
        ({"type": "number", "minimum": "0"}, "valid number"),
        ({"type": "number", "nullable": "no"}, "valid boolean"),
        ({"type": "text"}, "'number' or 'category'"),
        ({"type": "number", "units": "mm"}, "Extra inputs are not permitted"),
        ({}, "Field required"),
    ],
)
def test_a_column_that_contradicts_itself_cannot_be_declared(column: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        contract_of({"width": column})

    assert reason in str(caught.value)


@pytest.mark.parametrize("name", ["Width", "1st", "_hidden", "a-b", "a b", "", "weiß"])
def test_a_column_is_named_in_lower_case_letters(name: str) -> None:
    with pytest.raises(ValidationError, match="should match pattern"):
        contract_of({name: {"type": "number"}})


@pytest.mark.parametrize("name", ["model_dump", "model_config", "copy", "json", "schema"])
def test_a_name_that_would_break_the_typed_request_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"columns must not be named {[name]!r}".replace("[", r"\[")):
        contract_of({name: {"type": "number"}})


@pytest.mark.parametrize("name", ["class", "from", "self", "cls", "state_of_wear", "model_name"])
def test_python_s_own_words_are_fine_as_names(name: str) -> None:
    row = contract_of({name: {"type": "number"}}).row_model().model_validate({name: 1.0})

    assert row.model_dump() == {name: 1.0}


def test_the_target_is_no_input() -> None:
    with pytest.raises(ValidationError, match="the target 'width' must not be among the columns"):
        contract_of(COLUMNS, {**TARGET, "column": "width"})


def test_a_contract_needs_a_column() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        contract_of({})


def test_numbers_and_categories_keep_the_order_of_the_contract(mixed: Contract) -> None:
    assert mixed.numbers == ("width", "age")
    assert mixed.categories == ("maker", "colour")


def test_a_nullable_category_has_one_value_more(mixed: Contract) -> None:
    assert mixed.columns["maker"].model_categories == ("acme", "bolt")
    assert mixed.columns["colour"].model_categories == ("red", "blue", MISSING_CATEGORY)


def test_a_contract_survives_its_own_json(mixed: Contract) -> None:
    assert mixed == Contract.model_validate_json(mixed.to_json())
    assert list(mixed.columns) == list(Contract.model_validate_json(mixed.to_json()).columns)


def test_a_description_does_not_change_the_digest(mixed: Contract) -> None:
    described = {**COLUMNS, "width": {**COLUMNS["width"], "description": "In millimetres."}}

    assert mixed.digest == contract_of(described).digest


@pytest.mark.parametrize(
    "change",
    [
        {"width": {"type": "number", "minimum": 0, "maximum": 11}},
        {"width": {"type": "number", "minimum": 0, "maximum": 10, "nullable": True}},
        {"width": {"type": "category", "categories": ["1"]}},
        {"maker": {"type": "category", "categories": ["acme", "bolt", "crew"]}},
        {"length": {"type": "number"}},
    ],
)
def test_whatever_a_caller_can_notice_changes_the_digest(
    mixed: Contract, change: dict[str, dict[str, Any]]
) -> None:
    assert mixed.digest != contract_of({**COLUMNS, **change}).digest


def test_another_label_changes_the_digest(mixed: Contract) -> None:
    assert mixed.digest != contract_of(COLUMNS, {**TARGET, "positive": "broken"}).digest


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"width": 0},
        {"width": 10},
        {"age": -1e300},
        {"age": 2**60},
        {"colour": "blue", "age": 3.5},
    ],
)
def test_a_row_within_the_contract_is_let_through(mixed: Contract, change: dict[str, Any]) -> None:
    row = mixed.row_model().model_validate_json(json.dumps({**ROW, **change}))

    assert row.model_dump() == {**ROW, **change}


@pytest.mark.parametrize(
    ("change", "column", "reason"),
    [
        ({"width": -0.1}, "width", "greater than or equal to 0"),
        ({"width": 10.1}, "width", "less than or equal to 10"),
        ({"width": None}, "width", "valid number"),
        ({"width": "2.5"}, "width", "valid number"),
        ({"width": True}, "width", "valid number"),
        ({"width": math.nan}, "width", "finite number"),
        ({"width": math.inf}, "width", "finite number"),
        ({"age": math.nan}, "age", "finite number"),
        ({"age": math.inf}, "age", "finite number"),
        ({"age": 10**400}, "age", "number"),
        ({"maker": None}, "maker", "'acme' or 'bolt'"),
        ({"maker": "crew"}, "maker", "'acme' or 'bolt'"),
        ({"maker": "ACME"}, "maker", "'acme' or 'bolt'"),
        ({"maker": 1}, "maker", "'acme' or 'bolt'"),
        ({"colour": MISSING_CATEGORY}, "colour", "'red' or 'blue'"),
        ({"length": 1}, "length", "Extra inputs are not permitted"),
        ({"state": "worn"}, "state", "Extra inputs are not permitted"),
    ],
)
def test_a_row_outside_the_contract_is_refused_by_column(
    mixed: Contract, change: dict[str, Any], column: str, reason: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        mixed.row_model().model_validate({**ROW, **change})

    assert {column} == {error["loc"][0] for error in caught.value.errors()}
    assert reason in str(caught.value)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_row_without_one_of_its_columns_is_refused_even_where_null_is_allowed(
    mixed: Contract, column: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        mixed.row_model().model_validate({name: ROW[name] for name in ROW if name != column})

    assert [(column,)] == [error["loc"] for error in caught.value.errors()]
    assert [error["type"] for error in caught.value.errors()] == ["missing"]


def test_tensors_hold_numbers_and_categories_in_the_order_of_the_contract(mixed: Contract) -> None:
    rows = [
        {"age": 7, "colour": "red", "width": 1, "maker": "bolt"},
        {"maker": "acme", "width": 2.5, "colour": "blue", "age": 9.0},
    ]

    tensors = mixed.tensors(rows)

    assert tensors["numeric"].tolist() == [[1.0, 7.0], [2.5, 9.0]]
    assert tensors["categorical"].tolist() == [["bolt", "red"], ["acme", "blue"]]
    assert tensors["numeric"].dtype == np.float64


def test_null_becomes_nan_and_the_missing_category(mixed: Contract) -> None:
    tensors = mixed.tensors([ROW])

    np.testing.assert_equal(tensors["numeric"], [[2.5, math.nan]])
    assert tensors["categorical"].tolist() == [["acme", MISSING_CATEGORY]]


def test_no_rows_make_empty_tensors_of_the_right_width(mixed: Contract) -> None:
    tensors = mixed.tensors([])

    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "numeric": (0, 2),
        "categorical": (0, 2),
    }


@pytest.mark.parametrize(("only", "tensor"), [("width", "numeric"), ("maker", "categorical")])
def test_a_tensor_without_columns_is_left_out(only: str, tensor: str) -> None:
    assert [tensor] == list(contract_of({only: COLUMNS[only]}).tensors([ROW]))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.none(), min_size=1, max_size=20))
def test_every_finite_number_reaches_the_model_unchanged(ages: list[float | None]) -> None:
    tensor = contract_of({"age": COLUMNS["age"]}).tensors([{"age": age} for age in ages])["numeric"]

    expected = [math.nan if age is None else age for age in ages]
    np.testing.assert_equal(tensor[:, 0], np.array(expected))
