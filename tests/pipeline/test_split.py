"""Training, validation and acceptance: each has its share of each label, and no row is in two of them."""

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest

from slipway.contract import Contract
from slipway.errors import InputError, Refused
from slipway.params import Params, Split
from slipway.pipeline import split as stage_split
from slipway.pipeline.split import Parts, refuse_leaks, split

CONTRACT = Contract.model_validate_json(
    json.dumps(
        {
            "target": {"column": "state", "positive": "worn", "negative": "sound"},
            "columns": {"width": {"type": "number"}},
        }
    )
)
SHARES = Split(validation=0.2, acceptance=0.1, seed=20)


def frame(worn: int, sound: int) -> pd.DataFrame:
    width = pd.Series(range(worn + sound), dtype=float)
    return pd.DataFrame({"width": width, "state": ["worn"] * worn + ["sound"] * sound})


def test_the_real_data_are_divided_seventy_twenty_ten(cases: pd.DataFrame, settings: Params) -> None:
    parts = split(cases, settings.contract, SHARES)

    assert [len(part) for part in parts] == [398, 114, 57]


def test_every_part_has_the_labels_in_the_same_proportion(cases: pd.DataFrame, settings: Params) -> None:
    parts = split(cases, settings.contract, SHARES)

    positive = (cases["diagnosis"] == "malignant").mean()
    for name, part in parts._asdict().items():
        share = (part["diagnosis"] == "malignant").mean()
        assert share == pytest.approx(positive, abs=1 / len(part)), f"{name} is not stratified"


def test_every_row_is_in_one_part(cases: pd.DataFrame, settings: Params) -> None:
    parts = split(cases, settings.contract, SHARES)

    pd.testing.assert_frame_equal(cases, pd.concat(parts).sort_index())


def test_the_same_seed_divides_in_the_same_way(cases: pd.DataFrame, settings: Params) -> None:
    for one, other in zip(*(split(cases, settings.contract, SHARES) for _ in range(2)), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_another_seed_divides_in_another_way(cases: pd.DataFrame, settings: Params) -> None:
    one = split(cases, settings.contract, SHARES)
    other = split(cases, settings.contract, SHARES.model_copy(update={"seed": 21}))

    for name in Parts._fields:
        assert set(getattr(one, name).index) != set(getattr(other, name).index), name


@pytest.mark.parametrize(("whole", "copied"), list(combinations(Parts._fields, 2)))
def test_a_row_in_two_parts_is_refused_with_their_names(
    parts: Parts, settings: Params, whole: str, copied: str
) -> None:
    leaked = pd.concat([getattr(parts, copied), getattr(parts, whole).iloc[:3]])

    with pytest.raises(
        Refused, match=f"^3 rows of {whole} are also in {copied}: the metrics would be flattered$"
    ):
        refuse_leaks(parts._replace(**{copied: leaked}), settings.contract)


def test_the_same_inputs_leak_even_under_another_label(parts: Parts, settings: Params) -> None:
    renamed = parts.train.iloc[[0]].assign(diagnosis="unheard of")

    with pytest.raises(Refused, match="1 rows of train are also in validation"):
        refuse_leaks(parts._replace(validation=pd.concat([parts.validation, renamed])), settings.contract)


def test_rows_that_repeat_are_refused_where_they_fall_into_two_parts() -> None:
    repeated = pd.concat([frame(50, 50)] * 2, ignore_index=True)

    with pytest.raises(Refused, match=r"^\d+ rows of train are also in "):
        split(repeated, CONTRACT, SHARES)


def test_sound_parts_do_not_leak(parts: Parts, settings: Params) -> None:
    refuse_leaks(parts, settings.contract)
    inputs = list(settings.contract.columns)

    assert not pd.concat(parts).duplicated(subset=inputs).any()


@pytest.mark.parametrize(
    ("worn", "sound", "line"),
    [
        (1, 99, "state: 1 of 100 rows are 'worn'; a part of 10% needs at least 10 of each label"),
        (9, 91, "state: 9 of 100 rows are 'worn'; a part of 10% needs at least 10 of each label"),
        (97, 3, "state: 3 of 100 rows are 'sound'; a part of 10% needs at least 10 of each label"),
        (0, 100, "state: 0 of 100 rows are 'worn'; a part of 10% needs at least 10 of each label"),
        (100, 0, "state: 0 of 100 rows are 'sound'; a part of 10% needs at least 10 of each label"),
        (0, 0, "state: 0 of 0 rows are 'worn'; a part of 10% needs at least 10 of each label"),
    ],
)
def test_a_label_too_rare_for_every_part_is_counted(worn: int, sound: int, line: str) -> None:
    with pytest.raises(InputError) as caught:
        split(frame(worn, sound), CONTRACT, SHARES)

    assert line == str(caught.value)


@pytest.mark.parametrize(
    ("validation", "acceptance"), [(0.2, 0.1), (0.1, 0.1), (0.45, 0.45), (0.6, 0.3), (0.5, 0.49)]
)
def test_every_part_has_both_labels_or_the_data_are_refused(validation: float, acceptance: float) -> None:
    settings = Split(validation=validation, acceptance=acceptance, seed=0)
    refused = 0
    for worn in range(1, 31):
        try:
            parts = split(frame(worn, 60 - worn), CONTRACT, settings)
        except InputError:
            refused += 1
        else:
            assert [part["state"].nunique() for part in parts] == [2, 2, 2], f"{worn} worn rows"

    assert refused >= 1


def test_the_stage_writes_one_file_a_part(
    settings: Params, cases: pd.DataFrame, parts: Parts, workspace: Callable[[Params], Path]
) -> None:
    folder = workspace(settings)
    cases.to_parquet(folder / "cases.parquet")

    stage_split.main(["cases.parquet", "train.parquet", "validation.parquet", "acceptance.parquet"])

    for name, part in parts._asdict().items():
        written = pd.read_parquet(folder / f"{name}.parquet")
        pd.testing.assert_frame_equal(part.reset_index(drop=True), written, check_dtype=False)
