"""The process starts with a sound release, or not at all and with one line that says why."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from slipway.errors import Refused
from slipway.serving import probe
from slipway.serving.release import Release

if TYPE_CHECKING:
    from tests.serving.conftest import Front, Home, Model, Start

Harm = Callable[[Path], None]


def rewrite(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def sealed(release: Path, name: str) -> None:
    """Make the manifest agree with a file that was changed."""
    digest = hashlib.sha256((release / "bundle" / name).read_bytes()).hexdigest()
    rewrite(release / "bundle/manifest.json", lambda manifest: manifest["files"].update({name: digest}))


def no_record(release: Path) -> None:
    (release / "release.json").unlink()


def flipped_bit(release: Path) -> None:
    model = release / "bundle/model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)


def extra_file(release: Path) -> None:
    (release / "bundle/payload.pkl").write_bytes(b"")


def other_golden_rows(release: Path) -> None:
    def change(golden: Any) -> None:
        label, probability = golden["expected"][3]
        golden["expected"][3] = [label, probability + 1e-5]

    rewrite(release / "bundle/golden.json", change)
    sealed(release, "golden.json")


def swapped_labels(release: Path) -> None:
    def change(golden: Any) -> None:
        for answer in golden["expected"]:
            answer[0] = {"benign": "malignant", "malignant": "benign"}[answer[0]]

    rewrite(release / "bundle/golden.json", change)
    sealed(release, "golden.json")


def swapped_columns(release: Path) -> None:
    def change(contract: Any) -> None:
        columns = list(contract["columns"].items())
        contract["columns"] = dict([columns[1], columns[0], *columns[2:]])

    rewrite(release / "bundle/contract.json", change)
    sealed(release, "contract.json")


def record_of_another_model(release: Path) -> None:
    rewrite(release / "release.json", lambda record: record.update(model="another"))


def record_without_commit(release: Path) -> None:
    rewrite(release / "release.json", lambda record: record.pop("commit"))


def record_with_more(release: Path) -> None:
    rewrite(release / "release.json", lambda record: record.update(stage="production"))


def record_cut_short(release: Path) -> None:
    (release / "release.json").write_text('{"model": "tum')


def no_manifest(release: Path) -> None:
    (release / "bundle/manifest.json").unlink()


def no_model(release: Path) -> None:
    (release / "bundle/model.onnx").unlink()


def no_bundle(release: Path) -> None:
    (release / "bundle").rename(release / "elsewhere")


HARMS: list[tuple[Harm, str]] = [
    (no_record, "releases/v1.0.0/release.json"),
    (record_cut_short, "releases/v1.0.0/release.json"),
    (record_without_commit, "releases/v1.0.0/release.json"),
    (record_with_more, "releases/v1.0.0/release.json"),
    (record_of_another_model, "releases/v1.0.0"),
    (no_bundle, "releases/v1.0.0/bundle"),
    (no_manifest, "manifest.json"),
    (no_model, "model.onnx"),
    (flipped_bit, "releases/v1.0.0/bundle/model.onnx"),
    (extra_file, "payload.pkl"),
    (other_golden_rows, "golden row 3"),
    (swapped_labels, "golden row 0"),
    (swapped_columns, "golden row "),
]


@pytest.fixture
def installed(home: Home, cancer: Model) -> Path:
    home.install("v1.0.0", cancer)
    home.point("blue", "v1.0.0")
    home.make_live("blue")
    return home.release("v1.0.0")


@pytest.mark.parametrize(("harm", "named"), HARMS, ids=[harm.__name__ for harm, _ in HARMS])
def test_an_unsound_release_is_refused_by_what_is_wrong(installed: Path, harm: Harm, named: str) -> None:
    Release(installed)
    harm(installed)
    with pytest.raises(Refused) as caught:
        Release(installed)
    message = str(caught.value)
    assert named in message
    assert str(installed) in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (no_record, "release.json is missing"),
        (flipped_bit, "bundle/model.onnx is corrupt: expected sha256 "),
        (extra_file, "['payload.pkl']"),
        (other_golden_rows, "fails its golden rows: golden row 3: expected "),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_process_does_not_start_with_an_unsound_release(
    home: Home, installed: Path, front: Front, harm: Harm, named: str
) -> None:
    harm(installed)
    descriptor = front.listening.fileno()
    command = [sys.executable, "-m", "slipway.serving", "--home", str(home.folder), "--slot", "blue"]
    ended = subprocess.run(
        [*command, "--front-fd", str(descriptor)],
        pass_fds=[descriptor],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (3, "")
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert named in ended.stderr
    assert str(installed) in ended.stderr
    assert not (home.folder / "run").exists()


def test_a_slot_that_points_nowhere_is_refused_by_its_name(home: Home) -> None:
    with pytest.raises(Refused, match=r"slots/green/release\.json is missing"):
        Release((home.folder / "slots/green").resolve())


def test_the_process_keeps_its_release_when_the_link_moves(
    home: Home, start: Start, cancer: Model, other_cancer: Model
) -> None:
    home.install("v1.0.0", cancer)
    home.install("v2.0.0", other_cancer)
    home.point("blue", "v1.0.0")
    slot = start("blue").until(probe.ready)
    home.point("blue", "v2.0.0")
    assert probe.ask(home.folder, "blue", "/metadata")["release"] == "v1.0.0"
    (answer,) = probe.ask(home.folder, "blue", "/predict", cancer.rows[0])["predictions"]
    assert cancer.offline(cancer.rows[:1])[0]._asdict() == answer
    assert slot.process.poll() is None
