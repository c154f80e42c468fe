"""`params.yaml` is read whole or refused: by path, with what was expected, and what may have been meant."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from slipway import params
from slipway.errors import InputError

from .conftest import ROOT

VALID = """\
model:
  name: tumour-screening
  description: Screens.
  license: apache-2.0
contract:
  target: {column: diagnosis, positive: malignant, negative: benign}
  columns:
    radius: {type: number, minimum: 0, maximum: 100}
    area: {type: number}
split:
  validation: 0.2
  acceptance: 0.1
  seed: 20
train:
  estimator: logistic_regression
  hyperparameters: {C: 1.0, class_weight: balanced}
  decision_threshold: 0.5
  parity_tolerance: 1.0e-9
  seed: 7
evaluate:
  gates:
    recall_minimum: 0.90
    false_negative_rate_maximum: 0.10
    roc_auc_over_baseline_minimum: 0.30
    overfit_gap_maximum: 0.05
package:
  golden_rows: 16
  golden_tolerance: 1.0e-6
runtime:
  platforms: [manylinux_2_28_x86_64]
acceptance:
  recall_drop_maximum: 0.15
  roc_auc_drop_maximum: 0.05
"""


def changed(old: str, new: str) -> str:
    """`VALID` with one passage replaced."""
    assert old in VALID, f"VALID does not hold {old!r}"
    return VALID.replace(old, new, 1)


def refusal(text: str) -> list[str]:
    """The lines of the refusal, after the first, which names the file."""
    with pytest.raises(InputError) as caught:
        params.parse(text)
    heading, *lines = str(caught.value).splitlines()
    assert heading == "params.yaml is not valid:"
    return [line.strip() for line in lines]


def test_the_repository_s_own_parameters_are_valid() -> None:
    path = ROOT / "params.yaml"

    assert params.parse(path.read_text(encoding="utf-8")) == params.load(path)


def test_parameters_are_read_as_they_are_written() -> None:
    settings = params.parse(VALID)

    assert settings.model.name == "tumour-screening"
    assert list(settings.contract.columns) == ["radius", "area"]
    assert settings.split == params.Split(validation=0.2, acceptance=0.1, seed=20)
    assert settings.train.hyperparameters == {"C": 1.0, "class_weight": "balanced"}
    assert settings.runtime.platforms == ("manylinux_2_28_x86_64",)


@pytest.mark.parametrize(
    ("written", "instead", "lines"),
    [
        ("  seed: 20", "  seed: ten", ['split.seed: expected an integer, got "ten"']),
        ("  seed: 20", "  seed: 2.5", ["split.seed: expected an integer, got 2.5"]),
        ("  seed: 20", "  seed: true", ["split.seed: expected an integer, got True"]),
        ("  seed: 20", "  seed: -1", ["split.seed: expected greater than or equal to 0, got -1"]),
        ("validation: 0.2", "validation:", ["split.validation: expected a number, got nothing"]),
        ("validation: 0.2", "validation: '0.2'", ['split.validation: expected a number, got "0.2"']),
        ("golden_rows: 16", "golden_rows: 1", ["package.golden_rows: expected greater than or equal to 2, got 1"]),
        (
            "estimator: logistic_regression",
            "estimator: lightgbm",
            ["train.estimator: expected 'logistic_regression', 'random_forest' or 'hist_gradient_boosting', got \"lightgbm\""],
        ),
        (
            "{C: 1.0,",
            "{C: [1],",
            ["train.hyperparameters.C: expected a number, a string, true, false or nothing, got [1]"],
        ),
        (
            "platforms: [manylinux_2_28_x86_64]",
            "platforms: manylinux_2_28_x86_64",
            ['runtime.platforms: expected a list, got "manylinux_2_28_x86_64"'],
        ),
        (
            "radius: {type: number",
            "radius: {type: numer",
            ["contract.columns.radius.type: expected 'number' or 'category', got \"numer\""],
        ),
        (
            "minimum: 0, maximum: 100}",
            "minimum: .inf, maximum: 100}",
            ["contract.columns.radius.minimum: expected a finite number, got inf"],
        ),
        (
            "name: tumour-screening",
            "name: Tumour Screening",
            ['model.name: expected a string like ^[a-z0-9]([a-z0-9-]*[a-z0-9])?$, got "Tumour Screening"'],
        ),
    ],
)  # fmt: skip
def test_a_mistyped_value_is_named_by_path_and_expectation(
    written: str, instead: str, lines: list[str]
) -> None:
    assert lines == refusal(changed(written, instead))


@pytest.mark.parametrize("not_a_number", [".nan", ".inf", "-.inf"])
@pytest.mark.parametrize(
    "knob",
    [
        "parity_tolerance: 1.0e-9",
        "recall_minimum: 0.90",
        "overfit_gap_maximum: 0.05",
        "decision_threshold: 0.5",
        "recall_drop_maximum: 0.15",
    ],
)
def test_a_limit_that_nothing_can_miss_is_refused(knob: str, not_a_number: str) -> None:
    key, _, _ = knob.partition(":")

    (line,) = refusal(changed(knob, f"{key}: {not_a_number}"))

    assert line.split(": ")[0].endswith(f".{key}")


@pytest.mark.parametrize(
    ("written", "instead", "line"),
    [
        ("  seed: 20", "  seed: 20\n  sead: 20", "split.sead: unknown key; did you mean 'seed'?"),
        ("train:\n", "train:\n  estimater: x\n", "train.estimater: unknown key; did you mean 'estimator'?"),
        ("train:\n", "trian: {}\ntrain:\n", "trian: unknown key; did you mean 'train'?"),
        (
            "    recall_minimum: 0.90",
            "    recall_minimum: 0.90\n    recal_minimum: 0.90",
            "evaluate.gates.recal_minimum: unknown key; did you mean 'recall_minimum'?",
        ),
        (
            "{type: number, minimum: 0, maximum: 100}",
            "{type: number, minimum: 0, maximun: 100}",
            "contract.columns.radius.maximun: unknown key; did you mean 'maximum'?",
        ),
        ("train:\n", "zebra: 1\ntrain:\n", "zebra: unknown key"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(written: str, instead: str, line: str) -> None:
    assert [line] == refusal(changed(written, instead))


def test_a_key_that_is_not_a_string_is_refused() -> None:
    text = changed("train:\n", "1: {}\ntrain:\n")

    assert refusal(text) == ["1: expected a string as the key, got 1"]


@pytest.mark.parametrize(
    "section", ["model", "contract", "split", "train", "evaluate", "package", "runtime", "acceptance"]
)
def test_a_missing_section_is_named(section: str) -> None:
    text = changed(f"{section}:\n", "absent:\n")

    assert f"{section}: required, but missing" in refusal(text)


def test_a_missing_key_is_named_with_its_section() -> None:
    assert refusal(changed("  seed: 20\n", "")) == ["split.seed: required, but missing"]


def test_every_mistake_is_reported_at_once() -> None:
    text = changed("  seed: 20\n", "").replace("golden_rows: 16", "golden_rows: many")

    assert refusal(text) == [
        "split.seed: required, but missing",
        'package.golden_rows: expected an integer, got "many"',
    ]


def test_a_key_written_twice_is_refused_with_its_line() -> None:
    text = changed("  seed: 20\n", "  seed: 20\n  seed: 21\n")

    with pytest.raises(InputError, match=r'params.yaml is not YAML: line \d+: found duplicate key "seed"'):
        params.parse(text)


@pytest.mark.parametrize(
    ("written", "instead", "line"),
    [
        (
            "validation: 0.2",
            "validation: 0.9",
            "split: `validation` and `acceptance` together leave nothing to train on",
        ),
        ("positive: malignant", "positive: benign", "contract.target: `positive` and `negative` must differ"),
        (
            "column: diagnosis",
            "column: area",
            "contract: the target 'area' must not be among the columns",
        ),
        (
            "minimum: 0, maximum: 100}",
            "minimum: 100, maximum: 100}",
            "contract.columns.radius: `minimum` 100 is not below `maximum` 100",
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused(written: str, instead: str, line: str) -> None:
    assert [line] == refusal(changed(written, instead))


@pytest.mark.parametrize(
    ("text", "shown"), [("", "nothing"), ("- a", r"\['a'\]"), ("just words", '"just words"')]
)
def test_a_file_that_is_no_mapping_is_refused(text: str, shown: str) -> None:
    with pytest.raises(InputError, match=f"^params.yaml must be a mapping of sections, got {shown}$"):
        params.parse(text)


@pytest.mark.parametrize("text", ["a: [", "a: b\n---\nc: d", "%", "\ta: b"])
def test_a_file_that_is_no_yaml_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"^params.yaml is not YAML: .*line") as caught:
        params.parse(text)

    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_file_is_named_with_the_command_that_brings_it_back(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"

    with pytest.raises(InputError) as caught:
        params.load(path)

    assert str(caught.value) == f"{path} is missing\n  next: git checkout -- {path}"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"model: \xff")

    with pytest.raises(InputError, match=r"params.yaml cannot be read: .*utf-8"):
        params.load(path)
    with pytest.raises(InputError, match=r"cannot be read: .*directory"):
        params.load(tmp_path)


def test_parameters_cannot_be_changed_once_read() -> None:
    settings = params.parse(VALID)

    with pytest.raises(ValidationError, match="frozen"):
        settings.split.seed = 1


def test_a_hyperparameter_keeps_the_type_it_was_written_in() -> None:
    text = changed("{C: 1.0, class_weight: balanced}", "{a: 1, b: 1.0, c: true, d: null, e: yes}")

    read = params.parse(text).train.hyperparameters

    assert {name: type(value).__name__ for name, value in read.items()} == {
        "a": "int",
        "b": "float",
        "c": "bool",
        "d": "NoneType",
        "e": "str",
    }
