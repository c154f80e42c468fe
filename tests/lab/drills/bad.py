"""Releases that should not have been made: models that are ill, and bytes that are not what they should be."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

import onnx
from onnx import numpy_helper
from tests.local.workplace import Candidate, contents, digest, rebuilt

from slipway import bundle
from slipway.contract import Contract
from slipway.scorer import THRESHOLD, Scorer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def with_weights(candidate: Candidate, change: str) -> Candidate:
    """The same golden rows, and a model whose weights are `nan`, `constant`, or `swapped` between two columns."""

    def edit(model: onnx.ModelProto) -> None:
        weights = max(model.graph.initializer, key=lambda each: len(numpy_helper.to_array(each).ravel()))
        values = numpy_helper.to_array(weights).copy()
        if change == "swapped":
            values[[0, 7]] = values[[7, 0]]
        else:
            values[:] = float("nan") if change == "nan" else 0.0
        weights.CopyFrom(numpy_helper.from_array(values, weights.name))

    return rebuilt(candidate, lambda files: {bundle.MODEL: _edited(files[bundle.MODEL], edit)})


def with_threshold(candidate: Candidate, threshold: float) -> Candidate:
    """A sound release, with golden rows of its own, that decides otherwise."""

    def edit(model: onnx.ModelProto) -> None:
        (entry,) = [each for each in model.metadata_props if each.key == THRESHOLD]
        entry.value = str(threshold)

    def change(files: Mapping[str, bytes]) -> dict[str, bytes]:
        model = _edited(files[bundle.MODEL], edit)
        scorer = Scorer(model, Contract.model_validate_json(files[bundle.CONTRACT]))
        golden = json.loads(files[bundle.GOLDEN])
        golden["expected"] = [list(scorer.predict([row])[0]) for row in golden["rows"]]
        return {bundle.MODEL: model, bundle.GOLDEN: json.dumps(golden).encode()}

    return rebuilt(candidate, change)


def with_extra_file(candidate: Candidate) -> Candidate:
    """A bundle with a file that its own manifest does not name."""
    with tarfile.open(fileobj=io.BytesIO(candidate.tar)) as archive:
        manifest = archive.extractfile(bundle.MANIFEST)
        assert manifest is not None
        files = {**contents(candidate.tar), bundle.MANIFEST: manifest.read(), "extra.py": b"import os\n"}
    tar = bundle.tar(files)
    record = json.loads(candidate.manifest)
    record["bundle"] = {"sha256": digest(tar), "bytes": len(tar)}
    return candidate._replace(tar=tar, manifest=json.dumps(record))


def flipped(tar: bytes) -> bytes:
    """One bit of the bytes is another."""
    middle = len(tar) // 2
    return tar[:middle] + bytes([tar[middle] ^ 1]) + tar[middle + 1 :]


def _edited(model: bytes, edit: Callable[[onnx.ModelProto], None]) -> bytes:
    parsed = onnx.load_from_string(model)
    edit(parsed)
    return bytes(parsed.SerializeToString(deterministic=True))
