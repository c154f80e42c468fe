"""The success criteria: measured on the model that will be served, and refused with metric, value and limit."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slipway.errors import Refused
from slipway.params import Gates, Params
from slipway.pipeline import evaluate as stage_evaluate
from slipway.pipeline import stage
from slipway.pipeline.evaluate import Metrics, gates, measure
from slipway.pipeline.onnx_export import export
from slipway.pipeline.split import Parts
from slipway.pipeline.train import train

ARGUMENTS = [
    "train.parquet",
    "validation.parquet",
    "model.onnx",
    "reports/metrics.json",
    "reports/confusion.csv",
    "reports/roc.csv",
]
LIMITS = Gates(
    recall_minimum=0.9,
    false_negative_rate_maximum=0.1,
    roc_auc_over_baseline_minimum=0.3,
    overfit_gap_maximum=0.05,
)


def metrics(**change: float) -> dict[str, Metrics]:
    """Metrics that pass every gate, save for the changes: `validation_recall=0.5`."""
    sound: dict[str, Metrics] = {
        "train": {"accuracy": 0.96},
        "validation": {"accuracy": 0.95, "recall": 0.95, "false_negative_rate": 0.05, "roc_auc": 0.97},
        "baseline": {"roc_auc": 0.5},
    }
    for name, value in change.items():
        part, _, metric = name.partition("_")
        assert metric in sound[part]
        sound[part][metric] = value
    return sound


def test_metrics_are_those_of_the_textbook() -> None:
    positive = np.array([True, True, True, True, False, False, False, False, False, False])
    probability = np.array([0.9, 0.8, 0.6, 0.3, 0.7, 0.4, 0.35, 0.2, 0.1, 0.05])

    found = measure(positive, probability, threshold=0.5)

    # 3 true positives, 1 false negative, 1 false positive, 5 true negatives; of 24 pairs, 20 in order.
    assert found == pytest.approx(
        {
            "accuracy": 8 / 10,
            "precision": 3 / 4,
            "recall": 3 / 4,
            "f1": 3 / 4,
            "roc_auc": 20 / 24,
            "false_positive_rate": 1 / 6,
            "false_negative_rate": 1 / 4,
        }
    )


def test_a_probability_on_the_threshold_counts_as_positive() -> None:
    found = measure(np.array([True, False]), np.array([0.5, 0.4]), threshold=0.5)

    assert (found["recall"], found["false_positive_rate"]) == (1.0, 0.0)


def test_a_model_that_never_says_positive_has_metrics_too() -> None:
    found = measure(np.array([True, False]), np.array([0.1, 0.1]), threshold=0.5)

    assert (found["precision"], found["f1"], found["false_negative_rate"]) == (0.0, 0.0, 1.0)


def test_a_sound_model_fails_no_gate() -> None:
    assert gates(metrics(), LIMITS) == []


def test_a_value_on_its_limit_passes() -> None:
    on_the_limit = metrics(
        validation_recall=0.9,
        validation_false_negative_rate=0.1,
        validation_roc_auc=0.75,
        baseline_roc_auc=0.25,
        train_accuracy=0.75,
        validation_accuracy=0.5,
    )
    exact = LIMITS.model_copy(update={"roc_auc_over_baseline_minimum": 0.5, "overfit_gap_maximum": 0.25})

    assert gates(on_the_limit, exact) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"validation_recall": 0.85},
            "recall is 0.8500, must be >= 0.9 (evaluate.gates.recall_minimum)",
        ),
        (
            {"validation_false_negative_rate": 0.15},
            "false_negative_rate is 0.1500, must be <= 0.1 (evaluate.gates.false_negative_rate_maximum)",
        ),
        (
            {"validation_roc_auc": 0.75},
            "roc_auc over baseline is 0.2500, must be >= 0.3 (evaluate.gates.roc_auc_over_baseline_minimum)",
        ),
        (
            {"baseline_roc_auc": 0.7},
            "roc_auc over baseline is 0.2700, must be >= 0.3 (evaluate.gates.roc_auc_over_baseline_minimum)",
        ),
        (
            {"validation_accuracy": 0.9},
            "overfit gap in accuracy is 0.0600, must be <= 0.05 (evaluate.gates.overfit_gap_maximum)",
        ),
    ],
)
def test_a_missed_gate_is_told_with_metric_value_and_limit(change: dict[str, float], line: str) -> None:
    assert [line] == gates(metrics(**change), LIMITS)


@pytest.mark.parametrize(
    ("metric", "gate"),
    [
        ("validation_recall", "recall_minimum"),
        ("validation_false_negative_rate", "false_negative_rate_maximum"),
        ("validation_roc_auc", "roc_auc_over_baseline_minimum"),
        ("baseline_roc_auc", "roc_auc_over_baseline_minimum"),
        ("validation_accuracy", "overfit_gap_maximum"),
        ("train_accuracy", "overfit_gap_maximum"),
    ],
)
def test_a_metric_that_is_no_number_fails_its_gate(metric: str, gate: str) -> None:
    (line,) = gates(metrics(**{metric: math.nan}), LIMITS)

    assert "is nan, must be" in line
    assert f"(evaluate.gates.{gate})" in line


def test_every_missed_gate_is_told() -> None:
    hopeless = metrics(
        validation_recall=0.1,
        validation_false_negative_rate=0.9,
        validation_roc_auc=0.5,
        validation_accuracy=0.4,
    )

    assert len(gates(hopeless, LIMITS)) == 4


@pytest.fixture
def entered(parts: Parts, settings: Params, workspace: Callable[[Params], Path]) -> Callable[[Params], Path]:
    """A folder with data and a model trained by the repository's own parameters."""

    def enter(changed: Params) -> Path:
        folder = workspace(changed)
        stage.write_frame(folder / "train.parquet", parts.train)
        stage.write_frame(folder / "validation.parquet", parts.validation)
        pipeline = train(parts.train, settings.contract, settings.train)
        model = export(pipeline, settings.contract, settings.train.decision_threshold)
        (folder / "model.onnx").write_bytes(model)
        (folder / "reports").mkdir()
        return folder

    return enter


