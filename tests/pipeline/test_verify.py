"""Whether our own pipeline's lock is honest, and when other bytes are the same model all the same."""

import io
import json
import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from slipway import bundle
from slipway.release import verify
from slipway.release.git import Repository
from slipway.release.verify import Verdict, Verification

from .conftest import Checkout

Committed = Callable[[float], Checkout]


@pytest.fixture
def committed(reproduced: tuple[Checkout, Checkout], tmp_path: Path) -> Committed:
    """Commits what the pipeline makes of a model whose coefficients somebody has multiplied."""

    def commit(factor: float) -> Checkout:
        checkout = reproduced[0].copy(tmp_path / "committed")
        if factor != 1:
            model = checkout.root / "artifacts" / "model.onnx"
            content = multiplied(model.read_bytes(), factor)
            model.unlink()
            model.write_bytes(content)
            done(checkout, "dvc", "commit", "--force", "--quiet", "train")
            done(checkout, "dvc", "repro", "--quiet", "package")
        done(checkout, "git", "add", "--all")
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        done(checkout, "git", *identity, "commit", "--quiet", "--allow-empty", "--message", "What was made")
        return checkout

    return commit


def done(checkout: Checkout, *command: str) -> None:
    ran = checkout.run(*command)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def multiplied(content: bytes, factor: float) -> bytes:
    """A model with other coefficients."""
    model = onnx.load_from_string(content)
    changed = 0
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim == 2 and values.dtype.kind == "f":
            tensor.CopyFrom(numpy_helper.from_array(values * factor, tensor.name))
            changed += 1
    assert changed, "the model has no coefficients"
    return bytes(model.SerializeToString())


def tolerating(checkout: Checkout, tolerance: float) -> Checkout:
    """Let the bundle say that it tolerates more, with a manifest and a lock that agree."""
    tar, manifest = checkout.root / "artifacts" / "bundle.tar", checkout.root / "manifest.json"
    with tarfile.open(fileobj=io.BytesIO(tar.read_bytes())) as archive:
        contents = {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]
    contents[bundle.GOLDEN] = json.dumps(
        json.loads(contents[bundle.GOLDEN]) | {"tolerance": tolerance}
    ).encode()
    said = json.loads(manifest.read_text())
    packed, listing = bundle.pack(said["model"], contents)
    tar.unlink()
    tar.write_bytes(packed)
    said["bundle"]["sha256"] = bundle.sha256(tar)
    said["files"] = listing.files
    manifest.write_text(json.dumps(said, indent=2) + "\n")
    done(checkout, "dvc", "commit", "--force", "--quiet", "package")
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    done(checkout, "git", *identity, "commit", "--quiet", "--all", "--message", "Tolerate more")
    return checkout


def verified(checkout: Checkout) -> Verification:
    return verify.verify(Repository(checkout.root), "HEAD", lambda _stage, _finding: None)


def test_our_own_lock_is_honest(committed: Committed) -> None:
    found = verified(committed(1))
    assert found.verdict is Verdict.IDENTICAL, found
    assert {finding.stage for finding in found.stages} >= {"ingest", "split", "train", "package", "runtime"}


def test_another_processors_last_bits_are_equivalent_and_the_difference_is_shown(
    committed: Committed,
) -> None:
    found = verified(committed(1 + 2**-50))
    assert found.verdict is Verdict.EQUIVALENT, found
    reasons = {finding.stage: finding.reasons for finding in found.stages if finding.reasons}
    assert reasons["train"] == ("makes another artifacts/model.onnx than dvc.lock says",)
    assert set(reasons) == {"train", "package"}
    assert re.match(r"\d+ golden rows differ by \S+e-1\d at most, numbers by ", found.agreement)
    assert found.agreement.endswith("; 1e-06 is tolerated")
    assert os.linesep not in verify.summary(found)


@pytest.mark.nightly
def test_a_model_that_nobody_has_trained_is_different(committed: Committed) -> None:
    found = verified(committed(1.01))
    assert found.verdict is Verdict.DIFFERENT
    assert re.search(r" golden rows differ by 0\.0\d+ at most", found.agreement)
    assert found.agreement in str(verify.refusal(found, "HEAD"))


@pytest.mark.parametrize("tolerance", [pytest.param(1e-3, marks=pytest.mark.nightly), 1e9])
def test_a_forged_bundle_does_not_set_the_tolerance_it_is_judged_by(
    committed: Committed, tolerance: float
) -> None:
    found = verified(tolerating(committed(1.0001), tolerance))
    assert found.verdict is Verdict.DIFFERENT, found
    assert re.search(
        r"the locked bundle tolerates 0.001, params.yaml 1e-06|is not a golden file", found.agreement
    )
