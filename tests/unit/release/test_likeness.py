"""How far two files are apart, each kind with numbers that differ and with something else that does."""

import json
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper

from slipway.release import likeness

Gap = Callable[[str, bytes, bytes], float]


@pytest.fixture
def gap(tmp_path: Path) -> Gap:
    def measure(name: str, one: bytes, other: bytes) -> float:
        files = [tmp_path / f"{number}-{name}" for number in range(2)]
        for file, content in zip(files, (one, other), strict=True):
            file.write_bytes(content)
        return likeness.gap(files[0], files[1], name)

    return measure


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"a": [1.0, 2.5]}, {"a": [1.0, 2.25]}, 0.25),
        ({"a": 1.0}, {"a": 1.0}, 0),
        ({}, {}, 0),
        ({"a": 1.0}, {"b": 1.0}, inf),
        ({"a": 1.0, "b": 2.0}, {"a": 1.0}, inf),
        ({"a": 1}, {"a": 2}, inf),
        ({"a": "x"}, {"a": "y"}, inf),
        ([1.0], [1.0, 1.0], inf),
        ([1.0], [float("nan")], inf),
        ({"a": 1.0}, [1.0], inf),
    ],
)
def test_numbers_of_json_are_compared_and_all_else_must_be_equal(
    gap: Gap, one: Any, other: Any, expected: float
) -> None:
    assert gap("a.json", json.dumps(one).encode(), json.dumps(other, indent=1).encode()) == expected


FRAME = pd.DataFrame(
    {"x": [1.0, None], "none": [float("nan")] * 2, "far": [float("inf")] * 2, "n": [1, 2], "name": ["a", "b"]}
)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"x": [1.5, None]}, 0.5),
        ({"x": [None, 1.0]}, inf),
        ({"none": [1.0, None]}, inf),
        ({"far": [1.0, float("inf")]}, inf),
        ({"n": [1, 3]}, inf),
        ({"name": ["a", "c"]}, inf),
        ({"more": [0, 0]}, inf),
    ],
    ids=[
        "a number",
        "what is missing",
        "what was missing",
        "what was infinite",
        "a count",
        "a text",
        "a column",
    ],
)
def test_numbers_of_tables_are_compared_and_all_else_must_be_equal(
    gap: Gap, tmp_path: Path, kind: str, change: dict[str, Any], expected: float
) -> None:
    def content(frame: pd.DataFrame) -> bytes:
        if kind == "csv":
            return frame.to_csv(index=False).encode()
        frame.to_parquet(tmp_path / "frame")
        return (tmp_path / "frame").read_bytes()

    assert gap(f"a.{kind}", content(FRAME), content(FRAME.assign(**change))) == expected


def graph(
    weight: float = 1.0, alpha: float = 0.5, values: tuple[float, ...] = (1.0,), kind: str = "Gemm"
) -> bytes:
    nodes = [
        helper.make_node(kind, ["x", "w"], ["y"], alpha=alpha),
        helper.make_node("Thing", ["y"], ["z"], domain="of.ours", values=list(values)),
    ]
    weights = [helper.make_tensor("w", TensorProto.DOUBLE, [1, 1], [weight])]
    made = helper.make_graph(nodes, "g", [], [], initializer=weights)
    return bytes(helper.make_model(made).SerializeToString())


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (graph(), 0),
        (graph(weight=1.25), 0.25),
        (graph(weight=-1.0), 2),
        (graph(alpha=0.75), 0.25),
        (graph(values=(3.0,)), 2),
        (graph(values=(1.0, 1.0)), inf),
        (graph(kind="MatMul"), inf),
    ],
    ids=["equal", "a weight", "a sign", "a number", "a list", "a longer list", "another operator"],
)
def test_coefficients_of_models_are_compared_and_what_they_compute_must_be_equal(
    gap: Gap, other: bytes, expected: float
) -> None:
    assert onnx.load_from_string(other).graph.node
    assert gap("model.onnx", graph(), other) == expected


def test_a_column_without_numbers_hides_nothing(gap: Gap) -> None:
    assert gap("a.csv", b"n,y\n1,\n", b"n,y\n1,\n\n") == 0


def test_what_nobody_can_read_is_equal_or_is_not(gap: Gap) -> None:
    assert gap("a.bin", b"1", b"1") == 0
    assert gap("a.bin", b"1", b"2") == inf
