"""The exported model answers as scikit-learn's does, on all that the contract allows, or is refused."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import numpy_helper
from sklearn.pipeline import Pipeline

from slipway.contract import Contract
from slipway.errors import Refused
from slipway.params import Params, Train
from slipway.pipeline import stage
from slipway.pipeline.onnx_export import corners, export, parity
from slipway.pipeline.train import train
from slipway.scorer import OUTPUT, Scorer

from .conftest import ESTIMATORS, TOLERANCES


class Exported(NamedTuple):
    """A model in both forms, and what it was made from."""

    pipeline: Pipeline
    model: bytes
    contract: Contract
    settings: Train


@pytest.fixture(scope="module", params=ESTIMATORS)
def exported(
    request: pytest.FixtureRequest, mixed: pd.DataFrame, mixed_settings: Callable[[str], Params]
) -> Exported:
    settings = mixed_settings(request.param)
    pipeline = train(mixed, settings.contract, settings.train)
    return Exported(pipeline, export(pipeline, settings.contract, 0.5), settings.contract, settings.train)


def damaged(model: bytes, damage: Callable[[Any], Any]) -> bytes:
    """The model with its learnt numbers changed: coefficients, or the votes of a tree's leaves."""
    graph = onnx.load_from_string(model)
    changed = 0
    for node in graph.graph.node:
        for attribute in node.attribute:
            if attribute.name in {"coefficients", "class_weights", "nodes_values"}:
                attribute.floats[:] = damage(np.array(attribute.floats)).tolist()
                changed += 1
            elif attribute.name in {"class_weights_as_tensor", "nodes_values_as_tensor"}:
                attribute.t.CopyFrom(numpy_helper.from_array(damage(numpy_helper.to_array(attribute.t))))
                changed += 1
    for constant in graph.graph.initializer:
        if constant.name.startswith("coef"):
            constant.CopyFrom(numpy_helper.from_array(damage(numpy_helper.to_array(constant)), constant.name))
            changed += 1
    assert changed, "this test must learn where the converter puts what was learnt"
    serialised: bytes = graph.SerializeToString()
    return serialised


def test_a_mixed_contract_with_nulls_agrees(exported: Exported, mixed: pd.DataFrame) -> None:
    report = parity(exported.pipeline, exported.model, mixed, exported.contract, exported.settings)

    assert report["rows"] == len(mixed) + 200
    assert report["largest_difference"] <= TOLERANCES[exported.settings.estimator]


def test_it_agrees_one_row_at_a_time_too(exported: Exported, mixed: pd.DataFrame) -> None:
    few = mixed.iloc[:50]
    scorer = Scorer(exported.model, exported.contract)

    alone = [scorer.predict([row])[0].probability for row in stage.rows(few, exported.contract)]

    expected = exported.pipeline.predict_proba(stage.features(few, exported.contract))[:, 1]
    np.testing.assert_allclose(alone, expected, rtol=0, atol=TOLERANCES[exported.settings.estimator])


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (lambda learnt: learnt * 1.001, "scaled"),
        (lambda learnt: learnt[::-1].copy(), "turned round"),
        (lambda learnt: np.full_like(learnt, np.nan), "made NaN"),
    ],
)
def test_a_model_whose_weights_are_damaged_is_refused(
    exported: Exported, mixed: pd.DataFrame, damage: Callable[[Any], Any], name: str
) -> None:
    corrupt = damaged(exported.model, damage)

    with pytest.raises(Refused) as caught:
        parity(exported.pipeline, corrupt, mixed, exported.contract, exported.settings)

    assert f"disagree on {exported.settings.estimator}: largest difference in a probability" in str(
        caught.value
    ), f"weights {name}"
    assert f"(limit train.parity_tolerance {TOLERANCES[exported.settings.estimator]:.3g})" in str(
        caught.value
    )


def test_a_model_for_columns_in_another_order_is_refused(exported: Exported, mixed: pd.DataFrame) -> None:
    reversed_columns = dict(reversed(exported.contract.columns.items()))
    contract = exported.contract.model_copy(update={"columns": reversed_columns})
    swapped = Contract.model_validate_json(contract.to_json())
    other = export(train(mixed, swapped, exported.settings), swapped, 0.5)

    with pytest.raises(Refused, match=f"disagree on {exported.settings.estimator}"):
        parity(exported.pipeline, other, mixed, exported.contract, exported.settings)


def test_a_difference_above_the_tolerance_is_refused_with_both(
    exported: Exported, mixed: pd.DataFrame
) -> None:
    nudged = damaged(exported.model, lambda learnt: learnt * 1.01)
    expected = exported.pipeline.predict_proba(stage.features(mixed, exported.contract))[:, 1]
    actual = Scorer(nudged, exported.contract).probabilities(
        exported.contract.tensors(stage.rows(mixed, exported.contract))
    )
    rows = corners(exported.contract, exported.settings.seed)
    far = exported.pipeline.predict_proba(stage.features(rows, exported.contract))[:, 1]
    near = Scorer(nudged, exported.contract).probabilities(
        exported.contract.tensors(stage.rows(rows, exported.contract))
    )
    largest = max(np.abs(expected - actual).max(), np.abs(far - near).max())

    with pytest.raises(Refused, match=f"largest difference in a probability {largest:.3g} "):
        parity(exported.pipeline, nudged, mixed, exported.contract, exported.settings)


