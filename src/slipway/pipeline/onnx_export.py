"""A fitted scikit-learn pipeline as ONNX bytes, and the proof that it answers the same.

The recipe is decision 0001: double inputs, one tensor of numbers and one of strings, an imputer of our own, and
bytes that do not depend on the hash seed. Some converters are silently wrong, hence `parity`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from onnx import ModelProto
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.algebra.onnx_ops import OnnxIsNaN, OnnxWhere
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline

from slipway.contract import Contract
from slipway.errors import Refused
from slipway.params import Train
from slipway.pipeline import stage
from slipway.scorer import OUTPUT, THRESHOLD, Scorer

_OPSET = 21
_FAR = 1e6
"""How far the corners go where a column has no limit."""


def export(pipeline: Pipeline, contract: Contract, decision_threshold: float) -> bytes:
    """Convert to ONNX.

    Returns:
        A serialised model with inputs `numeric` (float64, N x numbers) and `categorical` (string, N x
        categories), as far as the contract has such columns, and the output `scorer.OUTPUT`; equal for equal
        pipelines.
    """
    update_registered_converter(SimpleImputer, "SlipwayImputer", _imputed_shape, _imputed, overwrite=True)
    inputs: list[tuple[str, Any]] = []
    if contract.numbers:
        inputs.append(("numeric", DoubleTensorType([None, len(contract.numbers)])))
    if contract.categories:
        inputs.append(("categorical", StringTensorType([None, len(contract.categories)])))
    model: ModelProto = convert_sklearn(
        pipeline,
        name="slipway",
        initial_types=inputs,
        target_opset={"": _OPSET, "ai.onnx.ml": 3},
        options={id(pipeline[-1]): {"zipmap": False}},
    )
    # The label is decided by the threshold, so the graph's own label must not be there to disagree.
    (typed,) = [output for output in model.graph.output if output.name == OUTPUT]
    alone = select_model_inputs_outputs(model, [OUTPUT])
    alone.graph.output[0].CopyFrom(typed)
    return _serialised(alone, decision_threshold)


def parity(
    pipeline: Pipeline, model: bytes, frame: pd.DataFrame, contract: Contract, settings: Train
) -> dict[str, float | int]:
    """Compare scikit-learn with ONNX Runtime on real rows and on rows from the contract's corners.

    Raises:
        Refused: A probability differs by more than `train.parity_tolerance`. Labels are counted, not judged:
            within the tolerance only those on the threshold can differ (of a forest's votes, half).
    """
    scorer = Scorer(model, contract)
    both = pd.concat([frame[list(contract.columns)], corners(contract, settings.seed)], ignore_index=True)
    expected = pipeline.predict_proba(stage.features(both, contract))[:, 1]
    actual = scorer.probabilities(contract.tensors(stage.rows(both, contract)))
    largest = float(np.abs(expected - actual).max())
    labels = int(((expected >= scorer.threshold) != (actual >= scorer.threshold)).sum())
    # Written so that NaN is refused.
    if not largest <= settings.parity_tolerance:
        raise Refused(
            f"ONNX Runtime and scikit-learn disagree on {settings.estimator}: largest difference in a "
            f"probability {largest:.3g} (limit train.parity_tolerance {settings.parity_tolerance:.3g}), "
            f"{labels} of {len(both)} labels differ"
        )
    return {"rows": len(both), "largest_difference": largest, "labels_different": labels}


def corners(contract: Contract, seed: int, rows: int = 200) -> pd.DataFrame:
    """Rows from all over the contract, limits and nulls included: what callers may send and data may lack."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            name: _values(random, column.minimum, column.maximum, column.categories, column.nullable, rows)
            for name, column in contract.columns.items()
        }
    )


def _values(
    random: np.random.Generator,
    minimum: float | None,
    maximum: float | None,
    categories: tuple[str, ...],
    nullable: bool,  # noqa: FBT001 - a column's attribute, passed on
    rows: int,
) -> pd.Series:
    if categories:
        values = pd.Series(random.choice(np.array(categories, dtype=object), rows), dtype=object)
    else:
        low = min(-_FAR, (maximum or 0.0) - _FAR) if minimum is None else minimum
        high = max(_FAR, low + _FAR) if maximum is None else maximum
        values = pd.Series(low + (high - low) * random.beta(0.3, 0.3, rows))
        values.iloc[0], values.iloc[1] = low, high
    return values.mask(random.random(rows) < 0.1) if nullable else values  # noqa: PLR2004 - one in ten


def _serialised(model: ModelProto, decision_threshold: float) -> bytes:
    versions = sorted((entry.domain, entry.version) for entry in model.opset_import)
    del model.opset_import[:]
    for domain, version in versions:
        model.opset_import.add(domain=domain, version=version)
    del model.metadata_props[:]
    model.metadata_props.add(key=THRESHOLD, value=repr(decision_threshold))
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


def _imputed_shape(operator: Any) -> None:
    given = operator.inputs[0].type
    operator.outputs[0].type = type(given)([given.shape[0], given.shape[1]])


def _imputed(scope: Any, operator: Any, container: Any) -> None:
    """IsNaN and Where, because ONNX Runtime's own Imputer knows no double."""
    (given,) = operator.inputs
    fill: npt.NDArray[np.float64] = operator.raw_operator.statistics_.astype(np.float64)
    version = container.target_opset
    filled = OnnxWhere(
        OnnxIsNaN(given, op_version=version), fill, given, op_version=version, output_names=operator.outputs
    )
    filled.add_to(scope, container)
