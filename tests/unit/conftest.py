"""A contract of two numbers, a model whose answers can be worked out by hand, and the bundle of both."""

import io
import json
import math
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from slipway import bundle, scorer
from slipway.contract import Contract

ROOT = Path(__file__).parents[2]
WEIGHTS, BIAS = (2.0, -1.0), 0.5
ROWS = ({"width": -3.0, "depth": 1.0}, {"width": 0.0, "depth": 0.0}, {"width": 1.0, "depth": 4.0})


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract.model_validate_json(
        json.dumps(
            {
                "target": {"column": "state", "positive": "worn", "negative": "sound"},
                "columns": {"width": {"type": "number"}, "depth": {"type": "number"}},
            }
        )
    )


@pytest.fixture(scope="session")
def linear() -> Callable[..., bytes]:
    """Makes `model.onnx`: the probability is sigmoid(weights x row + bias)."""

    def make(weights: Sequence[float] = WEIGHTS, bias: float = BIAS, threshold: float | None = 0.5) -> bytes:
        constants = {"weights": np.array([weights]).T, "bias": np.array([bias]), "one": np.ones(1)}
        graph = helper.make_graph(
            [
                helper.make_node("MatMul", ["numeric", "weights"], ["product"]),
                helper.make_node("Add", ["product", "bias"], ["score"]),
                helper.make_node("Sigmoid", ["score"], ["positive"]),
                helper.make_node("Sub", ["one", "positive"], ["negative"]),
                helper.make_node("Concat", ["negative", "positive"], [scorer.OUTPUT], axis=1),
            ],
            "linear",
            [helper.make_tensor_value_info("numeric", TensorProto.DOUBLE, ["rows", len(weights)])],
            [helper.make_tensor_value_info(scorer.OUTPUT, TensorProto.DOUBLE, ["rows", 2])],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        if threshold is not None:
            helper.set_model_props(model, {scorer.THRESHOLD: str(threshold)})
        serialised: bytes = model.SerializeToString()
        return serialised

    return make


@pytest.fixture(scope="session")
def probability() -> Callable[[Mapping[str, float]], float]:
    """What `linear` must answer to a row, worked out without ONNX."""

    def work_out(row: Mapping[str, float]) -> float:
        score = WEIGHTS[0] * row["width"] + WEIGHTS[1] * row["depth"] + BIAS
        return 1 / (1 + math.exp(-score))

    return work_out


@pytest.fixture
def contents(
    contract: Contract,
    linear: Callable[..., bytes],
    probability: Callable[[Mapping[str, float]], float],
) -> dict[str, bytes]:
    """The five files of a sound bundle."""
    answers = [["worn" if probability(row) >= 0.5 else "sound", probability(row)] for row in ROWS]
    return {
        bundle.MODEL: linear(),
        bundle.CONTRACT: contract.to_json().encode(),
        bundle.GOLDEN: json.dumps({"tolerance": 1e-9, "rows": ROWS, "expected": answers}).encode(),
        bundle.REFERENCE: b'{"rows": 3}\n',
        bundle.CARD: b"# wear\n",
    }


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[[Mapping[str, bytes]], Path]:
    """Packs files into a bundle and unpacks it, as a host does; returns the folder."""

    def unpack(contents: Mapping[str, bytes]) -> Path:
        folder = tmp_path / "bundle"
        packed, _ = bundle.pack("wear", contents)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        return folder

    return unpack
