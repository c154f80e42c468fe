"""Data that does not satisfy the contract stops at the door, with the column, the rule and the rows."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slipway.contract import Contract
from slipway.errors import InputError
from slipway.params import Params
from slipway.pipeline import ingest as stage_ingest
from slipway.pipeline.ingest import ingest, load

CONTRACT = Contract.model_validate_json(
    json.dumps(
        {
            "target": {"column": "state", "positive": "worn", "negative": "sound"},
            "columns": {
                "width": {"type": "number", "minimum": 0, "maximum": 10},
                "age": {"type": "number", "nullable": True},
                "maker": {"type": "category", "categories": ["acme", "bolt"]},
                "colour": {"type": "category", "categories": ["red", "blue"], "nullable": True},
            },
        }
    )
)


@pytest.fixture
def raw() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "state": ["worn", "sound", "worn", "sound"],
            "colour": ["red", None, "blue", "red"],
            "maker": ["acme", "bolt", "acme", "acme"],
            "age": [None, 2.0, 3.0, 4.0],
            "width": [0, 2, 10, 4],
        }
    )


def refusal(raw: pd.DataFrame) -> list[str]:
    with pytest.raises(InputError) as caught:
        ingest(raw, CONTRACT)
    heading, *lines = str(caught.value).splitlines()
    assert heading == "the data does not satisfy the contract:"
    return [line.strip() for line in lines]


def test_good_rows_come_through_in_the_order_of_the_contract(raw: pd.DataFrame) -> None:
    frame = ingest(raw, CONTRACT)

    assert list(frame.columns) == ["width", "age", "maker", "colour", "state"]
    assert frame["width"].tolist() == [0.0, 2.0, 10.0, 4.0]
    assert {"width", "age"} == set(frame.select_dtypes("float64").columns)


def test_the_real_data_satisfy_the_real_contract(cases: pd.DataFrame, settings: Params) -> None:
    target = settings.contract.target

    assert len(cases) == 569
    assert {target.positive: 212, target.negative: 357} == cases[target.column].value_counts().to_dict()


def test_the_positive_label_is_the_condition_that_is_looked_for(cases: pd.DataFrame) -> None:
    means = cases.groupby("diagnosis")["mean_radius"].mean()

    assert means["malignant"] > means["benign"]


@pytest.mark.parametrize("column", ["width", "maker", "state"])
def test_a_missing_column_is_named(raw: pd.DataFrame, column: str) -> None:
    assert [f"{column}: missing"] == refusal(raw.drop(columns=column))


def test_extra_columns_are_named(raw: pd.DataFrame) -> None:
    assert refusal(raw.assign(length=1, price=2)) == [
        "length: not in the contract",
        "price: not in the contract",
    ]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2", "3", "4"], "str"),
        ([1, "two", 3, 4], "object"),
        ([True, False, True, False], "bool"),
        ([1j, 2j, 3j, 4j], "complex128"),
        (pd.to_datetime(["2020-01-01"] * 4), "datetime64[us]"),
    ],
)
def test_a_column_of_another_type_is_named_with_its_type(raw: pd.DataFrame, values: Any, kind: str) -> None:
    assert [f"width: expected a number, got {kind}"] == refusal(raw.assign(width=values))


@pytest.mark.parametrize("kind", ["int8", "uint16", "float32", "Int64", "Float64"])
def test_every_type_of_number_is_a_number(raw: pd.DataFrame, kind: Any) -> None:
    frame = ingest(raw.assign(width=raw["width"].astype(kind)), CONTRACT)

    assert frame["width"].tolist() == [0.0, 2.0, 10.0, 4.0]
    assert frame["width"].dtype == np.float64


def test_numbers_in_place_of_categories_are_refused(raw: pd.DataFrame) -> None:
    assert refusal(raw.assign(maker=[1, 2, 3, 4])) == [
        "maker: expected one of 'acme', 'bolt', got 1 in 4 rows (1, 2, 3, 4)"
    ]


@pytest.mark.parametrize(
    ("column", "values", "line"),
    [
        ("width", [None, 2.0, None, 4.0], "width: null in 2 rows (1, 3)"),
        ("maker", ["acme", None, "bolt", "acme"], "maker: null in 1 row (2)"),
        ("state", ["worn", None, "worn", "sound"], "state: null in 1 row (2)"),
    ],
)
def test_a_null_where_none_is_allowed_is_named_with_its_rows(
    raw: pd.DataFrame, column: str, values: list[Any], line: str
) -> None:
    assert [line] == refusal(raw.assign(**{column: values}))


@pytest.mark.parametrize(
    ("column", "values", "line"),
    [
        ("width", [-0.1, 2.0, 10.0, 4.0], "width: expected at least 0, got -0.1 in 1 row (1)"),
        ("width", [0.0, 10.5, 11.0, 4.0], "width: expected at most 10, got 10.5 in 2 rows (2, 3)"),
        ("age", [1.0, -math.inf, 3.0, 4.0], "age: expected a finite number, got -inf in 1 row (2)"),
        ("age", [math.inf, math.inf, 3.0, 4.0], "age: expected a finite number, got inf in 2 rows (1, 2)"),
        (
            "maker",
            ["acme", "bolt", "crew", "acme"],
            "maker: expected one of 'acme', 'bolt', got 'crew' in 1 row (3)",
        ),
        (
            "colour",
            ["__missing__", None, "blue", "red"],
            "colour: expected one of 'red', 'blue', got '__missing__' in 1 row (1)",
        ),
        (
            "state",
            ["worn", "sound", "WORN", "sound"],
            "state: expected one of 'worn', 'sound', got 'WORN' in 1 row (3)",
        ),
    ],
)
def test_a_value_out_of_its_limits_is_shown_with_the_limit_and_the_rows(
    raw: pd.DataFrame, column: str, values: list[Any], line: str
) -> None:
    assert [line] == refusal(raw.assign(**{column: values}))


def test_infinity_breaks_every_limit_that_it_passes(raw: pd.DataFrame) -> None:
    assert refusal(raw.assign(width=[0, 2, 10, math.inf])) == [
        "width: expected a finite number, got inf in 1 row (4)",
        "width: expected at most 10, got inf in 1 row (4)",
    ]


def test_everything_wrong_is_told_at_once(raw: pd.DataFrame) -> None:
    lines = refusal(raw.drop(columns="maker").assign(length=1, width=[-1, 2, 3, 4]))

    assert {
        "maker: missing",
        "length: not in the contract",
        "width: expected at least 0, got -1 in 1 row (1)",
    } == set(lines)


def test_a_long_list_of_rows_is_cut_short(raw: pd.DataFrame) -> None:
    many = pd.concat([raw] * 3, ignore_index=True).assign(width=-1)

    assert refusal(many) == ["width: expected at least 0, got -1 in 12 rows (1, 2, 3, 4, 5, ...)"]


def test_rows_are_numbered_by_position_whatever_their_index(raw: pd.DataFrame) -> None:
    named = raw.assign(width=[0, 2, 11, 4]).set_index(pd.Index(["a", "b", "c", "d"]))

    assert refusal(named) == ["width: expected at most 10, got 11 in 1 row (3)"]


def test_repeated_rows_are_refused_with_their_numbers(raw: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"^2 rows \(2, 5\) repeat the inputs of another: "):
        ingest(pd.concat([raw, raw.iloc[[1]]]), CONTRACT)


def test_the_same_inputs_with_another_label_are_a_repetition_too(raw: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"rows \(2, 5\) repeat the inputs of another"):
        ingest(pd.concat([raw, raw.iloc[[1]].assign(state="worn")]), CONTRACT)


def test_a_source_that_is_not_there_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    source = str(tmp_path / "cases.csv")

    with pytest.raises(InputError) as caught:
        load(source)

    assert str(caught.value) == f"the data source {source} does not exist\n  next: dvc pull {source}"


@pytest.mark.parametrize("source", ["sklearn:iris", "cases.xlsx", "breast_cancer", "sklearn:cases.csv", ""])
def test_a_source_of_unknown_kind_is_refused_with_the_known_ones(source: str) -> None:
    with pytest.raises(InputError) as caught:
        load(source)

    assert str(caught.value) == (
        f"unknown data source '{source}': expected sklearn:breast_cancer, or a .csv or .parquet file"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("torn.csv", b"a,b\n1,2,3\n4,5,6,7\n"),
        ("binary.csv", b"\xff"),
        ("a.parquet", b"x"),
    ],
)
def test_a_source_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    source = tmp_path / name
    source.write_bytes(content)

    with pytest.raises(InputError, match=f"the data source {source} cannot be read: ."):
        load(str(source))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_is_a_source(mixed: pd.DataFrame, mixed_contract: Contract, tmp_path: Path, kind: str) -> None:
    source = tmp_path / f"cases.{kind}"
    mixed.to_csv(source, index=False) if kind == "csv" else mixed.to_parquet(source)

    frame = ingest(load(str(source)), mixed_contract)

    pd.testing.assert_frame_equal(ingest(mixed, mixed_contract), frame, check_dtype=False)


def test_the_stage_writes_the_data_and_counts_with_a_digest(
    settings: Params, cases: pd.DataFrame, workspace: Callable[[Params], Path]
) -> None:
    folder = workspace(settings)

    stage_ingest.main(["sklearn:breast_cancer", "data/cases.parquet", "reports/data.json"])

    written = folder / "data/cases.parquet"
    assert json.loads((folder / "reports/data.json").read_text()) == {
        "rows": 569,
        "malignant": 212,
        "benign": 357,
        "sha256": hashlib.sha256(written.read_bytes()).hexdigest(),
    }
    pd.testing.assert_frame_equal(cases, pd.read_parquet(written), check_dtype=False)


def test_data_that_are_refused_leave_nothing_behind(
    settings: Params, cases: pd.DataFrame, workspace: Callable[[Params], Path]
) -> None:
    folder = workspace(settings)
    cases.assign(mean_radius=-1).to_csv(folder / "cases.csv", index=False)

    with pytest.raises(InputError, match="mean_radius: expected at least 0, got -1 in 569 rows"):
        stage_ingest.main(["cases.csv", "data/cases.parquet", "reports/data.json"])

    assert {"params.yaml", "cases.csv"} == {path.name for path in folder.iterdir()}
