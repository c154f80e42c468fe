"""Training: the same model from the same rows, a hyper-parameter refused by its path, ONNX only when it agrees."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slipway.contract import Contract
from slipway.errors import InputError, Refused
from slipway.params import Params
from slipway.pipeline import stage
from slipway.pipeline import train as stage_train
from slipway.pipeline.split import Parts
from slipway.pipeline.train import train
from slipway.scorer import Scorer

from .conftest import ESTIMATORS

ARGUMENTS = ["train.parquet", "validation.parquet", "out/model.onnx", "out/parity.json"]


def probabilities(frame: pd.DataFrame, settings: Params, rows: pd.DataFrame) -> Any:
    pipeline = train(frame, settings.contract, settings.train)
    return pipeline.predict_proba(stage.features(rows, settings.contract))[:, 1]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_same_rows_and_seed_make_the_same_model(
    mixed: pd.DataFrame, mixed_settings: Callable[[str], Params], estimator: str
) -> None:
    settings = mixed_settings(estimator)

    np.testing.assert_array_equal(
        probabilities(mixed, settings, mixed), probabilities(mixed, settings, mixed)
    )


def test_another_seed_makes_another_forest(
    mixed: pd.DataFrame, mixed_settings: Callable[[str], Params]
) -> None:
    settings = mixed_settings("random_forest")
    reseeded = settings.model_copy(update={"train": settings.train.model_copy(update={"seed": 8})})

    assert np.any(probabilities(mixed, settings, mixed) != probabilities(mixed, reseeded, mixed))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_order_of_the_columns_does_not_matter(
    mixed: pd.DataFrame, mixed_settings: Callable[[str], Params], estimator: str
) -> None:
    settings = mixed_settings(estimator)
    reordered = mixed[sorted(mixed.columns)]

    np.testing.assert_array_equal(
        probabilities(mixed, settings, mixed), probabilities(reordered, settings, reordered)
    )


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_column_tells_the_model_something(
    mixed: pd.DataFrame, mixed_settings: Callable[[str], Params], estimator: str
) -> None:
    settings = mixed_settings(estimator)
    pipeline = train(mixed, settings.contract, settings.train)
    features = stage.features(mixed, settings.contract)
    other: dict[str, Any] = {
        "ward": "oncology",
        "smoker": "yes",
        "age": 119.0,
        "marker": 99.0,
        "pressure": 41.0,
    }

    for column, value in other.items():
        changed = pipeline.predict_proba(features.assign(**{column: value}))
        assert np.any(changed != pipeline.predict_proba(features)), f"{column} is ignored"


def test_a_null_counts_as_the_median(mixed: pd.DataFrame, mixed_settings: Callable[[str], Params]) -> None:
    settings = mixed_settings("logistic_regression")
    median = mixed["marker"].median()

    np.testing.assert_array_equal(
        probabilities(mixed, settings, mixed.assign(marker=np.nan)),
        probabilities(mixed, settings, mixed.assign(marker=median)),
    )


def test_the_probability_is_that_of_the_positive_label(
    mixed: pd.DataFrame, mixed_settings: Callable[[str], Params]
) -> None:
    found = probabilities(mixed, mixed_settings("logistic_regression"), mixed)

    ill = mixed["outcome"] == "ill"
    assert found[ill].mean() > 0.7
    assert found[~ill].mean() < 0.3


@pytest.mark.parametrize(
    ("hyperparameters", "reason"),
    [
        ({"C": -1.0}, "'C' parameter of LogisticRegression must be a float in the range"),
        ({"depth": 3}, "unexpected keyword argument 'depth'"),
        ({"random_state": 3}, "multiple values for keyword argument 'random_state'"),
        ({"class_weight": "fair"}, "'class_weight' parameter of LogisticRegression must be"),
    ],
)
def test_a_hyperparameter_that_scikit_learn_refuses_is_named_by_its_path(
    mixed: pd.DataFrame,
    mixed_settings: Callable[[str], Params],
    hyperparameters: dict[str, Any],
    reason: str,
) -> None:
    settings = mixed_settings("logistic_regression")
    wrong = settings.train.model_copy(update={"hyperparameters": hyperparameters})

    with pytest.raises(InputError, match=r"^train.hyperparameters: ") as caught:
        train(mixed, settings.contract, wrong)

    assert reason in str(caught.value)


def test_a_number_that_is_null_in_every_training_row_is_named(
    mixed: pd.DataFrame, mixed_settings: Callable[[str], Params]
) -> None:
    settings = mixed_settings("logistic_regression")

    with pytest.raises(InputError, match=r"^marker: null in every training row"):
        train(mixed.assign(marker=np.nan), settings.contract, settings.train)


def test_the_stage_writes_a_model_and_the_proof_of_its_parity(
    parts: Parts, settings: Params, workspace: Callable[[Params], Path]
) -> None:
    folder = workspace(settings)
    stage.write_frame(folder / "train.parquet", parts.train)
    stage.write_frame(folder / "validation.parquet", parts.validation)

    stage_train.main(ARGUMENTS)

    scorer = Scorer((folder / "out/model.onnx").read_bytes(), settings.contract)
    proof = json.loads((folder / "out/parity.json").read_text())
    assert settings.train.decision_threshold == scorer.threshold
    assert len(parts.train) + len(parts.validation) + 200 == proof["rows"]
    assert proof["largest_difference"] <= settings.train.parity_tolerance


def test_the_model_learns_from_the_training_rows_alone(
    parts: Parts, settings: Params, workspace: Callable[[Params], Path]
) -> None:
    folder = workspace(settings)
    models = []
    for validation in (parts.validation, parts.validation.iloc[:20]):
        stage.write_frame(folder / "train.parquet", parts.train)
        stage.write_frame(folder / "validation.parquet", validation)
        stage_train.main(ARGUMENTS)
        models.append((folder / "out/model.onnx").read_bytes())

    assert models[0] == models[1]


def test_a_model_that_does_not_agree_is_not_written(
    mixed: pd.DataFrame, mixed_settings: Callable[[str], Params], workspace: Callable[[Params], Path]
) -> None:
    settings = mixed_settings("random_forest")
    narrow = settings.train.model_copy(update={"parity_tolerance": 1e-15})
    folder = workspace(settings.model_copy(update={"train": narrow}))
    stage.write_frame(folder / "train.parquet", mixed.iloc[:300])
    stage.write_frame(folder / "validation.parquet", mixed.iloc[300:])

    with pytest.raises(Refused, match="ONNX Runtime and scikit-learn disagree on random_forest"):
        stage_train.main(ARGUMENTS)

    assert not (folder / "out").exists()


@pytest.mark.parametrize("only", ["number", "category"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_contract_of_one_type_trains(
    mixed: pd.DataFrame, mixed_settings: Callable[[str], Params], estimator: str, only: str
) -> None:
    settings = mixed_settings(estimator)
    columns = {name: column for name, column in settings.contract.columns.items() if column.type == only}
    contract = Contract(target=settings.contract.target, columns=columns)

    pipeline = train(mixed, contract, settings.train)

    assert (len(mixed), 2) == pipeline.predict_proba(stage.features(mixed, contract)).shape
