"""Stage `evaluate`: measures the model that will be served, and refuses one that misses a success criterion."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_score,
    roc_auc_score,
    roc_curve,
)

from slipway import params
from slipway.contract import Contract
from slipway.errors import Refused
from slipway.params import Gates
from slipway.pipeline import stage
from slipway.scorer import Scorer

Metrics = dict[str, float]


def measure(
    positive: npt.NDArray[np.bool_], probability: npt.NDArray[np.float64], threshold: float
) -> Metrics:
    """Metrics of a binary classifier.

    Args:
        positive: Truth, shape (N,).
        probability: Of the positive label, shape (N,).
        threshold: From which probability a row counts as positive.
    """
    predicted = probability >= threshold
    (true_negative, false_positive), (false_negative, true_positive) = confusion_matrix(
        positive, predicted, labels=[False, True]
    ).tolist()
    return {
        "accuracy": float(accuracy_score(positive, predicted)),
        "precision": float(precision_score(positive, predicted, zero_division=0.0)),
        "recall": true_positive / (true_positive + false_negative),
        "f1": float(f1_score(positive, predicted, zero_division=0.0)),
        "roc_auc": float(roc_auc_score(positive, probability)),
        "false_positive_rate": false_positive / (false_positive + true_negative),
        "false_negative_rate": false_negative / (false_negative + true_positive),
    }


def gates(metrics: Mapping[str, Metrics], limits: Gates) -> list[str]:
    """The gates that a model fails: a line each with the metric, its value and the limit."""
    validation = metrics["validation"]
    gain = validation["roc_auc"] - metrics["baseline"]["roc_auc"]
    gap = metrics["train"]["accuracy"] - validation["accuracy"]
    checks = [
        ("recall", validation["recall"], ">=", "recall_minimum"),
        ("false_negative_rate", validation["false_negative_rate"], "<=", "false_negative_rate_maximum"),
        ("roc_auc over baseline", gain, ">=", "roc_auc_over_baseline_minimum"),
        ("overfit gap in accuracy", gap, "<=", "overfit_gap_maximum"),
    ]
    return [
        f"{metric} is {value:.4f}, must be {relation} {getattr(limits, name):g} (evaluate.gates.{name})"
        for metric, value, relation, name in checks
        # Written so that NaN fails.
        if not (value >= getattr(limits, name) if relation == ">=" else value <= getattr(limits, name))
    ]


def _baseline(train: pd.Series, validation: pd.Series) -> npt.NDArray[np.float64]:
    nothing = np.zeros((len(train), 1))
    constant = DummyClassifier(strategy="prior").fit(nothing, train)
    probability: npt.NDArray[np.float64] = constant.predict_proba(np.zeros((len(validation), 1)))[:, 1]
    return probability


def _probabilities(scorer: Scorer, frame: pd.DataFrame, contract: Contract) -> npt.NDArray[np.float64]:
    found = scorer.probabilities(contract.tensors(stage.rows(frame, contract)))
    if unknown := int((~np.isfinite(found)).sum()):
        raise Refused(
            f"the model answers {unknown} of {len(found)} rows with no probability; nothing is packaged"
        )
    return found


def main(argv: Sequence[str]) -> None:
    """Arguments: TRAIN VALIDATION MODEL METRICS CONFUSION ROC."""
    files = stage.paths(argv, "train", "validation", "model", "metrics", "confusion", "roc")
    settings = params.load()
    contract, target = settings.contract, settings.contract.target
    scorer = Scorer(files.model.read_bytes(), contract)
    frames = {"train": pd.read_parquet(files.train), "validation": pd.read_parquet(files.validation)}
    truth = {name: stage.is_positive(frame, contract) for name, frame in frames.items()}
    guess = {name: _probabilities(scorer, frame, contract) for name, frame in frames.items()}
    metrics = {name: measure(truth[name].to_numpy(), guess[name], scorer.threshold) for name in frames}
    baseline = _baseline(truth["train"], truth["validation"])
    metrics["baseline"] = measure(truth["validation"].to_numpy(), baseline, scorer.threshold)
    stage.write_json(files.metrics, metrics)
    names = np.array([target.negative, target.positive])
    pd.DataFrame(
        {
            "actual": names[truth["validation"].to_numpy().astype(int)],
            "predicted": names[(guess["validation"] >= scorer.threshold).astype(int)],
        }
    ).to_csv(files.confusion, index=False)
    false_positive, true_positive, _ = roc_curve(truth["validation"], guess["validation"])
    pd.DataFrame({"false_positive_rate": false_positive, "true_positive_rate": true_positive}).to_csv(
        files.roc, index=False
    )
    if failed := gates(metrics, settings.evaluate.gates):
        raise Refused(
            "\n".join(
                ["the model misses its success criteria; nothing is packaged:", *(f"  {g}" for g in failed)]
            )
        )


if __name__ == "__main__":
    stage.run(main)