def test_a_row_on_the_threshold_may_have_either_label(
    mixed: pd.DataFrame, mixed_settings: Callable[[str], Params]
) -> None:
    settings = mixed_settings("random_forest")
    contract, pipeline = settings.contract, train(mixed, settings.contract, settings.train)
    expected = pipeline.predict_proba(stage.features(mixed, contract))[:, 1]
    actual = Scorer(export(pipeline, contract, 0.5), contract).probabilities(
        contract.tensors(stage.rows(mixed, contract))
    )
    rounded_down = expected[actual < expected][0]

    report = parity(
        pipeline, export(pipeline, contract, float(rounded_down)), mixed, contract, settings.train
    )

    assert report["labels_different"] >= 1
    assert 0 < report["largest_difference"] <= 1e-5


def test_the_graph_takes_one_tensor_of_doubles_and_one_of_strings(exported: Exported) -> None:
    graph = onnx.load_from_string(exported.model).graph

    found = {
        value.name: (
            onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type),
            value.type.tensor_type.shape.dim[1].dim_value,
        )
        for value in [*graph.input, *graph.output]
    }

    kind = "DOUBLE" if exported.settings.estimator == "logistic_regression" else "FLOAT"
    assert {"numeric": ("DOUBLE", 3), "categorical": ("STRING", 2), OUTPUT: (kind, 2)} == found


@pytest.mark.parametrize(("only", "tensor"), [("number", "numeric"), ("category", "categorical")])
def test_a_contract_of_one_type_needs_one_tensor(
    mixed: pd.DataFrame, mixed_settings: Callable[[str], Params], only: str, tensor: str
) -> None:
    settings = mixed_settings("logistic_regression")
    columns = {name: column for name, column in settings.contract.columns.items() if column.type == only}
    contract = Contract(target=settings.contract.target, columns=columns)

    model = export(train(mixed, contract, settings.train), contract, 0.5)

    assert [tensor] == [value.name for value in onnx.load_from_string(model).graph.input]


def test_the_threshold_is_in_the_model(mixed: pd.DataFrame, mixed_settings: Callable[[str], Params]) -> None:
    settings = mixed_settings("logistic_regression")
    pipeline = train(mixed, settings.contract, settings.train)

    assert Scorer(export(pipeline, settings.contract, 0.3), settings.contract).threshold == 0.3


def test_a_model_is_valid_onnx_that_says_nothing_of_where_it_was_made(exported: Exported) -> None:
    model = onnx.load_from_string(exported.model)

    onnx.checker.check_model(model)
    domains = [entry.domain for entry in model.opset_import]
    assert sorted(domains) == domains
    assert [entry.key for entry in model.metadata_props] == ["decision_threshold"]


def test_equal_pipelines_give_equal_bytes(exported: Exported, mixed: pd.DataFrame) -> None:
    again = train(mixed, exported.contract, exported.settings)

    assert exported.model == export(again, exported.contract, 0.5)


LIMITS: list[dict[str, Any]] = [
    {"minimum": 0, "maximum": 1},
    {"minimum": -5e8, "maximum": -4e8},
    {"minimum": 2e6},
    {"maximum": -2e6},
    {"minimum": -3},
    {"maximum": 3},
    {},
]


@pytest.mark.parametrize("nullable", [False, True])
@pytest.mark.parametrize("limits", LIMITS)
def test_corners_satisfy_the_contract(limits: dict[str, Any], nullable: bool) -> None:  # noqa: FBT001
    contract = Contract.model_validate_json(
        json.dumps(
            {
                "target": {"column": "state", "positive": "worn", "negative": "sound"},
                "columns": {
                    "width": {"type": "number", "nullable": nullable, **limits},
                    "maker": {"type": "category", "categories": ["acme", "bolt"], "nullable": nullable},
                },
            }
        )
    )

    rows = stage.rows(corners(contract, seed=3), contract)

    assert len(rows) == 200
    assert rows == [contract.row_model().model_validate(row).model_dump() for row in rows]
    assert {"acme", "bolt"} <= {row["maker"] for row in rows}
    assert nullable == any(row["width"] is None for row in rows) == any(row["maker"] is None for row in rows)


def test_corners_reach_the_limits() -> None:
    contract = Contract.model_validate_json(
        '{"target": {"column": "t", "positive": "a", "negative": "b"},'
        ' "columns": {"x": {"type": "number", "minimum": -1, "maximum": 7}}}'
    )

    values = corners(contract, seed=3)["x"]

    assert (values.min(), values.max()) == (-1, 7)


def test_corners_follow_their_seed(mixed_contract: Contract) -> None:
    pd.testing.assert_frame_equal(corners(mixed_contract, 3), corners(mixed_contract, 3))
    assert not corners(mixed_contract, 3).equals(corners(mixed_contract, 4))
