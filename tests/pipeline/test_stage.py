"""What every stage shares: one line for an error, inputs as they are served."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from slipway.contract import MISSING_CATEGORY, Contract
from slipway.errors import InputError, Refused, SlipwayError
from slipway.pipeline import stage


@pytest.mark.parametrize(("error", "code"), [(InputError("no data"), 1), (Refused("too weak"), 3)])
def test_an_error_ends_the_stage_with_its_code_and_its_message_alone(
    error: SlipwayError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(_: Sequence[str]) -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        stage.run(main)

    assert code == caught.value.code
    assert capsys.readouterr().err == f"{error}\n"


def test_a_stage_is_given_the_arguments_of_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr(sys, "argv", ["stage", "a", "b"])

    stage.run(given.extend)

    assert given == ["a", "b"]


def test_paths_are_taken_in_their_order_and_none_may_lack(capsys: pytest.CaptureFixture[str]) -> None:
    found = stage.paths(["x/data", "y/model"], "data", "model")

    assert (found.data, found.model) == (Path("x/data"), Path("y/model"))
    with pytest.raises(SystemExit):
        stage.paths(["x/data"], "data", "model")
    assert "required: model" in capsys.readouterr().err


def test_features_are_numbers_then_categories_with_null_as_served(
    mixed: pd.DataFrame, mixed_contract: Contract
) -> None:
    features = stage.features(mixed, mixed_contract)

    assert list(features.columns) == ["age", "marker", "pressure", "ward", "smoker"]
    assert mixed["smoker"].fillna(MISSING_CATEGORY).tolist() == features["smoker"].tolist()
    assert mixed["marker"].isna().tolist() == features["marker"].isna().tolist()


def test_features_do_not_depend_on_the_order_of_the_columns(
    mixed: pd.DataFrame, mixed_contract: Contract
) -> None:
    reordered = mixed[sorted(mixed.columns)]

    pd.testing.assert_frame_equal(
        stage.features(mixed, mixed_contract), stage.features(reordered, mixed_contract)
    )


def test_rows_are_what_a_caller_would_send(mixed: pd.DataFrame, mixed_contract: Contract) -> None:
    rows = stage.rows(mixed, mixed_contract)

    model = mixed_contract.row_model()
    assert rows == [model.model_validate_json(json.dumps(row, allow_nan=False)).model_dump() for row in rows]
    assert sum(row["marker"] is None for row in rows) == mixed["marker"].isna().sum() > 0
    assert sum(row["smoker"] is None for row in rows) == mixed["smoker"].isna().sum() > 0


def test_a_frame_comes_back_from_its_file(mixed: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "new" / "mixed.parquet"

    stage.write_frame(path, mixed)

    pd.testing.assert_frame_equal(mixed, pd.read_parquet(path))


def test_json_is_written_sorted_so_that_a_change_shows_as_a_small_difference(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"

    stage.write_json(path, {"b": 1, "a": 2})

    assert path.read_text() == '{\n  "a": 2,\n  "b": 1\n}\n'
