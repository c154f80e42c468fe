"""How far two files of the same name are apart: numbers by their difference, anything else not at all or beyond measure."""

import json
from math import inf, isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx
    import pandas as pd


def gap(one: Path, other: Path, name: str) -> float:
    """The largest difference between numbers that stand in the same place.

    Args:
        one: A file.
        other: Another one.
        name: The name of both; its ending says what is in them: `.json`, `.csv`, `.parquet` or `.onnx`.

    Returns:
        Infinity where they differ in anything but numbers, or are of another kind.
    """
    if one.read_bytes() == other.read_bytes():
        return 0.0
    if name.endswith(".json"):
        return values(json.loads(one.read_text()), json.loads(other.read_text()))
    if name.endswith(".onnx"):
        return _graphs(one.read_bytes(), other.read_bytes())
    if name.endswith((".csv", ".parquet")):
        import pandas as pd  # noqa: PLC0415 - takes a second to import

        read = pd.read_csv if name.endswith(".csv") else pd.read_parquet
        return _frames(read(one), read(other))
    return inf


def values(one: Any, other: Any) -> float:
    """As `gap`, of what was read from JSON."""
    if isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other):
        return values(list(one.values()), list(other.values()))
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return max((values(*pair) for pair in zip(one, other, strict=True)), default=0.0)
    if isinstance(one, float) and isinstance(other, float) and not isnan(one - other):
        return abs(one - other)
    return 0.0 if one == other else inf


def _frames(one: "pd.DataFrame", other: "pd.DataFrame") -> float:
    if one.shape != other.shape or not one.dtypes.equals(other.dtypes):
        return inf
    floats = [name for name, kind in one.dtypes.items() if kind.kind == "f"]
    rest = one.columns.difference(floats)
    if not one[rest].equals(other[rest]) or not one[floats].isna().equals(other[floats].isna()):
        return inf
    # What is missing, or infinite, in both does not differ.
    return float((one[floats] - other[floats]).abs().fillna(0.0).max().max()) if floats else 0.0


def _graphs(one: bytes, other: bytes) -> float:
    """Of two models: that of their coefficients, where they compute the same otherwise."""
    import onnx  # noqa: PLC0415 - takes half a second to import

    models = [onnx.load_from_string(content) for content in (one, other)]
    ours, theirs = (_coefficients(model) for model in models)
    # What is left of them is their structure.
    if models[0].SerializeToString(deterministic=True) != models[1].SerializeToString(deterministic=True):
        return inf
    return values(ours, theirs)


def _coefficients(model: "onnx.ModelProto") -> list[list[float]]:
    """Take the floating-point numbers out of a model: of its tensors, and of its nodes' attributes."""
    import numpy as np  # noqa: PLC0415 - likewise
    from onnx import AttributeProto, numpy_helper  # noqa: PLC0415 - likewise

    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    tensors = [
        *model.graph.initializer,
        *(attribute.t for attribute in attributes if attribute.type == AttributeProto.TENSOR),
    ]
    found = []
    for tensor in tensors:
        numbers = numpy_helper.to_array(tensor)
        if numbers.dtype.kind == "f":
            found.append([float(number) for number in numbers.ravel()])
            tensor.CopyFrom(numpy_helper.from_array(np.zeros_like(numbers), tensor.name))
    for attribute in attributes:
        if attribute.type == AttributeProto.FLOATS:
            found.append(list(attribute.floats))
            attribute.floats[:] = [0.0] * len(attribute.floats)
        elif attribute.type == AttributeProto.FLOAT:
            found.append([attribute.f])
            attribute.f = 0.0
    return found