def test_the_stage_writes_metrics_and_plots_that_agree(
    parts: Parts, settings: Params, entered: Callable[[Params], Path]
) -> None:
    folder = entered(settings)

    stage_evaluate.main(ARGUMENTS)

    found = json.loads((folder / "reports/metrics.json").read_text())
    confusion = pd.read_csv(folder / "reports/confusion.csv")
    roc = pd.read_csv(folder / "reports/roc.csv")
    assert {"train", "validation", "baseline"} == set(found)
    assert parts.validation["diagnosis"].tolist() == confusion["actual"].tolist()
    assert (confusion["actual"] == confusion["predicted"]).mean() == found["validation"]["accuracy"]
    assert np.trapezoid(roc["true_positive_rate"], roc["false_positive_rate"]) == pytest.approx(
        found["validation"]["roc_auc"]
    )


def test_the_baseline_knows_nothing_but_frequencies(
    settings: Params, entered: Callable[[Params], Path]
) -> None:
    folder = entered(settings)

    stage_evaluate.main(ARGUMENTS)

    baseline = json.loads((folder / "reports/metrics.json").read_text())["baseline"]
    assert baseline["roc_auc"] == 0.5
    assert baseline["accuracy"] < 0.7


def harsh(settings: Params) -> Params:
    """No model is better than the baseline by 1: that knows nothing, and its area is one half."""
    strict = settings.evaluate.gates.model_copy(update={"roc_auc_over_baseline_minimum": 1.0})
    return settings.model_copy(update={"evaluate": settings.evaluate.model_copy(update={"gates": strict})})


def test_a_model_that_misses_its_gates_is_refused_but_its_metrics_are_kept(
    settings: Params, entered: Callable[[Params], Path]
) -> None:
    folder = entered(harsh(settings))

    with pytest.raises(Refused) as caught:
        stage_evaluate.main(ARGUMENTS)

    found = json.loads((folder / "reports/metrics.json").read_text())
    gain = found["validation"]["roc_auc"] - found["baseline"]["roc_auc"]
    assert str(caught.value).splitlines() == [
        "the model misses its success criteria; nothing is packaged:",
        f"  roc_auc over baseline is {gain:.4f}, must be >= 1 (evaluate.gates.roc_auc_over_baseline_minimum)",
    ]


def test_what_is_measured_is_the_file_that_will_be_served(
    parts: Parts,
    settings: Params,
    entered: Callable[[Params], Path],
) -> None:
    folder = entered(settings)
    shuffled = parts.train.assign(diagnosis=parts.train["diagnosis"].to_numpy()[::-1])
    worse = train(shuffled, settings.contract, settings.train)
    (folder / "model.onnx").write_bytes(export(worse, settings.contract, 0.5))

    with pytest.raises(Refused, match="recall is 0"):
        stage_evaluate.main(ARGUMENTS)


def test_a_model_that_answers_no_probability_is_refused(
    parts: Parts, settings: Params, entered: Callable[[Params], Path]
) -> None:
    folder = entered(settings)
    broken = train(parts.train, settings.contract, settings.train)
    broken[-1].coef_[:] = math.nan
    (folder / "model.onnx").write_bytes(export(broken, settings.contract, 0.5))

    with pytest.raises(
        Refused, match=rf"^the model answers {len(parts.train)} of {len(parts.train)} rows with no"
    ):
        stage_evaluate.main(ARGUMENTS)
