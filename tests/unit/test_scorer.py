"""The one way to a prediction, on a model whose answers can be worked out by hand."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from slipway.contract import Contract
from slipway.errors import InputError
from slipway.scorer import Prediction, Scorer

from .conftest import ROOT

ROW = {"width": 0.75, "depth": 2.0}
"""Its score is 0, so its probability is one half exactly."""


def test_it_answers_with_the_probability_of_the_positive_label(
    contract: Contract,
    linear: Callable[..., bytes],
    probability: Callable[[Mapping[str, float]], float],
) -> None:
    rows = [{"width": 1.0, "depth": 0.0}, {"width": -4.0, "depth": 3.0}]

    answers = Scorer(linear(), contract).predict(rows)

    assert [answer.label for answer in answers] == ["worn", "sound"]
    assert [answer.probability for answer in answers] == pytest.approx(
        [probability(row) for row in rows], abs=1e-15
    )


def test_answers_come_in_the_order_of_the_rows(contract: Contract, linear: Callable[..., bytes]) -> None:
    rows = [{"width": float(width), "depth": 0.0} for width in (3, -3, 1, -1)]
    scorer = Scorer(linear(), contract)

    assert [scorer.predict([row])[0] for row in rows] == scorer.predict(rows)


@pytest.mark.parametrize(("threshold", "label"), [(0.5, "worn"), (0.5000001, "sound"), (0.1, "worn")])
def test_a_row_on_the_threshold_is_positive(
    contract: Contract, linear: Callable[..., bytes], threshold: float, label: str
) -> None:
    scorer = Scorer(linear(threshold=threshold), contract)

    assert scorer.predict([ROW]) == [Prediction(label, 0.5)]


def test_the_threshold_comes_from_the_model(contract: Contract, linear: Callable[..., bytes]) -> None:
    assert Scorer(linear(threshold=0.25), contract).threshold == 0.25


def test_a_model_without_a_threshold_is_refused(contract: Contract, linear: Callable[..., bytes]) -> None:
    with pytest.raises(InputError, match=r"model.onnx has no 'decision_threshold' in its metadata"):
        Scorer(linear(threshold=None), contract)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x80\x04}."], ids=["empty", "text", "pickle"])
def test_what_is_no_onnx_is_refused(contract: Contract, content: bytes) -> None:
    with pytest.raises(InputError, match=r"^model.onnx is no model that ONNX Runtime can load: "):
        Scorer(content, contract)


def test_no_rows_give_no_predictions(contract: Contract, linear: Callable[..., bytes]) -> None:
    assert Scorer(linear(), contract).predict([]) == []


def test_probabilities_are_float64_one_a_row(contract: Contract, linear: Callable[..., bytes]) -> None:
    probabilities = Scorer(linear(), contract).probabilities({"numeric": np.zeros((5, 2))})

    assert probabilities.dtype == np.float64
    assert probabilities.shape == (5,)


def test_a_tensor_that_the_model_has_dropped_is_not_fed(linear: Callable[..., bytes]) -> None:
    columns = {
        "width": {"type": "number"},
        "depth": {"type": "number"},
        "maker": {"type": "category", "categories": ["a"]},
    }
    target = {"column": "state", "positive": "worn", "negative": "sound"}
    mixed = Contract.model_validate_json(json.dumps({"target": target, "columns": columns}))

    assert Scorer(linear(), mixed).predict([{**ROW, "maker": "a"}]) == [Prediction("worn", 0.5)]


def test_a_model_is_run_without_an_id_of_this_machine_or_a_word_to_anybody(
    contract: Contract, linear: Callable[..., bytes], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    model, given = tmp_path / "model.onnx", tmp_path / "contract.json"
    model.write_bytes(linear())
    given.write_text(contract.to_json())
    program = f"""
import pathlib
from slipway.contract import Contract
from slipway.scorer import Scorer
contract = Contract.model_validate_json(pathlib.Path({str(given)!r}).read_text())
print(Scorer(pathlib.Path({str(model)!r}).read_bytes(), contract).predict([{ROW}])[0].label)
"""
    inherited = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment = {**inherited, "HOME": str(home), "PYTHONPATH": str(ROOT / "src")}

    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout == "worn\n"
    assert list(home.rglob("*")) == []
