"""Stage `train`: fits the estimator and writes it as ONNX, having shown that both give the same answers."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from skl2onnx.sklapi import CastTransformer
from sklearn.base import ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from slipway import params
from slipway.contract import Contract
from slipway.errors import InputError
from slipway.params import Train
from slipway.pipeline import onnx_export, stage

_ESTIMATORS: Mapping[str, Callable[..., ClassifierMixin]] = MappingProxyType(
    {
        "logistic_regression": LogisticRegression,
        "random_forest": RandomForestClassifier,
        "hist_gradient_boosting": HistGradientBoostingClassifier,
    }
)


def train(frame: pd.DataFrame, contract: Contract, settings: Train) -> Pipeline:
    """Fit preparation and estimator on the training rows.

    Raises:
        InputError: scikit-learn refuses a hyper-parameter; a number is null in every row.
    """
    if unknown := [name for name in contract.numbers if frame[name].isna().all()]:
        raise InputError(
            f"{', '.join(unknown)}: null in every training row, so there is no median to fill in"
        )
    # Trees compare float32 in ONNX Runtime: they must have been fitted on float32 too.
    trees = settings.estimator != "logistic_regression"
    cast = [("cast", CastTransformer(dtype=np.float32))] if trees else []
    pipeline = Pipeline([("prepare", _preparation(contract)), *cast, ("estimate", _estimator(settings))])
    # One thread: the order of a sum must not depend on the number of cores.
    with threadpool_limits(limits=1):
        try:
            return pipeline.fit(stage.features(frame, contract), stage.is_positive(frame, contract))
        except ValueError as error:
            raise InputError(f"train.hyperparameters: {error}") from error


def _estimator(settings: Train) -> ClassifierMixin:
    try:
        return _ESTIMATORS[settings.estimator](random_state=settings.seed, **settings.hyperparameters)
    except TypeError as error:
        raise InputError(f"train.hyperparameters: {error}") from error


def _preparation(contract: Contract) -> ColumnTransformer:
    """Standardise numbers, filling nulls with the median; one-hot encode categories."""
    numbers, categories = len(contract.numbers), len(contract.categories)
    steps: list[tuple[str, Any, list[int]]] = []
    if numbers:
        fill = [("fill", SimpleImputer(strategy="median"))] if _has_nulls(contract) else []
        steps.append(("numbers", Pipeline([*fill, ("scale", StandardScaler())]), list(range(numbers))))
    if categories:
        values = [list(contract.columns[name].model_categories) for name in contract.categories]
        encoder = OneHotEncoder(categories=values, handle_unknown="ignore", sparse_output=False)
        steps.append(("categories", encoder, list(range(numbers, numbers + categories))))
    return ColumnTransformer(steps)


def _has_nulls(contract: Contract) -> bool:
    return any(contract.columns[name].nullable for name in contract.numbers)


def main(argv: Sequence[str]) -> None:
    """Arguments: TRAIN VALIDATION MODEL PARITY."""
    files = stage.paths(argv, "train", "validation", "model", "parity")
    settings = params.load()
    rows = pd.read_parquet(files.train)
    pipeline = train(rows, settings.contract, settings.train)
    model = onnx_export.export(pipeline, settings.contract, settings.train.decision_threshold)
    judged = pd.concat([rows, pd.read_parquet(files.validation)], ignore_index=True)
    report = onnx_export.parity(pipeline, model, judged, settings.contract, settings.train)
    files.model.parent.mkdir(parents=True, exist_ok=True)
    files.model.write_bytes(model)
    stage.write_json(files.parity, report)


if __name__ == "__main__":
    stage.run(main)
