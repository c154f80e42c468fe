"""The bundle: a model as a deployable object, in one deterministic tar whose every byte the manifest names."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slipway.contract import TOLERANCE_MAXIMUM, Contract
from slipway.errors import Corrupt, Refused
from slipway.scorer import Prediction, Scorer

MODEL, CONTRACT, GOLDEN, REFERENCE, CARD, MANIFEST = (
    "model.onnx",
    "contract.json",
    "golden.json",
    "reference.json",
    "README.md",
    "manifest.json",
)
CONTENTS = (MODEL, CONTRACT, GOLDEN, REFERENCE, CARD)
"""What a bundle holds beside its manifest."""

_Part = TypeVar("_Part", bound=BaseModel)


class Manifest(BaseModel):
    """The list of a bundle's files, inside the bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    model: str
    files: dict[str, str]
    """Sha256 by file name."""


class Golden(BaseModel):
    """Rows with the answers that a sound copy of the model gives, to `tolerance` in the probability."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # A bundle says itself what is tolerated: without an end to that, a forged one could tolerate any answer.
    tolerance: float = Field(ge=0, le=TOLERANCE_MAXIMUM)
    # Without rows, any model would pass.
    rows: list[dict[str, Any]] = Field(min_length=1)
    expected: list[Prediction] = Field(min_length=1)

    def differences(self, answers: list[Prediction]) -> list[str]:
        """What is wrong with the answers to `rows`, a line each; nothing when they are sound."""
        if len(answers) != len(self.expected):
            return [f"{len(self.expected)} golden rows, {len(answers)} answers"]
        return [
            f"golden row {number}: expected {expected.label} {expected.probability!r}, "
            f"got {answer.label} {answer.probability!r}"
            for number, (expected, answer) in enumerate(zip(self.expected, answers, strict=True))
            # Written so that NaN counts as a difference.
            if expected.label != answer.label
            or not abs(expected.probability - answer.probability) <= self.tolerance
        ]


class Bundle:
    """An unpacked bundle whose bytes have been checked against its manifest."""

    def __init__(self, folder: Path) -> None:
        """Read and check the bundle in `folder`.

        Raises:
            Corrupt: A file's bytes differ from the manifest.
            Refused: A file is missing or extra, or the manifest, the contract or the golden rows are none.
        """
        self.folder = folder
        self.manifest = self._parsed(MANIFEST, Manifest)
        self._check()
        self.contract = self._parsed(CONTRACT, Contract)
        self.golden = self._parsed(GOLDEN, Golden)

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def scorer(self) -> Scorer:
        """The model, having answered its golden rows.

        Raises:
            Refused: It answers them otherwise than when it was packaged.
        """
        scorer = Scorer(self.read(MODEL), self.contract)
        # One row a time, as most requests come: a batch may differ in a probability's last bit.
        answers = [scorer.predict([row])[0] for row in self.golden.rows]
        if wrong := self.golden.differences(answers):
            raise Refused(f"the model in {self.folder} fails its golden rows: {wrong[0]}")
        return scorer

    def _parsed(self, name: str, kind: type[_Part]) -> _Part:
        try:
            return kind.model_validate_json(self.read(name))
        except FileNotFoundError:
            raise Refused(f"{self.folder} is not a bundle: it has no {name}") from None
        except ValidationError as error:
            kind_of_file = name.removesuffix(".json")
            raise Refused(
                f"{self.folder / name} is not a {kind_of_file} file: {error.errors()[0]['msg']}"
            ) from error

    def _check(self) -> None:
        present = {path.name for path in self.folder.iterdir()} - {MANIFEST}
        declared = set(self.manifest.files)
        if declared != set(CONTENTS):
            raise Refused(f"{self.folder / MANIFEST} must name {sorted(CONTENTS)}, names {sorted(declared)}")
        if missing := declared - present:
            raise Refused(f"{self.folder} lacks {sorted(missing)}")
        if extra := present - declared:
            raise Refused(f"{self.folder} holds files that its manifest does not name: {sorted(extra)}")
        for name, expected in self.manifest.files.items():
            if (actual := sha256(self.folder / name)) != expected:
                raise Corrupt(str(self.folder / name), expected=expected, actual=actual)


def pack(model_name: str, contents: Mapping[str, bytes]) -> tuple[bytes, Manifest]:
    """The bytes of a bundle, equal for equal contents, and its manifest.

    Args:
        model_name: Name of the model.
        contents: Bytes of each of `CONTENTS`.
    """
    files = {name: hashlib.sha256(contents[name]).hexdigest() for name in CONTENTS}
    manifest = Manifest(model=model_name, files=files)
    listing = json.dumps(manifest.model_dump(), indent=2).encode() + b"\n"
    return tar({**{name: contents[name] for name in CONTENTS}, MANIFEST: listing}), manifest


def tar(contents: Mapping[str, bytes]) -> bytes:
    """An uncompressed tar, sorted, without owner, time or mode: equal contents give equal bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(contents):
            member = tarfile.TarInfo(name)
            member.size = len(contents[name])
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(contents[name]))
    return buffer.getvalue()


def sha256(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
