"""Runs `model.onnx` on rows of the contract: the one way to a prediction, offline and on a host."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from slipway.contract import Contract
from slipway.errors import InputError

OUTPUT = "probabilities"
"""The graph's only output: float64 (of trees: float32) of shape (N, 2), negative label first."""

THRESHOLD = "decision_threshold"
"""The key of the model's metadata that holds the probability from which a row is positive."""


class Prediction(NamedTuple):
    label: str
    probability: float
    """Of the positive label, between 0 and 1."""


class Scorer:
    """A model ready to answer; one thread, so that a host's processes do not fight over cores."""

    def __init__(self, model: bytes, contract: Contract) -> None:
        self._session = _session(model)
        self._contract = contract
        self._inputs = frozenset(given.name for given in self._session.get_inputs())
        metadata = self._session.get_modelmeta().custom_metadata_map
        if THRESHOLD not in metadata:
            raise InputError(f"model.onnx has no {THRESHOLD!r} in its metadata, so it is none of Slipway's")
        self.threshold = float(metadata[THRESHOLD])

    def probabilities(self, tensors: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        """Probability of the positive label.

        Args:
            tensors: What `Contract.tensors` returns for N rows.

        Returns:
            float64 of shape (N,).
        """
        feeds = {name: tensor for name, tensor in tensors.items() if name in self._inputs}
        (both,) = self._session.run([OUTPUT], feeds)
        positive: npt.NDArray[np.float64] = both[:, 1].astype(np.float64)
        return positive

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[Prediction]:
        """Predictions for rows that satisfy the contract, in their order."""
        target = self._contract.target
        return [
            Prediction(target.positive if probability >= self.threshold else target.negative, probability)
            for probability in self.probabilities(self._contract.tensors(rows)).tolist()
        ]


def _session(model: bytes) -> Any:
    # When imported, ONNX Runtime 1.31 writes an id of this machine to the home folder and reports it to
    # Microsoft, unless it is told not to before.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no class of their own below this one
        raise InputError(f"model.onnx is no model that ONNX Runtime can load: {error}") from error
