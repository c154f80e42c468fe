"""The bundle says what the model is, what it learnt from and how it answers; the manifest, what it is made of."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from slipway import bundle
from slipway.bundle import Bundle
from slipway.params import Params
from slipway.pipeline import evaluate, ingest, package, split, stage, train
from slipway.pipeline.onnx_export import export
from slipway.scorer import Scorer

from .conftest import ESTIMATORS

PACKAGE = [
    "data.json",
    "train.parquet",
    "model.onnx",
    "metrics.json",
    "uv.lock",
    "out/bundle.tar",
    "out/manifest.json",
]


@pytest.fixture
def run(mixed: pd.DataFrame, workspace: Callable[[Params], Path]) -> Callable[[Params], Path]:
    """Runs the pipeline from a CSV of mixed types to the bundle; returns the folder."""

    def through(settings: Params) -> Path:
        folder = workspace(settings)
        mixed.to_csv("cases.csv", index=False)
        (folder / "uv.lock").write_text("locked\n")
        ingest.main(["cases.csv", "cases.parquet", "data.json"])
        split.main(["cases.parquet", "train.parquet", "validation.parquet", "acceptance.parquet"])
        train.main(["train.parquet", "validation.parquet", "model.onnx", "parity.json"])
        evaluate.main(
            ["train.parquet", "validation.parquet", "model.onnx", "metrics.json", "confusion.csv", "roc.csv"]
        )
        package.main(PACKAGE)
        with tarfile.open("out/bundle.tar") as archive:
            archive.extractall("unpacked", filter="data")
        return folder

    return through


@pytest.fixture
def packed(run: Callable[[Params], Path], mixed_settings: Callable[[str], Params]) -> Path:
    return run(mixed_settings("logistic_regression"))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_mixed_problem_goes_from_csv_to_a_sound_bundle(
    run: Callable[[Params], Path], mixed_settings: Callable[[str], Params], estimator: str
) -> None:
    folder = run(mixed_settings(estimator))

    made = Bundle(folder / "unpacked")
    answers = made.scorer().predict(made.golden.rows)
    assert {"ill", "well"} == {answer.label for answer in answers}


def test_the_manifest_of_the_bundle_names_each_byte_in_it(packed: Path) -> None:
    manifest = json.loads((packed / "out/manifest.json").read_text())
    tar = (packed / "out/bundle.tar").read_bytes()

    assert {"sha256": hashlib.sha256(tar).hexdigest(), "bytes": len(tar)} == manifest["bundle"]
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((packed / "unpacked" / name).read_bytes()).hexdigest() == digest, name
    assert set(bundle.CONTENTS) == set(manifest["files"])


def test_the_manifest_names_data_lock_and_libraries(packed: Path) -> None:
    manifest = json.loads((packed / "out/manifest.json").read_text())

    assert hashlib.sha256((packed / "cases.parquet").read_bytes()).hexdigest() == manifest["inputs"]["data"]
    assert hashlib.sha256(b"locked\n").hexdigest() == manifest["inputs"]["lock"]
    assert np.__version__ == manifest["libraries"]["numpy"]
    assert Bundle(packed / "unpacked").contract.digest == manifest["contract"]


def test_the_manifest_carries_the_metrics(packed: Path) -> None:
    metrics = json.loads((packed / "metrics.json").read_text())

    manifest = json.loads((packed / "out/manifest.json").read_text())

    assert {name: metrics[name] for name in ("train", "validation")} == manifest["metrics"]


def test_packaging_again_gives_equal_bytes(packed: Path) -> None:
    first = {name: (packed / "out" / name).read_bytes() for name in ("bundle.tar", "manifest.json")}

    package.main(PACKAGE)

    assert first == {name: (packed / "out" / name).read_bytes() for name in first}


def test_the_bundle_holds_no_pickle_and_no_data(packed: Path) -> None:
    with tarfile.open(packed / "out/bundle.tar") as archive:
        names = archive.getnames()

    assert names == [
        "README.md",
        "contract.json",
        "golden.json",
        "manifest.json",
        "model.onnx",
        "reference.json",
    ]


@pytest.mark.parametrize(
    ("section", "change", "told"),
    [
        ("train", {"seed": 8}, True),
        ("split", {"seed": 21}, True),
        ("package", {"golden_rows": 3}, True),
        ("runtime", {"platforms": ("manylinux_2_28_aarch64",)}, False),
        ("acceptance", {"recall_drop_maximum": 0.9}, False),
    ],
)
def test_the_digest_of_the_parameters_covers_what_shapes_the_model(
    settings: Params,
    section: str,
    change: dict[str, Any],
    told: bool,  # noqa: FBT001
) -> None:
    changed = settings.model_copy(update={section: getattr(settings, section).model_copy(update=change)})

    assert told == (package.params_digest(settings) != package.params_digest(changed))


@pytest.fixture(scope="module")
def scorer(mixed: pd.DataFrame, mixed_settings: Callable[[str], Params]) -> Scorer:
    settings = mixed_settings("logistic_regression")
    pipeline = train.train(mixed, settings.contract, settings.train)
    return Scorer(export(pipeline, settings.contract, 0.5), settings.contract)


def test_golden_rows_span_the_model_s_answers(
    mixed: pd.DataFrame, mixed_settings: Callable[[str], Params], scorer: Scorer
) -> None:
    settings = mixed_settings("logistic_regression")
    every = scorer.probabilities(settings.contract.tensors(stage.rows(mixed, settings.contract)))

    golden = package.golden(mixed, scorer, settings)

    probabilities = [answer.probability for answer in golden.expected]
    assert settings.package.golden_rows == len(golden.rows) == len(probabilities)
    assert sorted(probabilities) == pytest.approx(probabilities)
    assert (every.min(), every.max()) == pytest.approx((probabilities[0], probabilities[-1]))
    assert [scorer.predict([row])[0] for row in golden.rows] == golden.expected
    assert settings.package.golden_tolerance == golden.tolerance


def test_fewer_rows_than_golden_rows_are_all_golden(
    mixed: pd.DataFrame, mixed_settings: Callable[[str], Params], scorer: Scorer
) -> None:
    golden = package.golden(mixed.iloc[:5], scorer, mixed_settings("logistic_regression"))

    assert len(golden.rows) == 5


def test_the_reference_counts_every_value_and_every_null(
    mixed: pd.DataFrame, mixed_settings: Callable[[str], Params], scorer: Scorer
) -> None:
    contract = mixed_settings("logistic_regression").contract

    found = package.reference(mixed, scorer, contract)

    assert list(contract.columns) == list(found["columns"])
    marker, smoker = found["columns"]["marker"], found["columns"]["smoker"]
    assert mixed["marker"].isna().mean() == marker["null_share"] > 0
    assert mixed["marker"].notna().sum() == sum(marker["histogram"]["counts"])
    assert len(marker["histogram"]["edges"]) == len(marker["histogram"]["counts"]) + 1
    assert mixed["smoker"].value_counts().to_dict() == smoker["counts"]
    assert found["positive_share"] == pytest.approx((mixed["outcome"] == "ill").mean(), abs=0.1)


def test_the_reference_of_a_column_with_one_value_is_one_bar(
    mixed: pd.DataFrame, mixed_settings: Callable[[str], Params], scorer: Scorer
) -> None:
    contract = mixed_settings("logistic_regression").contract

    found = package.reference(mixed.assign(age=40.0), scorer, contract)["columns"]["age"]

    assert {"edges": [40.0], "counts": [len(mixed)]} == found["histogram"]


def test_the_reference_of_a_single_row_is_json(
    mixed: pd.DataFrame, mixed_settings: Callable[[str], Params], scorer: Scorer
) -> None:
    contract = mixed_settings("logistic_regression").contract
    one = mixed.dropna().head(1)

    found = package.reference(one, scorer, contract)

    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["columns"]["age"]["standard_deviation"] == 0


def test_the_card_is_one_that_hugging_face_reads(packed: Path) -> None:
    _, front, body = (packed / "unpacked" / bundle.CARD).read_text().split("---\n", 2)
    metrics = json.loads((packed / "metrics.json").read_text())

    written = YAML(typ="safe", pure=True).load(front)

    assert written["pipeline_tag"] == "tabular-classification"
    results = {
        result["type"]: result["value"] for result in written["model-index"][0]["results"][0]["metrics"]
    }
    assert metrics["validation"] == pytest.approx(results, abs=1e-6)
    assert "| `smoker` | category | yes, no | yes |" in body
    assert "| `pressure` | number | 40 to ∞ | yes |" in body
    assert "| `age` | number | 0 to 120 | no |" in body


def test_a_tar_can_be_read_by_the_tar_of_every_host(packed: Path) -> None:
    content = (packed / "out/bundle.tar").read_bytes()

    with tarfile.open(fileobj=io.BytesIO(content), format=tarfile.USTAR_FORMAT) as archive:
        assert {tarfile.REGTYPE} == {member.type for member in archive.getmembers()}
    assert content[257:265] == b"ustar\x0000"
