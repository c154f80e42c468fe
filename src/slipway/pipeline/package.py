"""Stage `package`: the bundle, deterministic to the byte, and the manifest that git keeps of it."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from huggingface_hub import EvalResult, ModelCardData

from slipway import bundle, params
from slipway.bundle import Golden
from slipway.contract import Contract
from slipway.params import Params
from slipway.pipeline import stage
from slipway.scorer import Scorer

_LIBRARIES = ("numpy", "onnx", "onnxruntime", "pandas", "scikit-learn", "skl2onnx")


def golden(frame: pd.DataFrame, scorer: Scorer, settings: Params) -> Golden:
    """Rows spread evenly over the model's probabilities, with its answers to each alone."""
    contract = settings.contract
    probability = scorer.probabilities(contract.tensors(stage.rows(frame, contract)))
    order = np.argsort(probability, kind="stable")
    positions = np.linspace(0, len(order) - 1, min(settings.package.golden_rows, len(order))).astype(int)
    rows = stage.rows(frame.iloc[order[positions]], contract)
    return Golden(
        tolerance=settings.package.golden_tolerance,
        rows=rows,
        expected=[scorer.predict([row])[0] for row in rows],
    )


def reference(frame: pd.DataFrame, scorer: Scorer, contract: Contract) -> dict[str, Any]:
    """What the training rows looked like: against this, monitoring will see drift."""
    probability = pd.Series(scorer.probabilities(contract.tensors(stage.rows(frame, contract))))
    return {
        "rows": len(frame),
        "columns": {
            name: _numbers(frame[name]) if column.type == "number" else _categories(frame[name])
            for name, column in contract.columns.items()
        },
        "probability": _numbers(probability),
        "positive_share": float((probability >= scorer.threshold).mean()),
    }


def _numbers(values: pd.Series) -> dict[str, Any]:
    known = values.dropna()
    edges = np.unique(np.quantile(known, np.linspace(0, 1, 11)))
    counts, _ = np.histogram(known, edges) if len(edges) > 1 else (np.array([len(known)]), edges)
    return {
        "null_share": float(values.isna().mean()),
        "mean": float(known.mean()),
        "standard_deviation": float(known.std(ddof=0)),  # of one row: 0, not NaN
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def _categories(values: pd.Series) -> dict[str, Any]:
    return {
        "null_share": float(values.isna().mean()),
        "counts": {str(name): int(count) for name, count in values.value_counts().sort_index().items()},
    }


def card(settings: Params, metrics: Mapping[str, Mapping[str, float]], data_digest: str) -> str:
    """A model card in Hugging Face's format (https://huggingface.co/docs/hub/model-cards)."""
    model, target = settings.model, settings.contract.target
    results = [
        EvalResult(
            task_type="tabular-classification",
            dataset_type="validation",
            dataset_name=f"validation, {settings.split.validation:.0%} of the data",
            metric_type=name,
            metric_value=round(value, 6),
        )
        for name, value in metrics["validation"].items()
    ]
    data = ModelCardData(
        model_name=model.name,
        language=model.language,
        license=model.license,
        library_name="onnx",
        pipeline_tag="tabular-classification",
        tags=["tabular-classification", "slipway"],
        eval_results=results,
    )
    rows = "\n".join(
        f"| {name} | {metrics['train'][name]:.4f} | {value:.4f} | {metrics['baseline'][name]:.4f} |"
        for name, value in metrics["validation"].items()
    )
    columns = "\n".join(
        f"| `{name}` | {column.type} | {_limits(column.model_dump())} | {'yes' if column.nullable else 'no'} |"
        for name, column in settings.contract.columns.items()
    )
    return f"""---
{data.to_yaml()}
---

# {model.name}

{model.description}

It answers `{target.positive}` from a probability of {settings.train.decision_threshold:g}, else `{target.negative}`.
Estimator: `{settings.train.estimator}` with `{json.dumps(settings.train.hyperparameters)}`.

## Metrics

`{target.positive}` is the positive label. The baseline always answers with the labels' frequencies.

| metric | train | validation | baseline |
|---|---|---|---|
{rows}

## Inputs

| column | type | limits | nullable |
|---|---|---|---|
{columns}

## Training data

Parquet with sha256 `{data_digest}`. {settings.split.acceptance:.0%} of the rows were never seen in training or
tuning; they are sent through the live endpoint after every roll-out.
"""


def _limits(column: Mapping[str, Any]) -> str:
    if column["type"] == "category":
        return ", ".join(column["categories"])
    low, high = column["minimum"], column["maximum"]
    return f"{'-∞' if low is None else f'{low:g}'} to {'∞' if high is None else f'{high:g}'}"


def main(argv: Sequence[str]) -> None:
    """Arguments: DATA_REPORT TRAIN MODEL METRICS LOCK BUNDLE MANIFEST."""
    files = stage.paths(argv, "data_report", "train", "model", "metrics", "lock", "bundle", "manifest")
    settings = params.load()
    model, train = files.model.read_bytes(), pd.read_parquet(files.train)
    metrics = json.loads(files.metrics.read_text())
    data_digest = json.loads(files.data_report.read_text())["sha256"]
    scorer = Scorer(model, settings.contract)
    packed, listing = bundle.pack(
        settings.model.name,
        {
            bundle.MODEL: model,
            bundle.CONTRACT: settings.contract.to_json().encode(),
            bundle.GOLDEN: _json(golden(train, scorer, settings).model_dump()),
            bundle.REFERENCE: _json(reference(train, scorer, settings.contract)),
            bundle.CARD: card(settings, metrics, data_digest).encode(),
        },
    )
    files.bundle.parent.mkdir(parents=True, exist_ok=True)
    files.bundle.write_bytes(packed)
    stage.write_json(
        files.manifest,
        {
            **listing.model_dump(),
            "bundle": {"sha256": hashlib.sha256(packed).hexdigest(), "bytes": len(packed)},
            "contract": settings.contract.digest,
            "inputs": {
                "data": data_digest,
                "lock": bundle.sha256(files.lock),
                "params": params_digest(settings),
            },
            "libraries": {
                "python": ".".join(platform.python_version_tuple()[:2]),
                **{name: version(name) for name in _LIBRARIES},
            },
            "metrics": {name: metrics[name] for name in ("train", "validation")},
        },
    )


def params_digest(settings: Params) -> str:
    """Sha256 of what shapes the bundle."""
    shaping = settings.model_dump(mode="json", exclude={"runtime", "acceptance"})
    return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, allow_nan=False).encode() + b"\n"


if __name__ == "__main__":
    stage.run(main)
